"""SlowFast sampling (arXiv 2506.10848): look around first, then fill a stretch of growing certainty at once."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Leave, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, best_of
from parallelbench.decoding.scores import confidence

CALM = 1.0
"""Standard deviation of the last two estimates below which they count as settled."""


def slow_fast(tau: float, cycle: float, explore: int) -> Rule:
    """Cycles of `explore` slow forwards over the rest of the block, then fast ones over a stretch of it.

    Every forward commits the masks of its stretch with confidence >= tau if there are two, else the best one. Slow
    ones estimate where the stretch ends: behind the farthest mask with confidence >= cycle. It ends there when two
    estimates agree, else at the mean of the last two.

    Args:
        tau: Confidence of what is committed together.
        cycle: Confidence that belongs to the stretch.
        explore: Slow forwards a cycle.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        fresh = proposal.block_step == 0
        now = {key: torch.where(fresh, BEFORE[key], value) for key, value in memory.items()}
        sure = torch.where(proposal.masked, score, NEVER)
        fast = now["fast"] > 0
        end = torch.where(fast | (now["settled"] > 0), now["end"], _end(proposal, sure, now, cycle, explore))
        settled = torch.where(fast, 1, _settled(proposal, sure, now, cycle))
        limit = torch.where(fast, end, proposal.size).unsqueeze(-1)
        stretch = proposal.masked & (proposal.offset >= now["start"].unsqueeze(-1)) & (proposal.offset < limit)
        high = stretch & (sure >= tau)
        several = high.sum(-1, keepdim=True) > 1
        commit = torch.where(several, high, best_of(stretch, sure, proposal.numerics.ties))
        last = torch.where(fast, now["last"], _estimate(proposal, sure, now["start"], cycle))
        now = {**now, "end": end, "settled": settled, "last": last}
        return commit, _next(proposal, commit, now, explore)

    return rule


BEFORE = {"start": 0, "end": 0, "fast": 0, "slow": 0, "settled": 0, "last": -1}
"""Memory at the start of a block: offsets of the stretch, phase, slow forwards made, last estimate."""


def _estimate(proposal: Proposal, sure: Tensor, start: Tensor, cycle: float) -> Tensor:
    """[B] where the stretch seems to end: behind the farthest confident mask, one ahead if there is none."""
    ahead = proposal.inside & (proposal.offset >= start.unsqueeze(-1))
    far = torch.where(ahead & (sure >= cycle), proposal.offset + 1, 0).amax(-1)
    found = torch.where(far > start, far, start + ahead.any(-1).long())
    return torch.minimum(found.clamp_min(1), proposal.size)


def _calm(now: Memory, found: Tensor) -> Tensor:
    return (now["last"] >= 0) & ((found - now["last"]).abs() / 2 < CALM)


def _settled(proposal: Proposal, sure: Tensor, now: Memory, cycle: float) -> Tensor:
    found = _estimate(proposal, sure, now["start"], cycle)
    return torch.where(_calm(now, found), 1, now["settled"])


def _end(proposal: Proposal, sure: Tensor, now: Memory, cycle: float, explore: int) -> Tensor:
    """[B] end of the stretch as of this slow forward."""
    found = _estimate(proposal, sure, now["start"], cycle)
    mean = torch.where(now["last"] >= 0, (found + now["last"]) // 2, found)
    return torch.where(_calm(now, found), found, torch.where(now["slow"] + 1 >= explore, mean, now["end"]))


def _next(proposal: Proposal, commit: Tensor, now: Memory, explore: int) -> Memory:
    """The memory after the forward: the next phase, or the next cycle when the stretch is full."""
    slow = torch.where(now["fast"] > 0, now["slow"], now["slow"] + 1)
    fast = (now["fast"] > 0) | (slow >= explore)
    end = torch.minimum(now["end"].clamp_min(1), proposal.size)
    offset = proposal.offset
    inside = (offset >= now["start"].unsqueeze(-1)) & (offset < end.unsqueeze(-1))
    over = fast & ~(proposal.undecided & ~commit & inside).any(-1)
    after = {**now, "end": end, "fast": fast.long(), "slow": slow}
    again = {**{key: torch.tensor(value) for key, value in BEFORE.items()}, "start": end, "end": end}
    return {key: torch.where(over, again[key], after[key]) for key in after}


def _start(length: int, columns: int) -> Memory:
    return {key: torch.tensor(value) for key, value in BEFORE.items()}


def _between_cycles() -> Leave:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        full = ~(undecided & proposal.inside).any(-1)
        return full & (memory["fast"] == 0) & (memory["slow"] == 0)

    return leave


def _build(tau: float, cycle: float, explore: int) -> Method:
    return parts(confidence, slow_fast(tau, cycle, explore), start=_start)


def _pb(tau: float, cycle: float, explore: int) -> Method:
    return parts(
        confidence, slow_fast(tau, cycle, explore), start=_start, leave=_between_cycles(),
        faults=frozenset({"empty_steps"}),
    )  # fmt: skip


TAU = Parameter("tau", 0.9, "confidence of what is committed together", low=0.0, high=1.0)
CYCLE = Parameter("cycle", 0.3, "confidence that belongs to the stretch", low=0.0, high=1.0)
EXPLORE = Parameter("explore", 6, "slow forwards a cycle", low=1)
SWEEP = over("tau", 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

ENTRIES = (
    Entry("slowfast", "adaptive", "slow forwards find a stretch of certainty, fast ones fill it", "arXiv 2506.10848",
          (TAU, CYCLE, EXPLORE), _build, SWEEP, "traces"),
    Entry("slowfast@pb", "adaptive", "SlowFast that goes on exploring a block that is full", "ParallelBench 2026",
          (TAU, CYCLE, EXPLORE), _pb, SWEEP, "traces"),
)  # fmt: skip
