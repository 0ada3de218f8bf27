"""The kinds of forward that some methods need instead of the plain one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from parallelbench.decoding.canvas import Batch
from parallelbench.decoding.lane import LaneState
from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import Layered

SPECIAL = frozenset({"shadow", "verifier", "layers"})
"""Requirements that need a canvas of the lane's own."""
AT_ONCE = 16
"""Canvases with a hidden token that go through the model together, at least."""
ALWAYS = frozenset({"shadow", "newline"})
"""Requirements that any denoiser meets: by more canvases a forward (no guided one does), or by its tokenizer."""
WIDE = frozenset({"attention", "layers"})
"""Requirements that a forward gives more than logits."""


def missing(method: Method, capabilities: frozenset[str]) -> frozenset[str]:
    """What the method requires and the denoiser lacks."""
    met = ALWAYS - {"shadow"} if "prompt" in capabilities else ALWAYS
    return method.requires - capabilities - met


def canvases(denoiser: Any) -> int:
    """Canvases that a row costs: a guided model also sees the one with its prompt masked."""
    return 2 if "prompt" in denoiser.spec.capabilities else 1


def kind_of(state: LaneState) -> object:
    """Lanes of the same kind can share a batch: a lane with a cache is alone, a special forward shares no canvas."""
    method = state.lane.method
    if method.cache is not None:
        return id(state)
    return frozenset(method.requires & (SPECIAL | WIDE)), method.layers, method.rows == "none", method.cut


def is_special(method: Method) -> bool:
    """Whether the method's lanes need canvases of their own."""
    return method.cache is not None or bool(method.requires & SPECIAL)


def wide_logits(denoiser: Any, batch: Batch) -> None:
    """Logits of the batch's rows, and the attention or the earlier layers' answers the method wants to see."""
    method = batch.states[0].lane.method
    canvas, present, rows = batch.canvas, batch.attention_mask, batch.rows
    if "attention" in method.requires:
        batch.logits, batch.attention = denoiser.attended(canvas, present, rows, last(method.layers, denoiser.depth))
    else:
        batch.logits, *answers = denoiser.layered(canvas, present, rows, last(method.layers, denoiser.depth))
        batch.layered = Layered(*answers)


def last(layers: int | float, depth: int) -> int:
    """How many of `depth` layers: so many, or a share rounded up as DAPD rounds it (floats included), one at least."""
    count = layers if isinstance(layers, int) else depth - int(depth * (1 - layers))
    return min(max(1, count), depth)


def special_logits(denoiser: Any, batch: Batch) -> Tensor:
    """Logits of the batch's rows by a cached or a leave-one-out forward."""
    state = batch.states[0]
    if state.lane.method.cache is not None:
        return _cached(denoiser, batch, state)
    if "shadow" in denoiser.spec.capabilities:
        start = batch.canvas.shape[1] - torch.tensor([[state.lane.length] for state in batch.states])
        logits: Tensor = denoiser.shadow_logits(batch.canvas, batch.attention_mask, batch.rows, batch.block + start)
        return logits
    return _leave_one_out(denoiser.logits, batch, denoiser.spec.mask_id)


def _leave_one_out(ask: Callable[[Tensor, Tensor, Tensor], Tensor], batch: Batch, mask_id: int) -> Tensor:
    """Logits of `rows`; those of a visible token are of the canvas with that very token hidden.

    One canvas a visible token: exact, and counted in the lanes' `rows`.
    """
    lane, place = batch.rows.nonzero(as_tuple=True)
    visible = (batch.canvas[lane, place] != mask_id).nonzero().flatten()
    lane, place, order = lane[visible], place[visible], torch.arange(len(visible))
    hidden = batch.canvas[lane]
    hidden[order, place] = mask_id
    one = torch.zeros_like(hidden, dtype=torch.bool)
    one[order, place] = True
    logits = ask(batch.canvas, batch.attention_mask, batch.rows)
    for part in torch.split(order, max(len(batch.canvas), AT_ONCE)) if len(order) else ():
        logits[visible[part]] = ask(hidden[part], batch.attention_mask[lane[part]], one[part])
    for state, extra in zip(batch.states, torch.bincount(lane, minlength=len(batch.states)).tolist(), strict=True):
        state.rows += extra
    return logits


def _cached(denoiser: Any, batch: Batch, state: LaneState) -> Tensor:
    """A full forward at the start of a block, then only the block ("dual") or all from it on ("prefix")."""
    if state.lane.method.cache == "block":
        return _block_cached(denoiser, batch, state)
    logits: Tensor
    if state.cache is None:
        logits, state.cache = denoiser.prefill(batch.canvas, batch.attention_mask, batch.rows)
        return logits
    region = batch.canvas.shape[1] - state.lane.length
    start = region + state.block[0]
    end = batch.canvas.shape[1] if state.lane.method.cache == "prefix" else region + state.block[1]
    logits = denoiser.window_logits(state.cache, batch.canvas[:, start:end], start, batch.rows[:, start:end])
    return logits


def _block_cached(denoiser: Any, batch: Batch, state: LaneState) -> Tensor:
    """The model's own blocks that hold the method's one, against exact keys and values of all before them.

    A forward each for the whole blocks of the prompt and for the blocks that have become final.
    """
    canvas, none = batch.canvas, torch.zeros_like(batch.rows)
    prompt = canvas.shape[1] - state.lane.length
    size = denoiser.spec.block_size
    start = (prompt + state.block[0]) // size * size
    end = min(-(-(prompt + state.block[1]) // size) * size, canvas.shape[1])
    if state.cache is None:
        upto = start or end
        rows = batch.rows if start == 0 else none
        logits, state.cache = denoiser.prefill(canvas[:, :upto], batch.attention_mask[:, :upto], rows[:, :upto])
        state.stored = start
        if start == 0:
            return logits  # type: ignore[no-any-return]
        _count_extra(state)
    if state.stored < start:
        between = slice(state.stored, start)
        denoiser.window_logits(state.cache, canvas[:, between], state.stored, none[:, between], store=True)
        state.stored = start
        _count_extra(state)
    found: Tensor = denoiser.window_logits(state.cache, canvas[:, start:end], start, batch.rows[:, start:end])
    return found


def _count_extra(state: LaneState) -> None:
    """A forward that decides nothing counts, but not as a step of the block."""
    state.nfe, state.rows, state.block_began = state.nfe + 1, state.rows + 1, state.block_began + 1


def verified(denoiser: Any, batch: Batch, lanes: slice, token: Tensor, rows: Tensor) -> Tensor:
    """What the denoiser's causal verifier says at `rows` [B, G] about the lanes' drafts `token` [B, G]."""
    draft = batch.lanes[lanes].clone()
    draft[:, -token.shape[1] :] = token
    wanted = torch.zeros_like(draft, dtype=torch.bool)
    wanted[:, -token.shape[1] :] = rows
    found: Tensor = denoiser.verify(draft, batch.attention_mask[lanes], wanted)
    return found


def frequencies(denoiser: Any, batch: Batch) -> Tensor:
    """The denoiser's token frequencies in the batch's columns."""
    found: Tensor = denoiser.frequencies
    return found if batch.columns is None else found[batch.columns]
