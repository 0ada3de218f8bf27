"""One forward's canvases: left-padded, identical ones merged, with the logits rows somebody needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.decoding.lane import LaneState
from parallelbench.models.base import DenoiserSpec


@dataclass
class Batch:
    """C canvases of width L for lanes of one step with the same columns; a canvas may serve several lanes.

    Attributes:
        canvas: Prompt and region of each distinct canvas, padded on the left.
        attention_mask: False on padding.
        rows: Positions whose logits are needed by at least one lane of the canvas.
        columns: Token ids of the logits columns, None for the whole vocabulary.
        logits: Filled by the loop, rows in row-major order of `rows`.
    """

    states: Sequence[LaneState]
    canvas: Int[Tensor, "C L"]
    attention_mask: Bool[Tensor, "C L"]
    rows: Bool[Tensor, "C L"]
    index: dict[int, int]
    mask_id: int
    columns: Int[Tensor, " K"] | None
    logits: Float[Tensor, "N K"] = field(default_factory=lambda: torch.empty(0, 0))
    row_number: Int[Tensor, "C L"] | None = None

    @classmethod
    def of(cls, states: Sequence[LaneState], spec: DenoiserSpec, share: bool) -> "Batch":
        """Lay out the distinct canvases of the states (all of them when `share` is off)."""
        distinct: dict[object, list[LaneState]] = {}
        for state in states:
            key = (state.prompt.numpy().tobytes(), state.region.numpy().tobytes()) if share else id(state)
            distinct.setdefault(key, []).append(state)
        width = max(len(s.prompt) + len(s.region) for s in states)
        canvas = torch.full((len(distinct), width), spec.pad_id)
        attention_mask = torch.zeros((len(distinct), width), dtype=torch.bool)
        rows = torch.zeros((len(distinct), width), dtype=torch.bool)
        index = {}
        for number, sharers in enumerate(distinct.values()):
            first = sharers[0]
            start = width - len(first.region)
            canvas[number, start - len(first.prompt) : start] = first.prompt
            canvas[number, start:] = first.region
            attention_mask[number, start - len(first.prompt) :] = True
            for state in sharers:
                index[id(state)] = number
                rows[number, start:] |= _wanted(state, spec.mask_id)
        return cls(states, canvas, attention_mask, rows, index, spec.mask_id, states[0].columns)

    def groups(self) -> Iterator[list[LaneState]]:
        """Lanes that one call of a method can decide for: same setting, same length."""
        groups: dict[tuple[int, int], list[LaneState]] = {}
        for state in self.states:
            groups.setdefault((id(state.lane.method), state.lane.length), []).append(state)
        yield from groups.values()

    def wanted(self, group: Sequence[LaneState]) -> Bool[Tensor, "B G"]:
        """Positions of each lane's region that the lane itself asked for."""
        return torch.stack([_wanted(state, self.mask_id) for state in group])

    def logits_of(self, group: Sequence[LaneState], rows: Bool[Tensor, "B G"]) -> Float[Tensor, "n K"]:
        """The group's own logits rows, row-major; the shared tensor itself when the group owns all of it."""
        if len(group) == len(self.states) == len(self.canvas):
            return self.logits
        if self.row_number is None:
            self.row_number = torch.full(self.rows.shape, -1)
            self.row_number[self.rows] = torch.arange(len(self.logits))
        canvases = torch.tensor([self.index[id(state)] for state in group])
        numbers = self.row_number[canvases, -rows.shape[1] :][rows]
        return self.logits[numbers]


def _wanted(state: LaneState, mask_id: int) -> Bool[Tensor, " G"]:
    if state.lane.method.rows == "region":
        return torch.ones(len(state.region), dtype=torch.bool)
    start, end = state.block
    wanted = torch.zeros(len(state.region), dtype=torch.bool)
    wanted[start:end] = state.region[start:end] == mask_id
    return wanted
