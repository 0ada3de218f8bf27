"""WINO (arXiv 2507.18578): commit widely, then take back what the others, once seen, do not support."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, Revise, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule, best_first, lowest

FIRST_LIMIT = 30
"""Tokens that may have been accepted before the first step of a block."""
SHARE, FEWEST, MOST = 0.7, 5, 20
"""Of the block's masks so many are accepted at once, within these bounds."""


def held_probability(proposal: Proposal) -> Tensor:
    """Confidence of the candidate at masks; leave-one-out probability of the held token elsewhere."""
    p = proposal.probabilities.gather(-1, proposal.held.unsqueeze(-1))
    return proposal.spread(p.squeeze(-1))


def accept(tau: float) -> Rule:
    """Commit masks with confidence > tau, at most 70 % of the block's masks (5 to 20)."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        masks = proposal.masked.sum(-1)
        cap = (SHARE * masks.double()).long().clamp(FEWEST, MOST).unsqueeze(-1)
        sure = proposal.masked & (score > tau)
        few = sure.sum(-1, keepdim=True) <= cap
        return torch.where(few, sure, best_first(proposal, score, cap)), memory

    return rule


def take_back(tau: float, given_too: bool) -> Revise:
    """Mask again tokens of the block with leave-one-out probability < tau, fewer than were accepted last time.

    Only in steps that accept more than one token, so that more are decided after two steps than before.
    """

    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        back = held_probability(proposal)
        visible = proposal.inside & ~proposal.undecided
        if not given_too:
            visible &= ~proposal.given
        doubtful = visible & (back < tau)
        last = torch.where(proposal.block_step == 0, FIRST_LIMIT, memory["last"])
        worst = lowest(torch.where(doubtful, back, torch.inf), (last - 1).clamp_min(0))
        accepted = commit.sum(-1)
        remask = torch.where((doubtful.sum(-1) >= last).unsqueeze(-1), worst, doubtful)
        return remask & (accepted > 1).unsqueeze(-1), {"last": accepted}

    return revise


def _start(length: int, columns: int) -> Memory:
    return {"last": torch.tensor(FIRST_LIMIT)}


def _build(tau: float, back: float) -> Method:
    return parts(
        held_probability, accept(tau), revise=take_back(back, False), start=_start, rows="block",
        requires=frozenset({"shadow"}),
    )  # fmt: skip


def _upstream(tau: float, back: float) -> Method:
    return parts(
        held_probability, accept(tau), revise=take_back(back, True), start=_start, rows="block",
        requires=frozenset({"shadow"}), faults=frozenset({"given_remasked"}),
    )  # fmt: skip


TAU = Parameter("tau", 0.6, "confidence to exceed", low=0.0, high=1.0)
BACK = Parameter("back", 0.9, "leave-one-out probability below which a token is taken back", low=0.0, high=1.0)
SWEEP = over("tau", 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PAPER = "arXiv 2507.18578"

ENTRIES = (
    Entry("wino", "revising", "commit widely, take back what the other tokens do not support", PAPER,
          (TAU, BACK), _build, SWEEP, "traces"),
    Entry("wino@upstream", "revising", "WINO that takes back given tokens too", PAPER,
          (TAU, BACK), _upstream, SWEEP, "traces"),
)  # fmt: skip
