"""Tasks whose samples are drawn at random, each from generators of its own."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from parallelbench.errors import UsageError
from parallelbench.tasks.base import Profile, Sample, Score, Split, Support, content_digest, sample_random
from parallelbench.tasks.common import (
    SPLITS,
    CountedTask,
    Facts,
    assistant,
    check_request,
    sample_id,
    user,
)
from parallelbench.tasks.scoring import SCORER_VERSION, score
from parallelbench.tasks.support import draw_answer, support_of

_REDRAWS = 20_000
"""Draws in vain after which a split counts as used up: the smallest (2,300 puzzles) is exhausted by then."""
_DIGEST_SAMPLES = 8


@dataclass(frozen=True)
class DrawnTask(CountedTask):
    """A task that draws facts, and writes its prompt and its answers from them.

    A family provides `size`, `draw`, `group`, `prompt` and `template`; everything else is here.
    """

    options: ClassVar[Mapping[str, Collection[int]]] = {}
    name: str = field(init=False)
    kind: str = field(init=False)
    max_tokens: int = field(init=False)
    parallel: bool | None = field(init=False)
    version: int = field(init=False, default=1)
    default_count: int = field(init=False, default=100)

    def size(self, random: Random) -> int:
        """A size of a question, such as the length of its list, drawn for the one-shot example."""
        raise NotImplementedError

    def size_of(self, seed: int, split: Split, index: int) -> int:
        """The size of the question at `index`."""
        raise NotImplementedError

    def draw(self, random: Random, size: int, split: Split) -> Facts:
        """Facts of one question that belongs to the split."""
        raise NotImplementedError

    def group(self, facts: Facts) -> str:
        """The part of a question that only one split, and only one of example and question, may contain."""
        raise NotImplementedError

    def prompt(self, facts: Facts) -> str:
        """The user's turn."""
        raise NotImplementedError

    def template(self, facts: Facts) -> str | None:
        """The infill frame of the answer, None without one."""
        return None

    def available(self, split: Split) -> int | None:
        """None: samples are drawn on demand."""
        return None

    def samples(self, seed: int, count: int, split: Split = "test") -> list[Sample]:
        """The first `count` samples, no two with the same prompt.

        Raises:
            UsageError: arguments that make no sense, or more samples than there are different questions.
        """
        check_request(self.name, seed, count, split)
        asked: dict[str, Facts] = {}
        for index in range(count):
            facts = self._fresh(seed, split, index, asked)
            asked[self.prompt(facts)] = facts
        return [self._sample(seed, split, index, facts) for index, facts in enumerate(asked.values())]

    def _random(self, seed: int, split: Split, index: int, purpose: str) -> Random:
        return sample_random(self.name, self.version, seed, split, index, purpose)

    def _fresh(self, seed: int, split: Split, index: int, asked: Collection[str]) -> Facts:
        random = self._random(seed, split, index, "question")
        size = self.size_of(seed, split, index)
        for _ in range(_REDRAWS):
            facts = self.draw(random, size, split)
            if self.prompt(facts) not in asked:
                return facts
        raise UsageError(f"{self.name}: the {split} split has only {len(asked)} different samples.")

    def _example(self, random: Random, split: Split, question: Facts) -> Facts:
        size = self.size(random)
        while True:
            facts = self.draw(random, size, split)
            if self.group(facts) != self.group(question):
                return facts

    def _sample(self, seed: int, split: Split, index: int, facts: Facts) -> Sample:
        random = self._random(seed, split, index, "example")
        example = self._example(random, split, facts)
        return Sample(
            id=sample_id(self, split, seed, index),
            index=index,
            messages=(
                user(self.prompt(example)),
                assistant(self._answer(example, random)),
                user(self.prompt(facts)),
            ),
            facts=facts,
            answer=self._answer(facts, self._random(seed, split, index, "answer")),
            template=self.template(facts),
        )

    def _answer(self, facts: Facts, random: Random) -> str:
        support = support_of(self.kind, facts)
        assert support is not None, "every drawn question has its answers"
        return draw_answer(support, random)

    def score(self, sample: Sample, text: str, profile: Profile = "native") -> Score:
        """Judge an answer text; never raises on any text."""
        return score(self.kind, sample, text, profile)

    def support(self, sample: Sample) -> Support | None:
        """Every correct answer, equally likely."""
        return support_of(self.kind, sample.facts)

    def digest(self) -> str:
        """Twelve hex digits over the first samples of both splits, the data and the scorer."""
        samples = [vars(sample) for split in SPLITS for sample in self.samples(0, _DIGEST_SAMPLES, split)]
        return content_digest(self._data(), json.dumps(samples, sort_keys=True), str(SCORER_VERSION))

    def _data(self) -> str:
        """Data that the first samples may not show in full."""
        return ""
