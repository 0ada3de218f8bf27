"""KLASS (arXiv 2511.05664): commit what is sure and has stopped changing."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Leave, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.published import STEPS, after_steps
from parallelbench.decoding.rules import Memory, Rule, best_first
from parallelbench.decoding.schedules import steps_a_block, uniform
from parallelbench.decoding.scores import confidence

EPS = 1e-12
"""Added to probabilities inside logarithms."""
Choose = Literal["all", "max_conf", "min_kl"]


def klass(tau: float, kappa: float, history: int, steps: int | None, choose: str, per_block: bool) -> Rule:
    """Commit masks with confidence > tau whose last `history` KL(now || before) are all < kappa.

    Where none is ready, the best by confidence, as many as an even schedule of `steps` says.

    Args:
        tau: Confidence to exceed.
        kappa: Divergence in nats to stay below.
        history: Forwards in a row it has to.
        steps: Forwards of the schedule; None is one token a forward.
        choose: "all" ready ones, the one of "max_conf", or of "min_kl".
        per_block: Forget distributions and divergences at the start of each block.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        kls, memory = _divergences(proposal, _renewed(memory, proposal) if per_block else memory)
        settled = (kls < kappa).all(-1) & (proposal.block_step >= history - 1).unsqueeze(-1)
        ready = proposal.masked & settled & (score > tau)
        if choose != "all":
            ready &= _best(ready, score if choose == "max_conf" else -kls[..., -1], proposal)
        quota = uniform(proposal.block_masks, steps_a_block(steps, proposal), proposal.block_step)
        fallback = best_first(proposal, score, quota.unsqueeze(-1))
        return torch.where(ready.any(-1, keepdim=True), ready, fallback), memory

    return rule


def _divergences(proposal: Proposal, memory: Memory) -> tuple[Tensor, Memory]:
    """[B, G, H] latest KL(now || before) of every position, and the memory with the distributions of now."""
    p = proposal.probabilities
    now = (p + EPS).log()
    rows = proposal.rows.to(p.device)
    before = memory["before"].to(p)
    kl = (p * now).sum(-1) - torch.linalg.vecdot(p, before[rows])
    before = before.clone() if before is memory["before"] else before
    before[rows] = now
    history = torch.cat([memory["history"][..., 1:], proposal.spread(kl).unsqueeze(-1)], dim=-1)
    return history, {"before": before, "history": history}


def _renewed(memory: Memory, proposal: Proposal) -> Memory:
    fresh = proposal.block_step == 0
    if not bool(fresh.any()):
        return memory
    before, history = memory["before"].clone(), memory["history"].clone()
    before[fresh.to(before.device)], history[fresh] = torch.tensor(EPS, dtype=before.dtype).log().item(), 0.0
    return {"before": before, "history": history}


def _best(candidates: Tensor, key: Tensor, proposal: Proposal) -> Tensor:
    """The first candidate of the largest key in each lane."""
    best = torch.where(candidates, key, NEVER).argmax(-1, keepdim=True)
    return torch.zeros_like(candidates).scatter_(-1, best, True)


def _start(history: int) -> Callable[[int, int], Memory]:
    def start(length: int, columns: int) -> Memory:
        never = torch.tensor(EPS).log().item()
        return {"before": torch.full((length, columns), never), "history": torch.zeros(length, history)}

    return start


def _build(tau: float, kappa: float, history: int, choose: Choose) -> Method:
    return parts(confidence, klass(tau, kappa, history, None, choose, False), start=_start(history), rows="masked")


def _upstream(tau: float, kappa: float, history: int, choose: Choose, steps: int | None) -> Method:
    return parts(
        confidence, klass(tau, kappa, history, steps, choose, False), start=_start(history), rows="masked",
        leave=_full_or_spent(steps), faults=frozenset({"one_pass", "masks_stay"}),
    )  # fmt: skip


def _pb(tau: float, kappa: float, history: int, steps: int | None) -> Method:
    return parts(
        confidence, klass(tau, kappa, history, steps, "all", True), start=_start(history),
        leave=_full_or_spent(steps), faults=frozenset({"one_pass", "masks_stay"}),
    )  # fmt: skip


def _full_or_spent(steps: int | None) -> Leave:
    spent = after_steps(steps)

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return ~(undecided & proposal.inside).any(-1) | spent(proposal, undecided, memory)

    return leave


TAU = Parameter("tau", 0.9, "confidence to exceed", low=0.0, high=1.0)
KAPPA = Parameter("kappa", 0.01, "divergence in nats to stay below", low=0.0)
HISTORY = Parameter("history", 2, "forwards in a row the divergence has to", low=1)
CHOOSE = Parameter("choose", "all", "which of the ready positions", choices=("all", "max_conf", "min_kl"))
SWEEP = over("tau", 0.7, 0.8, 0.9, 0.95)
PAPER = "arXiv 2511.05664"

ENTRIES = (
    Entry("klass", "adaptive", "confident positions whose distribution has stopped changing", PAPER,
          (TAU, KAPPA, HISTORY, CHOOSE), _build, SWEEP, "traces"),
    Entry("klass@upstream", "adaptive", "KLASS with a number of steps, after which masks stay", PAPER,
          (TAU, KAPPA, HISTORY, CHOOSE, STEPS), _upstream, SWEEP, "traces"),
    Entry("klass@pb", "adaptive", "KLASS that forgets its history at each block; masks may stay", "ParallelBench 2026",
          (TAU, KAPPA, HISTORY, STEPS), _pb, SWEEP, "traces"),
)  # fmt: skip
