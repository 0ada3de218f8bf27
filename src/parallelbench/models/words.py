"""The built-in word-level tokenizer: a word with its leading space is one token, so a full name is two."""

import re
from collections.abc import Iterable, Mapping, Sequence

from parallelbench.tasks.base import content_digest

PAD, EOS, MASK, SYSTEM, USER, ASSISTANT = range(6)
SPECIAL = ("<pad>", "<eos>", "<mask>", "<system>", "<user>", "<assistant>")
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
FIRST_BYTE = len(SPECIAL)
FIRST_PIECE = FIRST_BYTE + 256

PIECE = re.compile(r"""\["|", "|"\]| ?[A-Za-z]+(?:'[A-Za-z]+)?| ?[0-9]|\n| ?[^\sA-Za-z0-9]|\s""")
"""List punctuation, words, single digits, single marks; every character belongs to exactly one piece."""


class WordTokenizer:
    """Lossless: pieces outside the vocabulary become UTF-8 byte tokens.

    Args:
        texts: Whatever should be encoded in whole words; their order does not matter.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._pattern = PIECE
        self._know(sorted({piece for text in texts for piece in PIECE.findall(text)}))

    @property
    def texts(self) -> Sequence[str]:
        """The text of every token from `FIRST_PIECE` on."""
        return self._pieces

    def _know(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._ids = {piece: FIRST_PIECE + number for number, piece in enumerate(pieces)}
        self.vocab_size = FIRST_PIECE + len(pieces)
        self.digest = content_digest(*pieces)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""
        ids: list[int] = []
        for piece in self._pattern.findall(text):
            known = self._ids.get(piece)
            if known is not None:
                ids.append(known)
            else:
                ids.extend(FIRST_BYTE + byte for byte in piece.encode("utf-8", "surrogatepass"))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; special tokens become nothing, impossible bytes the replacement character."""
        data = bytearray()
        for token in ids:
            if token >= FIRST_PIECE:
                data += self._pieces[token - FIRST_PIECE].encode()
            elif token >= FIRST_BYTE:
                data.append(token - FIRST_BYTE)
        return data.decode("utf-8", "replace")

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Prompt ids: every turn after its role token, then the assistant's role token."""
        ids: list[int] = []
        for message in messages:
            ids.append(ROLES[message["role"]])
            ids.extend(self.encode(message["content"]))
        return [*ids, ASSISTANT]


class PhraseTokenizer(WordTokenizer):
    """A word tokenizer that also knows whole phrases, such as the fixed sentences of a prompt, as one token.

    Args:
        phrases: Texts that become one token wherever they occur; the longest that fits wins.
        pieces: The words and marks known; everything else is spelled in bytes.
    """

    def __init__(self, phrases: Iterable[str], pieces: Iterable[str]) -> None:
        self.phrases, self.pieces = sorted(set(phrases)), sorted(set(pieces))
        longest_first = sorted(self.phrases, key=len, reverse=True)
        self._pattern = phrase_pattern(longest_first)
        self._know([*self.phrases, *(piece for piece in self.pieces if piece not in set(self.phrases))])


def phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Splits a text into phrases, `, ` between symbols, and the pieces of `PIECE`."""
    return re.compile("|".join([*map(re.escape, phrases), '", "', ", ", PIECE.pattern]))
