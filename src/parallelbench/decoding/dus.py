"""DUS, dilated unmasking (arXiv 2506.19037): positions far apart first, whatever the scores say."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.schedules import dilated
from parallelbench.decoding.scores import confidence


def level_of(base: int, proposal: Proposal) -> tuple[Tensor, Tensor]:
    """[B, G] whether a position belongs to the level of this step, and [B, 1] whether that is the last one."""
    start, end = proposal.block[0].tolist()
    levels = dilated(end - start, base)
    number = torch.zeros(end - start, dtype=torch.int64)
    for index, level in enumerate(levels):
        number[level] = index
    offset = (torch.arange(proposal.tokens.shape[1]) - proposal.block[:, :1]).clamp(0, end - start - 1)
    step = proposal.block_step.unsqueeze(-1)
    return proposal.inside & (number[offset] == step), step >= len(levels) - 1


def by_levels(base: int, rho: float) -> Rule:
    """Commit the level's masks with confidence >= rho, all of them at the last level.

    What was too unsure at its level is decided by one closing forward, unless the loop leaves before.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        level, last = level_of(base, proposal)
        over = ~level.any(-1, keepdim=True)
        return proposal.masked & (over | (level & (last | (score >= rho)))), memory

    return rule


def _build(base: int, rho: float) -> Method:
    return parts(confidence, by_levels(base, rho))


def _pb(base: int, rho: float) -> Method:
    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        level, last = level_of(base, proposal)
        return level & ~last & ~proposal.masked & (confidence(proposal) < rho), memory

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        _, last = level_of(base, proposal)
        return last.squeeze(-1) | ~(undecided & proposal.inside).any(-1)

    return parts(
        confidence, by_levels(base, rho), revise=revise, leave=leave, rows="block",
        faults=frozenset({"empty_steps", "one_pass", "masks_stay", "given_remasked"}),
    )  # fmt: skip


BASE = Parameter("base", 2, "factor between the strides of two levels", low=2)
RHO = Parameter("rho", 0.3, "confidence below which a position waits", low=0.0, high=1.0)
PAPER = "arXiv 2506.19037"


def _sweep(length: int) -> list[dict[str, int]]:
    return [{"block": block} for block in (2, 4, 8, 16, 32) if length % block == 0]


ENTRIES = (
    Entry("dus", "adaptive", "positions far apart first; unsure ones wait for a closing forward", PAPER,
          (BASE, RHO), _build, _sweep, "traces"),
    Entry("dus@pb", "revising", "unsure positions of a level become masks for good, given ones too",
          "ParallelBench 2026", (BASE, RHO), _pb, _sweep, "traces"),
)  # fmt: skip
