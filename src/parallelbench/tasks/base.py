"""What a task is: samples, prompts, correct answers and scoring, told apart from every model."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import factorial
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

Message = Mapping[str, str]
Profile = Literal["native", "pb2025"]
Split = Literal["test", "train"]
PROFILES: tuple[Profile, ...] = ("native", "pb2025")
HOLE = "[MASK]"
"""How an infill template (`Sample.template`) writes one item to be generated."""


@dataclass(frozen=True)
class Sample:
    """One question of a task.

    Attributes:
        id: Unique in the benchmark, e.g. `waiting_line/copy.1/test/0/17` (task.version/split/seed/index).
        index: Position in the task's test set, from 0.
        messages: Chat turns ({"role", "content"}), the last one is the user's question.
        facts: JSON-able facts that scoring and the support need (e.g. the input list).
        answer: One correct answer, the assistant turn of exports.
        template: The answer's frame with `[MASK]` for each item to generate, or None.
    """

    id: str
    index: int
    messages: tuple[Message, ...]
    facts: Mapping[str, Any]
    answer: str
    template: str | None = None


@dataclass(frozen=True)
class Score:
    """The judgement of one answer, each number in [0, 1]; None means it could not be judged.

    Attributes:
        lenient: Content only; the headline number of a table.
        strict: Content in exactly the format asked for.
        why: Why the answer is wrong or unscored, empty when it is right.
        parts: Further named measurements (ROUGE, inclusion, ...).
    """

    lenient: float | None
    strict: float | None
    why: str = ""
    parts: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Orderings:
    """Every order of `items` except the given one, each equally likely, as JSON-like list texts.

    A support by structure: iterable like an enumerated one, but a reader who knows better than to list
    n! - 1 texts can use `items` and the three joints.
    """

    items: tuple[str, ...]
    opening: str = '["'
    separator: str = '", "'
    closing: str = '"]'

    def text(self, order: Sequence[str]) -> str:
        """The answer text of one order."""
        return self.opening + self.separator.join(order) + self.closing

    def __len__(self) -> int:
        return factorial(len(self.items)) - 1

    def __iter__(self) -> Iterator[tuple[str, float]]:
        orders = permutations(self.items)
        next(orders)  # itertools yields the given order first
        return ((self.text(order), 1.0) for order in orders)


@dataclass(frozen=True)
class Answers:
    """An enumerated support: correct answer texts with positive weights (not necessarily normalised)."""

    weights: Mapping[str, float]

    @classmethod
    def of(cls, *texts: str) -> "Answers":
        """Equally likely texts."""
        return cls(dict.fromkeys(texts, 1.0))

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(self.weights.items())


Support = Answers | Orderings


@runtime_checkable
class Task(Protocol):
    """A kind of question. Samples are a pure function of (name, version, options, seed, split, index)."""

    name: str
    """Full name with its non-default options, e.g. `waiting_line/shuffle@n=15`."""
    version: int
    max_tokens: int
    """Length of the generation region in tokens."""
    parallel: bool | None
    """Whether C(Y|X) = 0, so that a perfect model loses nothing by decoding in parallel; None if unknown."""

    def samples(self, seed: int, count: int, split: Split = "test") -> list[Sample]:
        """The first `count` samples; a longer call begins with a shorter one's samples."""
        ...

    def score(self, sample: Sample, text: str, profile: Profile = "native") -> Score:
        """Judge an answer text; never raises on any text."""
        ...

    def support(self, sample: Sample) -> Support | None:
        """Every correct answer with its weight, or None when they can't be listed."""
        ...

    def digest(self) -> str:
        """Twelve hex digits over prompt, data and scorer version: changes when `version` must."""
        ...


def sample_random(*parts: object) -> random.Random:
    """A generator seeded by the SHA-256 of its parts, equal on every machine and Python version."""
    key = "/".join(str(part) for part in parts)
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


def content_digest(*parts: str) -> str:
    """First twelve hex digits of the SHA-256 of the parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


Scorer = Callable[[Sample, str], Score]
