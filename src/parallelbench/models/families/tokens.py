"""A checkpoint's tokenizer, its special tokens and its chat template, with the published facts as fallback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.models.base import Message
from parallelbench.models.families.extras import one_line, optional
from parallelbench.models.families.files import TOKENIZER_LIMIT, read_json, regular
from parallelbench.models.families.spec import Config, Family

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "vocab.txt")


@dataclass(frozen=True)
class Special:
    """Special tokens of a checkpoint.

    Attributes:
        mask: Mask token, None for models without one.
        eos: The token that ends a text.
        pad: Filler left of prompts.
        stop: Further tokens that end a text (the end of a chat turn).
        sources: Where each was found, for people.
    """

    mask: int | None
    eos: int
    pad: int
    stop: frozenset[int]
    sources: Mapping[str, str]


class HubTokenizer:
    """A tokenizer of transformers as the Tokenizer protocol.

    Args:
        inner: The tokenizer of transformers.
        chat: Messages to text where it brings no chat template.
        hidden: Ids that decode to nothing even if the tokenizer does not flag them as special.
    """

    def __init__(self, inner: Any, chat: Any, hidden: frozenset[int] = frozenset()) -> None:
        self.inner, self._chat, self._hidden = inner, chat, hidden

    def encode(self, text: str) -> list[int]:
        """Ids of a text, no special tokens added; those written in it are recognised."""
        ids: list[int] = self.inner.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens, blanks as they are."""
        kept = [token for token in ids if token not in self._hidden and token < len(self.inner)]
        text: str = self.inner.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Prompt ids of a chat, the assistant's header included."""
        if not self.inner.chat_template:
            return self.encode(self._chat(messages))
        turns = [dict(message) for message in messages]
        return self.encode(self.inner.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer brings its own chat template."""
        return bool(self.inner.chat_template)

    def hiding(self, ids: frozenset[int]) -> "HubTokenizer":
        """The same, with more ids that decode to nothing."""
        return HubTokenizer(self.inner, self._chat, ids)


def load_tokenizer(directory: Path, family: Family) -> HubTokenizer:
    """The directory's tokenizer by a class of transformers; the class it names itself is never looked up.

    Raises:
        UsageError: there is none, it is too large, or it cannot be read.
    """
    transformers = optional("transformers", "models")
    found = [name for name in TOKENIZER_FILES if regular(directory / name)]
    if not found:
        raise UsageError(f"{directory} holds no tokenizer: none of {', '.join(TOKENIZER_FILES)}.")
    for name in found:
        if (directory / name).stat().st_size > TOKENIZER_LIMIT:
            raise UsageError(f"{directory / name} is too large for a tokenizer.")
    name = "PreTrainedTokenizerFast" if found[0] == "tokenizer.json" else family.tokenizer
    try:
        inner = getattr(transformers, name).from_pretrained(directory, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise UsageError(f"{directory}: its tokenizer cannot be read: {one_line(error)}") from error
    return HubTokenizer(inner, family.chat)


def special_tokens(directory: Path, config: Config, family: Family, tokenizer: HubTokenizer, vocab: int) -> Special:
    """Each token from config.json, else from the tokenizer, else by its published name, else by its published id.

    Raises:
        UsageError: a needed token is nowhere, or outside the vocabulary.
    """
    finder = _Finder(config, tokenizer, vocab)
    eos = _end_of_text(directory, finder, family)
    mask = None
    if family.name == "sedd_absorb":
        mask, finder.sources["mask"] = vocab - 1, "last row of the vocabulary"
    elif family.kind == "transformers":
        mask = finder.find("mask", "mask_token_id", family.tokens.mask)
        if mask is None:
            raise UsageError(
                f"{directory} does not tell its mask token: neither config.json (mask_token_id) nor its tokenizer."
            )
    pad = finder.find("pad", "pad_token_id", None)
    stop = {finder.by_name(name) for name in family.tokens.stop} | _generation_stops(directory)
    kept = frozenset(token for token in stop if token is not None and token < vocab) - {eos, mask}
    return Special(mask, eos, eos if pad is None else pad, kept, finder.sources)


def _generation_stops(directory: Path) -> set[int]:
    """All ends of text that generation_config.json lists."""
    if not regular(directory / "generation_config.json"):
        return set()
    listed = read_json(directory / "generation_config.json").get("eos_token_id")
    values = listed if isinstance(listed, list) else [listed]
    return {value for value in values if isinstance(value, int)}


def end_token(directory: Path, config: Config, family: Family, tokenizer: HubTokenizer) -> int:
    """The token that ends a text, as `special_tokens` finds it, where no network tells how many tokens there are.

    Raises:
        UsageError: it is nowhere, or unknown to the tokenizer.
    """
    return _end_of_text(directory, _Finder(config, tokenizer, len(tokenizer.inner)), family)


def _end_of_text(directory: Path, finder: "_Finder", family: Family) -> int:
    eos = finder.find("eos", "eos_token_id", family.tokens.eos)
    if eos is None:
        raise UsageError(f"{directory} does not tell its end-of-text token.")
    return eos


class _Finder:
    """Looks a token up in every place that may tell it, and remembers which one did."""

    def __init__(self, config: Config, tokenizer: HubTokenizer, vocab: int) -> None:
        self._config, self._inner, self._vocab = config, tokenizer.inner, vocab
        self.sources: dict[str, str] = {}

    def find(self, role: str, key: str, published: tuple[str, int] | None) -> int | None:
        candidates = [("config.json", self._first(self._config.get(key)))]
        candidates.append(("tokenizer", getattr(self._inner, key, None)))
        if published is not None:
            candidates.append((f"tokenizer, by its published name {published[0]}", self.by_name(published[0])))
            candidates.append(("published id", published[1] if published[1] < self._vocab else None))
        for source, token in candidates:
            if token is not None:
                if not 0 <= token < self._vocab:
                    raise UsageError(f"{key}={token} ({source}) is outside the vocabulary of {self._vocab}.")
                self.sources[role] = source
                return token
        return None

    def by_name(self, name: str) -> int | None:
        """Id of a token of the tokenizer's vocabulary."""
        token: int | None = self._inner.get_vocab().get(name)
        return token

    @staticmethod
    def _first(value: Any) -> int | None:
        value = value[0] if isinstance(value, list) and value else value
        return value if isinstance(value, int) else None
