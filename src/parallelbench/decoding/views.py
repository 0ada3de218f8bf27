"""What a method that looks further than its own logits rows gets to see."""

from typing import Any

import torch
from torch import Tensor

from parallelbench.decoding.canvas import Batch, Group
from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import NEVER, Layered, Prompt, softmax


def further(denoiser: Any, batch: Batch, group: Group, method: Method) -> dict[str, Any]:
    """The fields of a proposal that only some methods ask for."""
    found: dict[str, Any] = {}
    if batch.attention is not None:
        found["attention"] = batch.attention[batch.index[group.lanes].to(batch.attention.device)]
    if batch.layered is not None:
        found["layered"] = Layered(batch.layered.agrees[:, group.rows], batch.layered.probability[:, group.rows])
    if "newline" in method.requires:
        found["newline"] = torch.tensor(denoiser.tokenizer.encode("\n"), dtype=torch.int64)
    return found


def parted(batch: Batch, group: Group, method: Method, logits: Tensor) -> tuple[Tensor, Tensor, Prompt | None]:
    """The logits of the region's rows, their best columns, and what the rest says about the prompt."""
    choice = batch.greedy(group)[0]
    left = batch.wanted[group.lanes, : -group.states[0].lane.length]
    if method.rows != "canvas" or batch.columns is not None:
        return logits, choice, None
    row, column = batch.wanted[group.lanes].nonzero(as_tuple=True)
    inside = (column >= left.shape[1]).to(logits.device)
    sure = softmax(logits[~inside], 0.0, method.numerics.precision).amax(-1).float().cpu()
    confidence = torch.full(left.shape, NEVER).masked_scatter(left, sure)
    token = torch.full(left.shape, -1).masked_scatter(left, choice[~inside].cpu())
    return logits[inside], choice[inside], Prompt(confidence, token)
