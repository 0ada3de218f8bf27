"""The ideal denoiser: exact marginals of a task's true answer distribution, for any tokenizer.

What parallel decoding loses with it is the method's fault alone: no model, however well trained, has better
marginals.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.base import DenoiserSpec, Message, Tokenizer
from parallelbench.models.frequency import token_frequencies
from parallelbench.tasks.base import Orderings, Sample, Support, Task
from parallelbench.theory.ceiling import Ceiling, listed
from parallelbench.theory.dependence import pairwise_information
from parallelbench.theory.distribution import HIDDEN, Conditionals, Distribution
from parallelbench.theory.orderings import MAX_ITEMS, Frame, OrderingDistribution
from parallelbench.theory.texts import table_of

LISTED_ORDERS = 6
"""Orders of up to this many items are listed; beyond, sums over subsets are faster (and list 8! no more)."""
NOISE = 1e-3
REMEMBERED = 256
"""Canvases of a prompt whose dependencies are kept."""


@dataclass(frozen=True)
class Special:
    """Ids of the special tokens the denoiser works with."""

    mask: int
    eos: int
    pad: int


class IdealDenoiser:
    """Exact marginals for the prompts of known samples.

    Args:
        name: Canonical model string.
        tokenizer: Any tokenizer; `chat` turns messages into prompt ids with it.
        chat: Messages to prompt ids.
        vocab_size: V.
        special: Ids of mask, EOS and filler.
        problems: The samples it will be asked about, with their tasks.
        noise: Standard deviation of the zero-mean normal noise on the finite logits, which breaks exact ties at
            random (paper, section 3); see `perturb`.
        revision: Version of tokenizer and definition.
        corpus: Texts to count tokens in, for methods that ask for frequencies; None where there are none.
    """

    depth = 1

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        chat: Callable[[Sequence[Message]], list[int]],
        vocab_size: int,
        special: Special,
        problems: Sequence[tuple[Task, Sample]],
        noise: float = NOISE,
        revision: str = "1",
        corpus: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        capabilities = {"columns", "distance", "policy", "verifier", "attention"} | ({"lane_noise"} if noise else set())
        capabilities |= {"frequencies"} if corpus is not None else set()
        self._corpus = corpus
        self.tokenizer, self._chat, self._noise = tokenizer, chat, noise
        self.spec = DenoiserSpec(
            name=name, revision=revision, vocab_size=vocab_size, mask_id=special.mask, eos_id=special.eos,
            pad_id=special.pad, capabilities=frozenset(capabilities),
        )  # fmt: skip
        self._problems: dict[bytes, tuple[Task, Sample]] = {}
        self._prompt_lengths: dict[int, set[int]] = {}
        self._answers: dict[bytes, _Known] = {}
        for task, sample in problems:
            prompt = _ids(self.encode(sample.messages))
            self._problems[prompt.tobytes()] = task, sample
            self._prompt_lengths.setdefault(len(prompt) + task.max_tokens, set()).add(len(prompt))

    def learn(self, messages: Sequence[Message], distribution: Distribution) -> None:
        """Take the answers to a prompt as given, where no task has them."""
        prompt = _ids(self.encode(messages))
        self._answers[prompt.tobytes()] = _Known(distribution)
        self._prompt_lengths.setdefault(len(prompt) + distribution.length, set()).add(len(prompt))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Prompt ids of a chat."""
        return self._chat(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self.tokenizer.decode(ids)

    def columns(self, prompt: Sequence[int]) -> Int[Tensor, " K"]:
        """Tokens that occur in some answer to the prompt, sorted; the same tensor at every call."""
        return self._known(_ids(prompt)).columns

    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N K"]:
        """Natural logarithms of the exact marginals of the prompt's columns, -inf where the probability is 0.

        Raises:
            UsageError: a canvas starts with no known prompt, or its task has no listed answers.
            ValueError: the canvases are of different prompts.
        """
        canvases = zip(canvas.numpy(), attention_mask.numpy(), strict=True)
        answers = {self._split(_seen(ids, present, self.spec.mask_id)) for ids, present in canvases}
        if len(answers) != 1:
            raise ValueError(f"logits of one prompt at a time, got {len(answers)}")
        (known,) = answers
        out = np.full((int(rows.sum()), len(known.columns)), -np.inf, dtype=np.float32)
        first = 0
        for ids, present, wanted in zip(canvas.numpy(), attention_mask.numpy(), rows.numpy(), strict=True):
            positions = wanted[-known.length :].nonzero()[0]
            ids = _seen(ids, present, self.spec.mask_id)
            found = known.conditionals(ids[-known.length :], self.spec.mask_id, positions)
            row = first + np.searchsorted(positions, found.position)
            out[row, np.searchsorted(known.tokens, found.token)] = np.log(found.probability)
            first += len(positions)
        return torch.from_numpy(out)

    def attended(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N K"], Float[Tensor, "B L L"]]:
        """`logits`, and instead of attention what it stands for: bits of mutual information between masked positions.

        Given the visible tokens; 0 where either position is visible. `last` is ignored: there are no layers.
        """
        found = torch.zeros(*canvas.shape, canvas.shape[1])
        for number, (ids, present) in enumerate(zip(canvas.numpy(), attention_mask.numpy(), strict=True)):
            known = self._split(_seen(ids, present, self.spec.mask_id))
            bits = known.dependencies(ids[-known.length :], self.spec.mask_id)
            found[number, -known.length :, -known.length :] = torch.from_numpy(bits.astype(np.float32))
        return self.logits(canvas, attention_mask, rows), found

    def verify(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N K"]:
        """`logits` of `rows` given only what is to their left: the exact causal model of the answers."""
        lane, place = rows.nonzero(as_tuple=True)
        column = torch.arange(canvas.shape[1])
        seen = torch.where(column >= place.unsqueeze(-1), self.spec.mask_id, canvas[lane])
        return self.logits(seen, attention_mask[lane], column == place.unsqueeze(-1))

    @cached_property
    def frequencies(self) -> Float[Tensor, " V"]:
        """Token frequencies of the corpus."""
        if self._corpus is None:
            raise UsageError(f"{self.spec.name} has no corpus to count tokens in.")
        return token_frequencies(self.tokenizer, self._corpus(), self.spec.vocab_size)

    def distance(self, prompt: Int[Tensor, " P"], region: Int[Tensor, " G"]) -> int:
        """Hamming distance of a region's decided tokens to the nearest correct answer."""
        known = self._known(prompt.numpy())
        return known.conditionals(region.numpy(), self.spec.mask_id, np.arange(len(region))).distance

    def marginals(self, prompt: Sequence[int], region: Sequence[int]) -> Conditionals:
        """Exact probabilities at the masked positions of a region given its visible tokens, without noise.

        Raises:
            UsageError: the prompt belongs to no known sample, or its task has no listed answers.
        """
        ids = _ids(region)
        return self._known(_ids(prompt)).conditionals(ids, self.spec.mask_id, (ids == self.spec.mask_id).nonzero()[0])

    def policy(
        self, prompt: Int[Tensor, " P"], region: Int[Tensor, " G"], steps: int, temperature: float
    ) -> Bool[Tensor, " G"]:
        """Positions that give the best probability of a correct answer within so many steps.

        Raises:
            UsageError: the exact search over policies is out of reach.
        """
        return torch.from_numpy(
            self._known(prompt.numpy()).policy(region.numpy(), self.spec.mask_id, steps, temperature)
        )

    def perturb(
        self,
        logits: Float[Tensor, "N K"],
        seeds: Int[Tensor, " N"],
        positions: Int[Tensor, " N"],
        columns: Int[Tensor, " K"],
    ) -> Float[Tensor, "N K"]:
        """Logits plus noise: a normal number that is a function of (lane seed, position, token, exact logit).

        It is fresh whenever a logit changes, as the paper's is at every step. Noise that stayed would decide later
        ties by what it had decided already: the positions left last would be those whose noise was unlucky.
        """
        row, column = logits.isfinite().nonzero(as_tuple=True)
        exact = logits[row, column].view(torch.int32).to(torch.int64) << 20  # tokens stay below 2^20
        noise = normal_hash(seeds[row].numpy(), positions[row].numpy(), (columns[column] + exact).numpy())
        out = logits.clone()
        out[row, column] += torch.from_numpy((self._noise * noise).astype(np.float32))
        return out

    def _split(self, ids: NDArray[np.int64]) -> "_Known":
        """The answers to the prompt that a canvas begins with."""
        for length in self._prompt_lengths.get(len(ids), ()):
            if ids[:length].tobytes() in (self._problems.keys() | self._answers.keys()):
                return self._known(ids[:length])
        raise self._stranger()

    def _stranger(self) -> UsageError:
        return UsageError(f"{self.spec.name}: the prompt belongs to none of the {len(self._problems)} known samples.")

    def _known(self, prompt: NDArray[np.int64]) -> "_Known":
        key = prompt.tobytes()
        if key not in self._answers:
            if key not in self._problems:
                raise self._stranger()
            self._answers[key] = _Known(self._distribution(*self._problems[key]))
        return self._answers[key]

    def _distribution(self, task: Task, sample: Sample) -> Distribution:
        support = task.support(sample)
        if support is None:
            raise UsageError(f"{self.spec.name}: the correct answers of {sample.id} can't be listed.")
        try:
            return distribution_of(support, self.tokenizer, self.spec.eos_id, task.max_tokens)
        except ValueError as error:
            raise UsageError(f"{self.spec.name}: {sample.id}: {error}.") from error


def _seen(ids: NDArray[np.int64], present: NDArray[np.bool_], mask_id: int) -> NDArray[np.int64]:
    """The canvas without the padding on its left; what is cut off behind it counts as masked."""
    return np.where(present, ids, mask_id)[int(present.argmax()) :]


class _Known:
    """The answers to one prompt, with their logits columns."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self.length = distribution.length
        self.tokens = distribution.tokens
        self.columns = torch.from_numpy(self.tokens)
        self._ceilings: dict[float, Ceiling] = {}
        self._dependencies: dict[bytes, NDArray[np.float64]] = {}

    def conditionals(self, region: NDArray[np.int64], mask_id: int, positions: NDArray[np.int64]) -> Conditionals:
        return self._distribution.conditionals(np.where(region == mask_id, HIDDEN, region), positions)

    def dependencies(self, region: NDArray[np.int64], mask_id: int) -> NDArray[np.float64]:
        """Bits between masked positions; the last canvases asked about are remembered, since methods share them."""
        key = region.tobytes()
        if key not in self._dependencies:
            if len(self._dependencies) >= REMEMBERED:
                self._dependencies.pop(next(iter(self._dependencies)))
            self._dependencies[key] = pairwise_information(
                self._distribution, np.where(region == mask_id, HIDDEN, region)
            )
        return self._dependencies[key]

    def policy(self, region: NDArray[np.int64], mask_id: int, steps: int, temperature: float) -> NDArray[np.bool_]:
        if temperature not in self._ceilings:
            self._ceilings[temperature] = Ceiling(listed(self._distribution), temperature)
        return self._ceilings[temperature].choose(np.where(region == mask_id, HIDDEN, region), steps)


def distribution_of(support: Support, tokenizer: Tokenizer, eos_id: int, length: int) -> Distribution:
    """The support as a distribution over token rows of `length`, padded with EOS.

    Raises:
        ValueError: an answer is longer than the region, or orders are too many to list or to sum.
    """
    if isinstance(support, Orderings) and len(support.items) > LISTED_ORDERS:
        return OrderingDistribution(_frame(support, tokenizer, eos_id), length)
    return table_of(support, tokenizer.encode, eos_id, length)


def _frame(support: Orderings, tokenizer: Tokenizer, eos_id: int) -> Frame:
    """Token pieces of the list, checked against whole texts in which every item stands first, last and inside."""
    n = len(support.items)
    if n > MAX_ITEMS:
        raise ValueError(f"exact sums over orders go to {MAX_ITEMS} items, the list has {n}")
    encode = tokenizer.encode
    frame = Frame(
        opening=tuple(encode(support.opening)),
        items=tuple(tuple(encode(item)) for item in support.items),
        separator=tuple(encode(support.separator)),
        closing=tuple(encode(support.closing)),
        filler=eos_id,
    )
    for turn in range(n):
        order = [*range(turn, n), *range(turn)]
        whole = encode(support.text([support.items[i] for i in order]))
        if frame.row(order, len(whole)) != whole:
            raise ValueError("the tokenizer does not split a list at its separators, so orders can't be summed")
    return frame


def normal_hash(seed: NDArray[np.int64], position: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard normal numbers, each a pure function of its (seed, position, token).

    SplitMix64 mixing (Steele et al. 2014) of the three, then Box-Muller on two of its outputs.
    """
    key = _mix(_mix(_mix(seed.astype(np.uint64)) + position.astype(np.uint64)) + token.astype(np.uint64))
    scale = 2.0**-53
    radius = ((_mix(key) >> np.uint64(11)).astype(np.float64) + 0.5) * scale
    angle = (_mix(key ^ np.uint64(0xD1B54A32D192ED03)) >> np.uint64(11)).astype(np.float64) * scale
    return np.asarray(np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _ids(ids: Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(ids, dtype=np.int64)
