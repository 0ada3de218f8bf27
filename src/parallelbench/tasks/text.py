"""Text writing: summaries, paraphrases, sentences around given words; every text is our own."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

from parallelbench.errors import lookup
from parallelbench.settings import format_setting
from parallelbench.tasks import prompts
from parallelbench.tasks.base import Profile, Sample, Score, Split, Support, content_digest, sample_random
from parallelbench.tasks.common import (
    CountedTask,
    Facts,
    check_option,
    check_request,
    sample_id,
    user,
)
from parallelbench.tasks.scoring import SCORER_VERSION, score
from parallelbench.tasks.support import support_of

_DEFAULT_WORDS = 4


@cache
def _text(data: str) -> str:
    return (files("parallelbench.tasks") / "data" / f"{data}.jsonl").read_text(encoding="utf-8")


@cache
def rows(data: str, split: Split) -> tuple[Mapping[str, Any], ...]:
    """The rows of a split of `data/<data>.jsonl`, in file order."""
    return tuple(row for line in _text(data).splitlines() if (row := json.loads(line))["split"] == split)


@dataclass(frozen=True)
class TextTask(CountedTask):
    """A task whose questions and reference answers are written texts; a seed only decides their order."""

    options: ClassVar[Mapping[str, Collection[int]]] = {}
    name: str = field(init=False)
    kind: str = field(init=False)
    data: str = field(init=False)
    max_tokens: int = field(init=False, default=64)
    parallel: bool | None = field(init=False, default=False)
    version: int = field(init=False, default=1)
    default_count: int = field(init=False)

    def facts(self, row: Mapping[str, Any]) -> Facts:
        """What scoring needs to know of a row."""
        raise NotImplementedError

    def prompt(self, facts: Facts) -> str:
        """The user's turn."""
        raise NotImplementedError

    def available(self, split: Split) -> int | None:
        """How many texts of the split there are."""
        return len(rows(self.data, split))

    def samples(self, seed: int, count: int, split: Split = "test") -> list[Sample]:
        """The first `count` texts, in file order with seed 0, else in an order drawn from the seed.

        Raises:
            UsageError: arguments that make no sense, or more samples than there are texts.
        """
        check_request(self.name, seed, count, split, self.available(split))
        texts = list(rows(self.data, split))
        if seed != 0:
            sample_random(self.name, self.version, seed, split, "order").shuffle(texts)
        return [
            self._sample(sample_id(self, split, seed, index), index, self.facts(row))
            for index, row in enumerate(texts[:count])
        ]

    def _sample(self, identity: str, index: int, facts: Facts) -> Sample:
        answer = sample_random(identity, "answer").choice(facts["references"])
        return Sample(identity, index, (user(self.prompt(facts)),), facts, answer)

    def score(self, sample: Sample, text: str, profile: Profile = "native") -> Score:
        """Judge an answer text; never raises on any text."""
        return score(self.kind, sample, text, profile)

    def support(self, sample: Sample) -> Support | None:
        """The reference answers, equally likely: a stand-in for all good texts, which nobody can list."""
        return support_of(self.kind, sample.facts)

    def digest(self) -> str:
        """Twelve hex digits over the prompt, all texts and the scorer."""
        asked = self.samples(0, 1)[0].messages[-1]["content"]
        return content_digest(asked, _text(self.data), str(SCORER_VERSION))


@dataclass(frozen=True)
class Summarization(TextTask):
    """A short dialogue to be summed up."""

    name: str = field(init=False, default="text/summarization")
    kind: str = field(init=False, default="summary")
    data: str = field(init=False, default="summarization")

    def __post_init__(self) -> None:
        """Count the texts."""
        _count_texts(self)

    def facts(self, row: Mapping[str, Any]) -> Facts:
        """The dialogue as lines `Speaker: words`, and the reference summaries."""
        dialogue = "\n".join(f"{speaker}: {words}" for speaker, words in row["dialogue"])
        return {"dialogue": dialogue, "references": row["references"]}

    def prompt(self, facts: Facts) -> str:
        """The request for a summary."""
        return prompts.SUMMARIZATION.format(dialogue=facts["dialogue"])


@dataclass(frozen=True)
class Paraphrasing(TextTask):
    """A sentence to be said differently."""

    name: str = field(init=False, default="text/paraphrasing")
    kind: str = field(init=False, default="paraphrase")
    data: str = field(init=False, default="paraphrasing")

    def __post_init__(self) -> None:
        """Count the texts."""
        _count_texts(self)

    def facts(self, row: Mapping[str, Any]) -> Facts:
        """The sentence and its reference paraphrases."""
        return {"sentence": row["sentence"], "references": row["references"]}

    def prompt(self, facts: Facts) -> str:
        """The request for a paraphrase."""
        return prompts.PARAPHRASING.format(sentence=facts["sentence"])


@dataclass(frozen=True)
class WordsToSentence(TextTask):
    """Words to be put into one sentence.

    Attributes:
        level: easy (words of one scene), medium or hard (words far apart).
        n: How many words, always the first ones of a set of seven, so that one reference serves them all.
    """

    level: str
    n: int = _DEFAULT_WORDS
    options: ClassVar[Mapping[str, Collection[int]]] = {"n": (1, 3, 4, 5, 6, 7)}
    kind: str = field(init=False, default="words")

    def __post_init__(self) -> None:
        """Refuse an unknown level or number of words, derive name and file, count the texts."""
        levels = {level: f"words_{level}" for level in ("easy", "medium", "hard")}
        object.__setattr__(self, "data", lookup(levels, self.level, "level"))
        name = f"words_to_sentence/{self.level}"
        check_option(name, "n", self.n, self.options["n"])
        given = {} if self.n == _DEFAULT_WORDS else {"n": self.n}
        object.__setattr__(self, "name", format_setting(name, given, "@"))
        _count_texts(self)

    def facts(self, row: Mapping[str, Any]) -> Facts:
        """The first words of the row and the reference sentences."""
        return {"words": row["words"][: self.n], "references": row["references"]}

    def prompt(self, facts: Facts) -> str:
        """The request for a sentence."""
        template = prompts.WORD_TO_SENTENCE if self.n == 1 else prompts.WORDS_TO_SENTENCE
        return template.format(words=", ".join(facts["words"]))


def _count_texts(task: TextTask) -> None:
    object.__setattr__(task, "default_count", len(rows(task.data, "test")))
