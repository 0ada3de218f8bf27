"""List operations through the real loop: infilled lists of one-token items, and bare items for exact checks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import lcm

import numpy as np
import torch

from parallelbench.decoding import Lane, Method, Trajectory, decode
from parallelbench.errors import RunError, UsageError
from parallelbench.models.base import Denoiser, Tokenizer
from parallelbench.models.ideal import IdealDenoiser, Special
from parallelbench.models.registry import load_denoiser, word_tokenizer
from parallelbench.models.scripted import NumberTokenizer
from parallelbench.models.words import EOS, MASK, PAD
from parallelbench.tasks.common import list_text
from parallelbench.theory.distribution import HIDDEN, Distribution, TableDistribution
from parallelbench.theory.operations import OPERATIONS, rows_of
from parallelbench.theory.permutations import PermutationDistribution
from parallelbench.theory.subjects import ITEMS, NEWCOMER

Message = Mapping[str, str]
BATCH = 512
NOISE = 1e-5
"""Small beside every difference of probabilities here, large beside float32's own error: it breaks ties only."""
ASK = {
    "copy": "Repeat this list without a change: {items}",
    "replace_index": "Put {new} in the place of the first entry of this list: {items}",
    "replace_random": "Put {new} in the place of one entry of this list, whichever you like: {items}",
    "shuffle": "Write the entries of this list in a random order: {items}",
}
"""Operations that can be infilled, with the question asked of a real model."""


def item_denoiser(distribution: Distribution, noise: float = NOISE) -> IdealDenoiser:
    """The ideal denoiser of bare items: the region is the answer, the prompt one token."""
    size = int(distribution.tokens.max()) + 1
    special = Special(mask=size + 2, eos=size, pad=size + 1)
    ideal = IdealDenoiser("ideal", NumberTokenizer(), lambda messages: [size + 1], size + 3, special, (), noise)
    ideal.learn((), distribution)
    return ideal


def item_lanes(denoiser: IdealDenoiser, length: int, method: Method, count: int, seed: int) -> list[Lane]:
    """Lanes that differ in nothing but their randomness."""
    prompt = tuple(denoiser.encode(()))
    return [Lane(f"{method.setting}/{number}", prompt, length, method, seed) for number in range(count)]


def finished(denoiser: Denoiser, lanes: Sequence[Lane]) -> Iterator[Trajectory]:
    """Decode lanes; a lane that failed is an error.

    Raises:
        RunError: a lane ended in an error.
    """
    with one_thread():
        for trajectory in decode(denoiser, lanes, BATCH):
            if trajectory.error is not None:
                raise RunError(f"{trajectory.lane.method.setting}: {trajectory.error}")
            yield trajectory


