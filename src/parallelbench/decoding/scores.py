"""Scores: how safe it looks to commit each masked position. Larger is safer; float32 [B, G]."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from parallelbench.decoding.proposal import NEVER, Proposal

Scored = Float[Tensor, "B G"]


def confidence(proposal: Proposal) -> Scored:
    """Probability of the token that would be committed (MaskGIT; LLaDA's "low confidence" remasking)."""
    chosen = proposal.probabilities.gather(-1, proposal.choice.unsqueeze(-1))
    return proposal.spread(chosen.squeeze(-1))


def margin(proposal: Proposal) -> Scored:
    """Largest probability minus the second (Kim et al., arXiv 2502.06768)."""
    p = proposal.probabilities
    if p.shape[-1] == 1:
        return proposal.spread(p[:, 0])
    top = p.topk(2, dim=-1).values
    return proposal.spread(top[:, 0] - top[:, 1])


def entropy(proposal: Proposal) -> Scored:
    """Negative entropy in nats, in [-log V, 0] (Dream's "entropy")."""
    p = proposal.probabilities
    return proposal.spread(-torch.special.entr(p).sum(-1))


def random(proposal: Proposal) -> Scored:
    """Uniform noise: positions in random order."""
    return torch.where(proposal.rows, proposal.draw(), NEVER)


def left_to_right(proposal: Proposal) -> Scored:
    """Minus the position: the leftmost masks first."""
    positions = torch.arange(proposal.rows.shape[1], dtype=torch.float32)
    return torch.where(proposal.rows, -positions, NEVER)


SCORES: Mapping[str, Callable[[Proposal], Tensor]] = {
    "confidence": confidence,
    "margin": margin,
    "entropy": entropy,
    "random": random,
    "left_to_right": left_to_right,
}
"""Scores by name."""
