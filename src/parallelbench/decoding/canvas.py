"""One forward's canvases: left-padded, identical ones merged, with the logits rows somebody needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from parallelbench.decoding.lane import LaneState
from parallelbench.decoding.proposal import Layered
from parallelbench.models.base import DenoiserSpec


@dataclass(frozen=True)
class Group:
    """Lanes that one call of a method can decide for (same setting, same length): neighbours in their batch.

    Attributes:
        states: The lanes.
        lanes: Their numbers in the batch.
        rows: The numbers of their logits rows, among those of all lanes of the batch.
    """

    states: Sequence[LaneState]
    lanes: slice
    rows: slice


@dataclass
class Batch:
    """S lanes of one step with the same columns, in C canvases of width L; a canvas may serve several lanes.

    Attributes:
        states: The lanes, those of a group side by side.
        canvas: Prompt and region of each distinct canvas, padded on the left.
        attention_mask: False on padding.
        rows: Positions whose logits are needed by at least one lane of the canvas.
        lanes: Each lane's own canvas.
        wanted: Positions that each lane itself asked for.
        masked: Each lane's candidates: undecided positions within its method's reach.
        block: First and last-plus-one position of each lane's active block, in its region.
        step: Forwards each lane has spent.
        block_step: Of these, in its active block.
        block_masks: Masks of that block when it was entered.
        columns: Token ids of the logits columns, None for the whole vocabulary.
        numbers: Logits row of each position in `wanted`; None where it is the position's own number.
        prompt: Prompt positions of each canvas.
        sizes: Lanes in each group.
        index: Canvas of each lane.
        logits: Filled by the loop, rows in row-major order of `rows`.
        attention: See `Proposal.attention`; None unless it was asked for.
        layered: See `Proposal.layered`.
    """

    states: Sequence[LaneState]
    canvas: Int[Tensor, "C L"]
    attention_mask: Bool[Tensor, "C L"]
    rows: Bool[Tensor, "C L"]
    lanes: Int[Tensor, "S L"]
    wanted: Bool[Tensor, "S L"]
    masked: Bool[Tensor, "S L"]
    block: Int[Tensor, "S 2"]
    step: Int[Tensor, " S"]
    block_step: Int[Tensor, " S"]
    block_masks: Int[Tensor, " S"]
    columns: Int[Tensor, " K"] | None
    numbers: Int[Tensor, " n"] | None
    prompt: Bool[Tensor, "C L"]
    sizes: Sequence[int]
    index: Int[Tensor, " S"]
    logits: Float[Tensor, "N K"] = field(default_factory=lambda: torch.empty(0, 0))
    attention: Float[Tensor, "C L L"] | None = None
    layered: Layered | None = None

    @classmethod
    def of(cls, states: Sequence[LaneState], spec: DenoiserSpec, share: bool) -> "Batch":
        """Lay out the distinct canvases of the states (all of them when `share` is off)."""
        # numpy: on arrays as small as these a torch call costs ten times as much
        groups: dict[tuple[int, int], list[LaneState]] = {}
        for state in states:
            groups.setdefault((id(state.lane.method), state.lane.length), []).append(state)
        states = [state for group in groups.values() for state in group]
        width = max(len(state.lane.prompt) + state.lane.length for state in states)
        lanes = np.full((len(states), width), spec.pad_id)
        region = width - np.array([state.lane.length for state in states])
        begin = region - [len(state.lane.prompt) for state in states]
        distinct: dict[object, int] = {}
        index, ends = np.empty(len(states), dtype=np.int64), np.empty(len(states), dtype=np.int64)
        for number, state in enumerate(states):
            lanes[number, begin[number] : region[number]] = state.prompt.numpy()
            lanes[number, region[number] :] = state.region.numpy()
            end = region[number] + state.block[1] if state.lane.method.cut else width
            ends[number] = end
            key = (begin[number], region[number], end, lanes[number].tobytes()) if share else number
            index[number] = distinct.setdefault(key, len(distinct))
        block = np.array([state.block for state in states])
        place = np.arange(width) - region[:, None]
        reach = np.array([state.reach() for state in states])
        masked = (place >= reach[:, :1]) & (place < reach[:, 1:]) & (lanes == spec.mask_id)
        wanted = masked
        if any(state.lane.method.rows != "active" for state in states):
            prompt = (place < 0) & (np.arange(width) >= begin[:, None])
            wanted = _wanted(states, masked, lanes == spec.mask_id, place, block, prompt)
        first = np.unique(index, return_index=True)[1]
        rows = np.zeros((len(first), width), dtype=np.bool_)
        np.logical_or.at(rows, index, wanted)
        row_number = rows.cumsum().reshape(rows.shape) - 1
        return cls(
            states=states,
            canvas=torch.from_numpy(lanes[first]),
            attention_mask=torch.from_numpy(
                (np.arange(width) >= begin[first, None]) & (np.arange(width) < ends[first, None])
            ),
            rows=torch.from_numpy(rows),
            lanes=torch.from_numpy(lanes),
            wanted=torch.from_numpy(wanted),
            masked=torch.from_numpy(masked),
            block=torch.from_numpy(block),
            step=torch.tensor([state.nfe for state in states]),
            block_step=torch.tensor([state.nfe - state.block_began for state in states]),
            block_masks=torch.tensor([state.block_masks for state in states]),
            columns=states[0].columns,
            numbers=None if len(first) == len(states) else torch.from_numpy(row_number[index][wanted]),
            prompt=torch.from_numpy((np.arange(width) >= begin[first, None]) & (place[first] < 0)),
            sizes=[len(group) for group in groups.values()],
            index=torch.from_numpy(index),
        )

    def groups(self) -> Iterator[Group]:
        """The lanes, those of the same setting and length together."""
        ends = [0, *self.wanted.sum(-1).cumsum(-1).tolist()]
        start = 0
        for size in self.sizes:
            stop = start + size
            yield Group(self.states[start:stop], slice(start, stop), slice(ends[start], ends[stop]))
            start = stop

    def separate(self) -> None:
        """Give every lane logits rows of its own, in row-major order of `wanted`."""
        if self.numbers is not None:
            self.logits, self.numbers = self.logits[self.numbers.to(self.logits.device)], None

    def logits_of(self, group: Group) -> Float[Tensor, "n K"]:
        """The group's own logits rows, row-major; a view where no canvas is shared."""
        if self.numbers is None:
            return self.logits[group.rows]
        return self.logits[self.numbers[group.rows].to(self.logits.device)]

    @cached_property
    def _greedy(self) -> tuple[Int[Tensor, " n"], Int[Tensor, "S L"]]:
        """Column of the best token at each position in `wanted`, and the lanes' canvases filled with them."""
        choice = self.logits.argmax(-1)
        if self.numbers is not None:
            choice = choice[self.numbers.to(choice.device)]
        return choice, self.filled(self.lanes, self.wanted, choice)

    def greedy(self, group: Group) -> tuple[Int[Tensor, " n"], Int[Tensor, "B G"]]:
        """Column of the best token at each of the group's rows, and its regions filled with them."""
        choice, canvas = self._greedy
        return choice[group.rows], self.regions(canvas, group)

    def filled(
        self, tokens: Int[Tensor, "B G"], rows: Bool[Tensor, "B G"], choice: Int[Tensor, " n"]
    ) -> Int[Tensor, "B G"]:
        """The tokens, with those at `rows` replaced by the chosen columns' ids."""
        ids = choice if self.columns is None else self.columns[choice]
        return tokens.masked_scatter(rows, ids.to(tokens.device))

    @staticmethod
    def regions(whole: Shaped[Tensor, "S L"], group: Group) -> Shaped[Tensor, "B G"]:
        """The part of a tensor of all lanes that is the group's generation regions."""
        return whole[group.lanes, -group.states[0].lane.length :]


def _wanted(
    states: Sequence[LaneState],
    active: NDArray[np.bool_],
    masks: NDArray[np.bool_],
    place: NDArray[np.int64],
    block: NDArray[np.int64],
    prompt: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """[S, L] the positions each lane's method wants logits of; a model that lists its columns has none on prompts."""
    kinds = {
        "active": active,
        "masked": masks & (place >= 0),
        "block": (place >= block[:, :1]) & (place < block[:, 1:]),
        "region": place >= 0,
        "canvas": ((place >= 0) & (place < block[:, 1:])) | (prompt & (states[0].columns is None)),
        "none": np.zeros_like(active),
    }
    return np.stack([kinds[state.lane.method.rows][number] for number, state in enumerate(states)])
