"""Endless fresh samples of the tasks' train split as batches of token ids."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.words import ASSISTANT, EOS, FIRST_PIECE, PAD, PhraseTokenizer, phrase_pattern
from parallelbench.tasks import prompts
from parallelbench.tasks.base import Sample, sample_random
from parallelbench.tasks.common import CountedTask

PROBED = 1000
"""Samples of a task from which the vocabulary is taken: a name that none of them holds is one in a billion."""
SHORTEST_PHRASE = 3
BATCHES_A_CHUNK = 32
"""Batches drawn together, so that samples of about the same length can share one."""
WHOLE = 0.15
"""Share of the batches that keep the answer's full window; the others drop most of the end-of-text tokens."""


@dataclass(frozen=True)
class Batch:
    """Samples of about the same length.

    Attributes:
        prompt: Token ids, padded on the left.
        present: False at the padding.
        answer: Token ids, filled with EOS.
        task: Number of each sample's task.
    """

    prompt: Int[Tensor, "B P"]
    present: Bool[Tensor, "B P"]
    answer: Int[Tensor, "B A"]
    task: Int[Tensor, " B"]


def phrases() -> list[str]:
    """The fixed sentences of the built-in prompts: what stands between their blanks."""
    templates: list[str] = [*prompts.LIST_PROMPTS.values()]
    templates += [text for name, text in vars(prompts).items() if name.isupper() and isinstance(text, str)]
    literals = {literal for template in templates for literal, *_ in string.Formatter().parse(template)}
    return sorted(text for text in literals if len(text) >= SHORTEST_PHRASE)


def asked(sample: Sample) -> str:
    """What a small model reads of a sample: the question, without the worked example before it."""
    return sample.messages[-1]["content"]


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with what the tasks need of it.

    Attributes:
        tokenizer: Knows the phrases of the prompts and every word of the tasks.
        written: Ids that occur in answers, EOS among them.
        prompt: Longest prompt in tokens, rounded up to a multiple of 8.
        answer: Longest answer with an EOS behind it, likewise.
    """

    tokenizer: PhraseTokenizer
    written: tuple[int, ...]
    prompt: int
    answer: int


def vocabulary(tasks: Sequence[CountedTask]) -> Vocabulary:
    """The vocabulary of some tasks, from samples of their train split."""
    samples = [sample for task in tasks for sample in task.samples(0, _count(task), "train")]
    known = [text for text in phrases() if any(text in asked(sample) for sample in samples)]
    split = phrase_pattern(sorted(known, key=len, reverse=True)).findall
    answers = {piece for sample in samples for piece in split(sample.answer)}
    pieces = answers | {piece for sample in samples for piece in split(asked(sample))}
    tokenizer = PhraseTokenizer(known, pieces - set(known))
    written = sorted({EOS}.union(*(tokenizer.encode(piece) for piece in answers)))
    longest = [max(len(tokenizer.encode(text(s))) for s in samples) + 1 for text in (asked, lambda s: s.answer)]
    prompt, answer = (-(-length // 8) * 8 for length in longest)
    return Vocabulary(tokenizer, tuple(written), prompt, answer)


def _count(task: CountedTask) -> int:
    available = task.available("train")
    return PROBED if available is None else min(PROBED, available)


def rank_of(tokenizer: PhraseTokenizer) -> Tensor:
    """Place of each token among the alphabetically sorted words, in [0, 1] as float [V]."""
    words = [text.strip() for text in tokenizer.texts]
    place = {word: number for number, word in enumerate(sorted(set(words)))}
    rank = torch.zeros(tokenizer.vocab_size)
    rank[FIRST_PIECE:] = torch.tensor([place[word] for word in words]) / max(1, len(place) - 1)
    return rank


class Stream:
    """Batch number i is a pure function of the settings, so that a resumed training goes on with the next one.

    Args:
        tasks: Tasks with the weight of each: how many of its samples are drawn.
        words: Vocabulary.
        batch: Samples of a batch.
        seed: Of everything drawn.
    """

    def __init__(self, tasks: Mapping[CountedTask, float], words: Vocabulary, batch: int, seed: int) -> None:
        self.tasks = list(tasks)
        self._weights = np.array(list(tasks.values())) / sum(tasks.values())
        self._words, self._batch, self._seed = words, batch, seed

    def batches(self, first: int) -> Iterator[Batch]:
        """All batches from number `first` on."""
        chunk, skip = divmod(first, BATCHES_A_CHUNK)
        while True:
            yield from self._chunk(chunk)[skip:]
            chunk, skip = chunk + 1, 0

    def _chunk(self, number: int) -> list[Batch]:
        """Samples sorted by length and cut into batches, in random order."""
        random = sample_random("training", self._seed, number)
        drawn: list[tuple[int, list[int], list[int]]] = []
        counts = _apportion(self._weights * self._batch * BATCHES_A_CHUNK, random.random())
        for place, (task, count) in enumerate(zip(self.tasks, counts, strict=True)):
            for sample in self._draw(task, count, random.randrange(1 << 62)):
                encode = self._words.tokenizer.encode
                drawn.append((place, [*encode(asked(sample)), ASSISTANT], encode(sample.answer)))
        random.shuffle(drawn)
        whole = round(WHOLE * BATCHES_A_CHUNK) * self._batch
        drawn[whole:] = sorted(drawn[whole:], key=lambda item: (len(item[2]), len(item[1])))
        batches = [
            self._collate(drawn[start : start + self._batch], start < whole)
            for start in range(0, len(drawn), self._batch)
        ]
        random.shuffle(batches)
        return batches

    def _draw(self, task: CountedTask, count: int, seed: int) -> list[Sample]:
        """`count` samples; a task with a fixed train split gives a random part of it."""
        available = task.available("train")
        if not count:
            return []
        if available is None:
            return task.samples(seed, count, "train")
        pool = task.samples(0, available, "train")
        return sample_random(seed).choices(pool, k=count)

    def _collate(self, drawn: list[tuple[int, list[int], list[int]]], whole: bool) -> Batch:
        longest = max(len(prompt) for _, prompt, _ in drawn)
        window = self._words.answer if whole else max(len(answer) for _, _, answer in drawn) + 1
        prompt = torch.tensor([[PAD] * (longest - len(p)) + p for _, p, _ in drawn])
        answer = torch.tensor([a + [EOS] * (window - len(a)) for _, _, a in drawn])
        return Batch(prompt, prompt != PAD, answer, torch.tensor([place for place, _, _ in drawn]))


def _apportion(shares: np.ndarray, offset: float) -> list[int]:
    """Whole numbers with the same sum, each within one of its share (systematic sampling)."""
    edges = np.floor(np.concatenate([[0.0], np.cumsum(shares)]) + offset)
    edges[-1] = edges[0] + round(float(shares.sum()))
    return [int(count) for count in np.diff(edges)]


def weighted(tasks: Sequence[CountedTask], weights: Mapping[str, float]) -> dict[CountedTask, float]:
    """The tasks with their weights, 1 where none is given.

    Raises:
        UsageError: a weight for a task that is not trained on, or one that is not positive.
    """
    names = {task.name for task in tasks}
    for name, weight in weights.items():
        if name not in names:
            raise UsageError(f"a weight for {name!r}, but the tasks trained on are {', '.join(sorted(names))}.")
        if not weight > 0:
            raise UsageError(f"the weight of {name} must be positive, got {weight}.")
    return {task: weights.get(task.name, 1.0) for task in tasks}
