"""LocalLeap (arXiv 2510.07081): around a sure position the neighbours need less."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.published import TAU
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence


def leap(tau: float, near: float, radius: int) -> Rule:
    """Commit masks with confidence >= tau, and those with >= near at most `radius` away from one of them."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        anchors = proposal.masked & (score >= tau)
        place = torch.arange(anchors.shape[-1])
        close = (place - place.unsqueeze(-1)).abs() <= radius
        around = (anchors.unsqueeze(-2) & close).any(-1)
        return anchors | (proposal.masked & around & (score >= near)), memory

    return rule


def _build(tau: float, near: float, radius: int) -> Method:
    return parts(confidence, leap(tau, near, radius))


NEAR = Parameter(
    "near", 0.75, "confidence that is enough near one of tau; the authors take 0.8 on Dream", low=0.0, high=1.0
)  # noqa: E501
RADIUS = Parameter("radius", 4, "positions to each side that count as near", low=0)

ENTRIES = (
    Entry("localleap", "adaptive", "confidence >= tau, and less within reach of such a position", "arXiv 2510.07081",
          (TAU, NEAR, RADIUS), _build, over("tau", 0.75, 0.8, 0.85, 0.9, 0.95), "traces"),
)  # fmt: skip
