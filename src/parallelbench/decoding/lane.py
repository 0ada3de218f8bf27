"""Lanes: one sample under one method, before, during and after decoding."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import PREFILLED, UNDECIDED
from parallelbench.decoding.rules import Memory


@dataclass(frozen=True)
class Lane:
    """One sample under one setting, ready to decode.

    Attributes:
        id: Whatever identifies the result; the seed of its randomness together with `seed`.
        prompt: Prompt token ids.
        length: Tokens to generate, G.
        method: The unmasking method.
        seed: Run seed.
        prefill: The generation region with mask ids where tokens are to be generated, or None for all masks.
    """

    id: str
    prompt: tuple[int, ...]
    length: int
    method: Method
    seed: int = 0
    prefill: tuple[int, ...] | None = None

    @cached_property
    def random_seed(self) -> int:
        """Seed of the lane's generator: 63 bits of SHA-256 over run seed and lane id."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{self.id}".encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Revision:
    """A committed token that was masked again: where it stood, since which step, until which."""

    position: int
    token: int
    committed: int
    removed: int


@dataclass(frozen=True)
class Trajectory:
    """A finished lane.

    Attributes:
        lane: The lane.
        tokens: Final ids of the region, length G (may hold masks only when `error` is set, or with a published
            variant that has the fault "masks_stay").
        commit_step: Forward (from 0) that decided each final token; `PREFILLED` where it was given.
        revisions: Tokens that were committed and taken back, in order.
        nfe: Forwards the lane needed, counted as if it ran alone.
        rows: Canvases in those forwards (equal to nfe unless a method tries several at once).
        distance: Hamming distance of the result to the denoiser's support, None if it has none.
        seconds: The lane's share of the time spent.
        error: Why decoding failed, or None.
    """

    lane: Lane
    tokens: tuple[int, ...]
    commit_step: tuple[int, ...]
    revisions: tuple[Revision, ...]
    nfe: int
    rows: int
    distance: int | None
    seconds: float
    error: str | None = None


@dataclass
class LaneState:
    """A lane in flight. The loop alone changes it.

    Attributes:
        block: First and last-plus-one position of the active block.
        block_began: Forwards spent when it was entered.
        block_masks: Masks it had then.
        cache: The denoiser's key-value cache for this block, None before its first forward.
        stored: Columns that an exact block cache holds.
        shelf: The stacked memory that `memory` is a view of, its row there, and how many rows there are.
    """

    lane: Lane
    region: Int[Tensor, " G"]
    prompt: Int[Tensor, " P"]
    commit_step: Int[Tensor, " G"]
    memory: Memory
    block: tuple[int, int] = (0, 0)
    block_began: int = 0
    block_masks: int = 0
    cache: object | None = None
    stored: int = 0
    columns: Int[Tensor, " K"] | None = None
    nfe: int = 0
    rows: int = 0
    seconds: float = 0.0
    revisions: list[Revision] = field(default_factory=list)
    generator: torch.Generator | None = None
    shelf: tuple[Memory, int, int] | None = None

    @classmethod
    def fresh(cls, lane: Lane, mask_id: int, vocabulary: int, columns: Tensor | None = None) -> "LaneState":
        """The lane before its first forward.

        Raises:
            UsageError: block or k do not fit the length.
        """
        lane.method.check_length(lane.length)
        region = torch.tensor(lane.prefill or (mask_id,) * lane.length, dtype=torch.int64)
        if len(region) != lane.length:
            raise ValueError(f"prefill has {len(region)} tokens, the region {lane.length}")
        return cls(
            lane=lane,
            region=region,
            prompt=torch.tensor(lane.prompt, dtype=torch.int64),
            commit_step=torch.where(region == mask_id, UNDECIDED, PREFILLED),
            memory=lane.method.start(lane.length, vocabulary if columns is None else len(columns)),
            columns=columns,
        )

    def uniform(self) -> Tensor:
        """The lane's next G uniform numbers in [0, 1)."""
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(self.lane.random_seed)
        return torch.rand(self.lane.length, generator=self.generator)

    def go_on(self, mask_id: int, through: bool | None = None) -> bool:
        """After a forward: stay in the block or enter the next one; False when the lane is through.

        Args:
            mask_id: The mask token.
            through: What the method says of the block; None when that is for its masks to say.
        """
        if through is None:
            low, high = self.reach()
            through = mask_id not in self.region.numpy()[low:high]
        return not through or self.enter_next_block(mask_id)

    def reach(self) -> tuple[int, int]:
        """First and last-plus-one position whose masks are candidates."""
        start, end = self.block
        return {"block": (start, end), "prefix": (0, end), "region": (0, self.lane.length)}[self.lane.method.reach]

    def enter_next_block(self, mask_id: int) -> bool:
        """Move on to the first block that holds a mask; False when none is left.

        With the fault "one_pass" it is the first one behind this block, with "filled_blocks" simply the next.
        """
        masked = self.region.numpy() == mask_id  # a third of the time that torch takes
        faults = self.lane.method.faults
        if "one_pass" in faults or "filled_blocks" in faults:
            masked[: self.block[1]] = False
        if "filled_blocks" in faults:
            masked[self.block[1] :] = True
        where = masked.nonzero()[0]
        if not len(where):
            return False
        size = self.lane.method.block or self.lane.length
        shift = len(self.prompt) % size if self.lane.method.aligned else 0
        start = (int(where[0]) + shift) // size * size - shift
        self.block = (max(start, 0), min(start + size, self.lane.length))
        self.block_began = self.nfe
        if self.lane.method.cache != "block":  # the others hold what becomes stale
            self.cache = None
        self.block_masks = int((self.region.numpy()[slice(*self.block)] == mask_id).sum())
        return True

    def finish(self, distance: int | None = None, error: str | None = None) -> Trajectory:
        """The record of the lane as it stands."""
        return Trajectory(
            lane=self.lane,
            tokens=tuple(self.region.tolist()),
            commit_step=tuple(self.commit_step.tolist()),
            revisions=tuple(self.revisions),
            nfe=self.nfe,
            rows=self.rows,
            distance=distance,
            seconds=self.seconds,
            error=error,
        )
