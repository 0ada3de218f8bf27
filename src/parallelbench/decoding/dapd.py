"""DAPD (arXiv 2603.12996): an independent set of the attention graph, whose edges grow fewer as the canvas fills."""

from typing import Literal

import torch
from torch import Tensor

from parallelbench.decoding.graph import independent, within
from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence

TINY = 1e-8


def dapd(high: float, low: float, sure: float, mode: Literal["staged", "direct"]) -> Rule:
    """Commit an independent set, visited by degree times confidence.

    An edge of a position is attention above tau of its own strongest edge; tau rises from `low` to `high` with the
    share of the region that is decided. "direct" commits confidences >= `sure` beside it, which block nobody;
    "staged" does so from half of the region on.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        masked = proposal.masked
        attention = within(proposal)
        pairs = masked.unsqueeze(-1) & masked.unsqueeze(-2) & ~torch.eye(masked.shape[-1], dtype=torch.bool)
        weight = torch.where(pairs, (attention + attention.transpose(-1, -2)) / 2, 0.0)
        done = 1 - proposal.undecided.double().mean(-1)
        tau = (low + (high - low) * done).float()[:, None, None]
        edge = weight / weight.amax(-1, keepdim=True).clamp_min(TINY) > tau
        direct = masked & (score >= sure)
        candidates = masked & ~direct if mode == "direct" else masked
        chosen = independent(candidates, weight.sum(-1) * score, edge.transpose(-1, -2))
        also = direct if mode == "direct" else direct & (done >= 0.5).unsqueeze(-1)
        return chosen | also, memory

    return rule


def _build(mode: Literal["staged", "direct"]) -> Entry:
    def build(high: float, low: float, sure: float, layers: float) -> Method:
        return parts(
            confidence, dapd(high, low, sure, mode), layers=layers, requires=frozenset({"attention"})
        )  # fmt: skip

    told = {"staged": "and what is sure from half of the region on", "direct": "and what is sure at once"}[mode]
    sure = Parameter("sure", {"staged": 0.9, "direct": 0.998}[mode], "confidence of what is sure", low=0.0, high=1.0)
    return Entry(
        f"dapd_{mode}", "adaptive", f"an independent set of the attention graph, {told}", "arXiv 2603.12996",
        (HIGH, LOW, sure, SHARE), build, over("high", 0.01, 0.05, 0.15, 0.4, 1.0), "traces", frozenset({"attention"}),
    )  # fmt: skip


HIGH = Parameter("high", 0.15, "share of the strongest edge that is none, at the end", low=0.0, high=1.0)
LOW = Parameter("low", 0.01, "the same at the start", low=0.0, high=1.0)
SHARE = Parameter("layers", 0.3, "share of the layers, the last ones, whose attention counts", low=0.0, high=1.0)

ENTRIES = (_build("staged"), _build("direct"))
