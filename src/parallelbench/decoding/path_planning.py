"""P2, path planning (arXiv 2502.03540): every step re-decides which positions stay, those decided before included."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, parts
from parallelbench.decoding.proposal import Moment, Proposal
from parallelbench.decoding.published import STEPS, after_steps, by_steps
from parallelbench.decoding.rules import Memory
from parallelbench.decoding.schedules import steps_a_block
from parallelbench.decoding.scores import confidence

KAPPAS: dict[str, Callable[[float], float]] = {"linear": lambda u: u, "sine": lambda u: math.sin(math.pi * u / 2)}
"""Share of the positions that stay after the share u of the steps."""


def plan(steps: int | None, eta: float, kappa: str) -> Callable[[Proposal], Tensor]:
    """[B, G] positions that stay: all but those whose log-probability is below the (k + 1)-th smallest.

    k is the share 1 - kappa of the positions that were not given. A decided position counts with the log-probability
    of what the model would put there now, times eta: above 1 makes it look worse, 0 keeps it for good.
    """

    def kept(proposal: Proposal) -> Tensor:
        free = proposal.inside & ~proposal.given
        log_p = torch.full(proposal.rows.shape, torch.inf, dtype=torch.float64)
        best = proposal.logits.double().log_softmax(-1).gather(-1, proposal.choice.unsqueeze(-1)).squeeze(-1)
        log_p.masked_scatter_(proposal.rows, best.cpu())
        log_p = torch.where(free & ~proposal.undecided, log_p * eta, log_p)
        log_p = torch.where(free, log_p, torch.inf)
        count = _masked_after(proposal, free.sum(-1))
        bound = log_p.sort(dim=-1).values.gather(-1, count.unsqueeze(-1).clamp(max=log_p.shape[-1] - 1))
        return ~(log_p < bound)

    def _masked_after(moment: Moment, free: Tensor) -> Tensor:
        total = steps_a_block(steps, moment)
        left = [1 - KAPPAS[kappa](min(step + 1, total) / total) for step in moment.block_step.tolist()]
        return (free.float() * torch.tensor(left)).long()

    return kept


def _parts(steps: int | None, eta: float, kappa: str) -> Method:
    kept = plan(steps, eta, kappa)

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        keep = kept(proposal)
        return proposal.masked & keep, {**memory, "keep": keep}

    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return proposal.inside & ~memory["keep"], memory

    def start(length: int, columns: int) -> Memory:
        return {"keep": torch.ones(length, dtype=torch.bool)}

    return parts(confidence, rule, revise=revise, start=start, rows="block")


def _upstream(steps: int | None, eta: float, kappa: str) -> Method:
    faults = frozenset({"empty_steps", "filled_blocks"})
    return replace(_parts(steps, eta, kappa), leave=after_steps(steps), faults=faults)  # type: ignore[arg-type]


ETA = Parameter("eta", 1.0, "above 1 decided tokens look worse than masks; 0: none is taken back", low=0.0)
KAPPA = Parameter("kappa", "linear", "how the share that stays grows", choices=tuple(KAPPAS))
PAPER = "arXiv 2502.03540"

ENTRIES = (
    Entry("p2", "revising", "every step re-decides which positions stay, decided ones included", PAPER,
          (STEPS, ETA, KAPPA), _parts, by_steps, "traces"),
    Entry("p2@upstream", "revising", "P2 in exactly `steps` forwards, some of which decide nothing", PAPER,
          (STEPS, ETA, KAPPA), _upstream, by_steps, "traces"),
)  # fmt: skip