@contextmanager
def one_thread() -> Iterator[None]:
    """Tensors as small as these are slower on several threads; no result depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Infill:
    """A list operation on n letters as a region in which only the items are masked.

    Attributes:
        operation: The operation.
        n: Items.
        messages: The question.
        region: [G] tokens, `HIDDEN` where an item is to be generated.
        slots: Those positions.
        items: Token of each given item.
        newcomer: Token of the new item.
    """

    operation: str
    n: int
    messages: tuple[Message, ...]
    region: tuple[int, ...]
    slots: tuple[int, ...]
    items: tuple[int, ...]
    newcomer: int

    def distribution(self) -> Distribution:
        """The exact answers over the whole region."""
        if self.operation == "shuffle":
            return PermutationDistribution(self.items, template=self.region)
        table = rows_of(OPERATIONS[self.operation](self.n))
        tokens = np.array([*self.items, self.newcomer])
        rows = np.tile(np.array(self.region), (len(table.rows), 1))
        rows[:, list(self.slots)] = tokens[table.rows]
        return TableDistribution(rows, table.weights.tolist())

    def correct(self, tokens: Sequence[int]) -> bool:
        """Whether the generated items are a correct answer."""
        found = [tokens[slot] for slot in self.slots]
        changed = [token for token, item in zip(found, self.items, strict=True) if token != item]
        if self.operation == "shuffle":
            return sorted(found) == sorted(self.items)
        if self.operation == "replace_index":
            return found == [self.newcomer, *self.items[1:]]
        return changed == ([] if self.operation == "copy" else [self.newcomer])


def infill(operation: str, n: int, tokenizer: Tokenizer, eos: int) -> Infill:
    """The region of an operation for a tokenizer, filled up with EOS to a length that 2 and n divide.

    Raises:
        UsageError: the tokenizer does not write each letter of the list as one token.
    """
    letters = list(ITEMS[:n])
    plain = tokenizer.encode(list_text(letters))
    turned = tokenizer.encode(list_text([*letters[1:], letters[0]]))
    renewed = tokenizer.encode(list_text([NEWCOMER, *letters[1:]]))
    slots = [j for j, (a, b) in enumerate(zip(plain, turned, strict=False)) if a != b]
    items = [plain[slot] for slot in slots]
    if len(slots) != n or [turned[slot] for slot in slots] != [*items[1:], *items[:1]] or len(renewed) != len(plain):
        raise UsageError(f"The tokenizer does not write each of the letters {ITEMS[0]} to {ITEMS[n - 1]} as one token.")
    length = -(-(len(plain) + 1) // lcm(2, n)) * lcm(2, n)
    region = [HIDDEN if j in slots else token for j, token in enumerate(plain)]
    text = ASK[operation].format(items=list_text(letters), new=NEWCOMER)
    return Infill(
        operation, n, ({"role": "user", "content": f"{text}\nReply with the list alone, in the same form."},),
        (*region, *[eos] * (length - len(region))), tuple(slots), tuple(items), renewed[slots[0]],
    )  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A denoiser with the lists it can be asked about."""

    denoiser: Denoiser
    lists: Mapping[tuple[str, int], Infill]

    def lanes(self, operation: str, n: int, method: Method, count: int, seed: int) -> list[Lane]:
        """`count` lanes of one operation that differ in their randomness alone."""
        asked = self.lists[operation, n]
        prompt = tuple(self.denoiser.encode(asked.messages))
        mask = self.denoiser.spec.mask_id
        prefill = tuple(mask if token == HIDDEN else token for token in asked.region)
        return [
            Lane(f"{operation}/{n}/{method.setting}/{number}", prompt, len(prefill), method, seed, prefill)
            for number in range(count)
        ]

    def correct(self, operation: str, n: int, method: Method, count: int, seed: int) -> int:
        """How many of `count` decodings are right."""
        asked = self.lists[operation, n]
        lanes = self.lanes(operation, n, method, count, seed)
        return sum(asked.correct(trajectory.tokens) for trajectory in finished(self.denoiser, lanes))


def bench(model: str, sizes: Mapping[str, Sequence[int]]) -> Bench:
    """A model ready for the operations at these sizes; "ideal" knows their exact answers.

    Raises:
        UsageError: an unknown model, or a tokenizer that splits letters.
    """
    if model != "ideal":
        denoiser = load_denoiser(model)
        return Bench(denoiser, _lists(sizes, denoiser.tokenizer, denoiser.spec.eos_id))
    words = word_tokenizer()
    lists = _lists(sizes, words, EOS)
    ideal = IdealDenoiser("ideal", words, words.encode_chat, words.vocab_size, Special(MASK, EOS, PAD), (), NOISE)
    for asked in lists.values():
        ideal.learn(asked.messages, asked.distribution())
    return Bench(ideal, lists)


def _lists(sizes: Mapping[str, Sequence[int]], tokenizer: Tokenizer, eos: int) -> dict[tuple[str, int], Infill]:
    return {(name, n): infill(name, n, tokenizer, eos) for name, chosen in sizes.items() for n in chosen}
