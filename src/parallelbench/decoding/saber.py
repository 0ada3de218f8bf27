"""Saber (arXiv 2510.18165): commit what beats the average so far, take back what gains least from its neighbours."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, Revise, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, best_first, lowest
from parallelbench.decoding.scores import confidence


def rising(n: int) -> tuple[Rule, Revise]:
    """Commit masks above the mean confidence of all commits up to the block's end; the best n where fewer are.

    Then as many as F / 8 (F = commits; at least n / 2, fewer than F) visible tokens become masks again: those whose
    re-predicted confidence has changed least since the forward before. Given tokens are left alone, and a token
    without a forward before to compare with.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        kept = memory["kept"]
        known = kept.isfinite() & (proposal.offset < proposal.size.unsqueeze(-1))
        mean = torch.where(known, kept, 0.0).sum(-1) / known.sum(-1)
        bound = torch.where(known.any(-1), mean, 1.0).unsqueeze(-1)
        above = proposal.masked & (score > bound)
        commit = torch.where(above.sum(-1, keepdim=True) < n, best_first(proposal, score, n), above)
        removed = _least_gain(proposal, score, commit, memory)
        kept = torch.where(commit, score, kept)
        return commit & ~removed, {"kept": kept, "before": score, "removed": removed}

    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return memory["removed"] & ~proposal.undecided, memory

    def _least_gain(proposal: Proposal, score: Tensor, commit: Tensor, memory: Memory) -> Tensor:
        full = ~(proposal.masked & ~commit).any(-1)
        count = commit.sum(-1)
        changed = torch.maximum(count, torch.tensor(n))
        back = torch.minimum(torch.maximum(torch.tensor(n // 2), -(-changed // 8)), count - 1).clamp_min(0)
        before_end = proposal.offset < proposal.size.unsqueeze(-1)
        visible = before_end & ~proposal.given & (~proposal.undecided | commit)
        gain = torch.where(visible, score - memory["before"], torch.inf).nan_to_num(nan=torch.inf, neginf=torch.inf)
        return lowest(gain, torch.where(full, 0, back))

    return rule, revise


def _start(length: int, columns: int) -> Memory:
    never = torch.full((length,), NEVER)
    return {"kept": never, "before": never.clone(), "removed": torch.zeros(length, dtype=torch.bool)}


def _build(n: int) -> Method:
    rule, revise = rising(n)
    return parts(confidence, rule, revise=revise, start=_start, rows="region", reach="prefix")


N = Parameter("n", 2, "fewest commits a step", low=2)

ENTRIES = (
    Entry("saber", "revising", "commit above the running mean, take back what gains least", "arXiv 2510.18165",
          (N,), _build, over("n", 2, 4, 8)),
)  # fmt: skip
