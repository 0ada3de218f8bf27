"""The kinds of forward that some methods need instead of the plain one."""

from typing import Any

import torch
from torch import Tensor

from parallelbench.decoding.canvas import Batch
from parallelbench.decoding.lane import LaneState
from parallelbench.decoding.method import Method

SPECIAL = frozenset({"shadow", "verifier"})


def kind_of(state: LaneState) -> object:
    """Lanes of the same kind can share a batch: a lane with a cache is alone, a special forward shares no canvas."""
    method = state.lane.method
    if method.cache is not None:
        return id(state)
    return frozenset(method.requires & SPECIAL)


def is_special(method: Method) -> bool:
    """Whether the method's lanes need canvases of their own."""
    return method.cache is not None or bool(method.requires & SPECIAL)


def special_logits(denoiser: Any, batch: Batch) -> Tensor:
    """Logits of the batch's rows by a cached or a leave-one-out forward."""
    state = batch.states[0]
    if state.lane.method.cache is not None:
        return _cached(denoiser, batch, state)
    start = batch.canvas.shape[1] - torch.tensor([[state.lane.length] for state in batch.states])
    logits: Tensor = denoiser.shadow_logits(batch.canvas, batch.attention_mask, batch.rows, batch.block + start)
    return logits


def _cached(denoiser: Any, batch: Batch, state: LaneState) -> Tensor:
    """A full forward at the start of a block, then only the block ("dual") or all from it on ("prefix")."""
    logits: Tensor
    if state.cache is None:
        logits, state.cache = denoiser.prefill(batch.canvas, batch.attention_mask, batch.rows)
        return logits
    region = batch.canvas.shape[1] - state.lane.length
    start = region + state.block[0]
    end = batch.canvas.shape[1] if state.lane.method.cache == "prefix" else region + state.block[1]
    logits = denoiser.window_logits(state.cache, batch.canvas[:, start:end], start, batch.rows[:, start:end])
    return logits


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
