"""CreditDecoding (arXiv 2510.06133): a token that keeps being the favourite earns credit in the logits."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Adjust, Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence

NEAR = 1e-5
"""Candidates this close to the best one pass with it (dInfer)."""


def credited(alpha: float, gamma: float, beta: float) -> Adjust:
    """Logits + alpha ln(1 + credit); credit falls by beta a step and rises by p^gamma for the favourite token."""

    def adjust(proposal: Proposal, memory: Memory) -> tuple[Tensor, Memory]:
        best = proposal.probabilities.max(-1)
        rows = proposal.rows.to(best.values.device)
        credit = memory["credit"].to(best.values.device)
        now = credit[rows] * beta
        now.scatter_add_(-1, best.indices.unsqueeze(-1), best.values.float().pow(gamma).unsqueeze(-1))
        credit = credit.masked_scatter(rows.unsqueeze(-1), now)
        return proposal.logits + alpha * now.log1p(), {"credit": credit}

    return adjust


def near_best(tau: float) -> Rule:
    """Commit scores of at least tau, or of at least the best one's (less 1e-5) where none reaches it."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        best = torch.where(proposal.masked, score, NEVER).amax(-1, keepdim=True)
        return proposal.masked & (score >= (best - NEAR).clamp_max(tau)), memory

    return rule


def _start(length: int, columns: int) -> Memory:
    return {"credit": torch.zeros(length, columns)}


def _build(tau: float, alpha: float, gamma: float, beta: float) -> Method:
    return parts(confidence, near_best(tau), adjust=credited(alpha, gamma, beta), start=_start)


TAU = Parameter("tau", 0.9, "commit scores of at least this", low=0.0, high=1.0)
ALPHA = Parameter("alpha", 0.7, "weight of the credit in the logits", low=0.0)
GAMMA = Parameter("gamma", 0.2, "power of the probability that is earned", low=0.0)
BETA = Parameter("beta", 0.8, "share of the credit kept a step", low=0.0, high=1.0)

ENTRIES = (
    Entry("credit", "adaptive", "threshold on logits in which lasting favourites have earned credit",
          "arXiv 2510.06133", (TAU, ALPHA, GAMMA, BETA), _build, over("tau", 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
)  # fmt: skip
