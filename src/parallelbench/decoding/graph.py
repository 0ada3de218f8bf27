"""Graphs of positions that depend on each other."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from parallelbench.decoding.proposal import NEVER, Proposal


def independent(
    candidates: Bool[Tensor, "B G"], priority: Float[Tensor, "B G"], excludes: Bool[Tensor, "B G G"]
) -> Bool[Tensor, "B G"]:
    """Greedy independent set: the candidate of highest priority, then the best that no chosen one excludes, ...

    Args:
        candidates: Positions to choose from.
        priority: Larger goes first, the lowest position among equals.
        excludes: Whether choosing row s rules out column i.
    """
    left, chosen = candidates.clone(), torch.zeros_like(candidates)
    while bool(left.any()):
        best = torch.where(left, priority, NEVER).argmax(-1)
        picked = torch.zeros_like(left).scatter_(-1, best.unsqueeze(-1), True) & left
        chosen |= picked
        out = excludes[torch.arange(len(left)), best]
        left &= ~(picked | out)
    return chosen


def within(proposal: Proposal) -> Float[Tensor, "B G G"]:
    """Attention of the region's positions (rows) to each other (columns), on the CPU."""
    assert proposal.attention is not None, "the loop refuses denoisers without attention"
    length = proposal.masked.shape[1]
    return proposal.attention[:, -length:, -length:].float().cpu()
