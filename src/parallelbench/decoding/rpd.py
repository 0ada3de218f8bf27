"""RPD, Reliable Parallel Decoding (2026): sure or stable across layers, and little uncertainty to the left."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, best_of
from parallelbench.decoding.scores import confidence, entropy

MOST = 6
"""Layers in agreement that count at most."""
FIRST = 32
"""Masks from the left among which the best one is committed where nothing qualifies."""


def reliable(tau: float, low: float, stable: float, weight: float, beta: float) -> Rule:
    """Commit, scanning from the left, what is sure while the undecided entropy before it is at most beta nats.

    Sure is a confidence >= tau, or >= low with a stability >= `stable`: the number of last layers that agree (6 at
    most), minus `weight` times the confidence lost since the surest of them.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        masked = proposal.masked
        sure = masked & (score >= tau)
        if proposal.layered is not None:
            sure |= masked & (score >= low) & (stability(proposal, weight) >= stable)
        entropies = torch.where(masked, -entropy(proposal), 0.0)
        commit, before = torch.zeros_like(masked), torch.zeros(len(masked))
        for position in sure.any(0).nonzero().flatten().tolist():
            before = torch.where(commit, 0.0, entropies)[:, :position].sum(-1)
            commit[:, position] = sure[:, position] & (before <= beta)
        few = masked & (masked.cumsum(-1) <= FIRST)
        return torch.where(commit.any(-1, keepdim=True), commit, best_of(few, score)), memory

    return rule


def stability(proposal: Proposal, weight: float) -> Tensor:
    """[B, G] agreeing last layers minus weight times the fall from the best of them to the last."""
    assert proposal.layered is not None
    suffix = proposal.layered.agrees.flip(0).long().cumprod(0).bool()
    p = proposal.layered.probability.flip(0)
    fall = torch.where(suffix, p, NEVER).amax(0) - p[0]
    return proposal.spread(suffix.sum(0).clamp(max=MOST) - weight * fall)


def _build(tau: float, low: float, stable: float, weight: float, beta: float, layers: float) -> Method:
    return parts(
        confidence, reliable(tau, low, stable, weight, beta), layers=layers, requires=frozenset({"layers"})
    )  # fmt: skip


def _confidence_only(tau: float, beta: float) -> Method:
    return parts(confidence, reliable(tau, 1.0, 0.0, 0.0, beta))


TAU = Parameter("tau", 0.9, "confidence that is sure", low=0.0, high=1.0)
LOW = Parameter("low", 0.6, "confidence that is sure if stable", low=0.0, high=1.0)
STABLE = Parameter("stable", 3.5, "stability needed; 2.5 for Dream", low=0.0)
WEIGHT = Parameter("weight", 15.0, "of confidence lost in the last layers; 20 for Dream", low=0.0)
BETA = Parameter("beta", 4.0, "nats of undecided entropy to the left", low=0.0)
LAYERS = Parameter("layers", 0.5, "share of the layers, the last ones, that are asked", low=0.0, high=1.0)
SWEEP = over("tau", 0.6, 0.7, 0.8, 0.9, 0.95)
PAPER = "Reliable Parallel Decoding, 2026"

ENTRIES = (
    Entry("rpd", "adaptive", "sure, or stable across layers, with little uncertainty to the left", PAPER,
          (TAU, LOW, STABLE, WEIGHT, BETA, LAYERS), _build, SWEEP, requires=frozenset({"layers"})),
    Entry("rpd_ce", "adaptive", "RPD without hidden states: sure, with little uncertainty to the left", PAPER,
          (TAU, BETA), _confidence_only, SWEEP),
)  # fmt: skip
