"""DiffusionGemma's sampler (transformers 5.23): every step decides the whole canvas anew and keeps its surest part.

Its canvas is random tokens where nothing is kept, as its model was trained with; ours are masks.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Moment, Proposal, sample_tokens, softmax
from parallelbench.decoding.published import STEPS
from parallelbench.decoding.rules import Memory, Rule, best_first, ranking
from parallelbench.decoding.schedules import steps_a_block
from parallelbench.decoding.scores import left_to_right

Noise = Callable[[Proposal, Tensor, Tensor], Tensor]
"""(proposal, mask id of each lane [B], number of each lane's canvas [B]) -> [B, G] tokens."""
Limit = Callable[[Moment], int]
"""Forwards that a block may take."""


def temper(proposal: Proposal, logits: Tensor, rows: Tensor, cold: float, hot: float, limit: int) -> Tensor:
    """[N, K] probabilities at the step's temperature, which falls evenly from `hot` towards `cold`."""
    heat = cold + (hot - cold) * (limit - proposal.block_step) / limit
    by_row = heat.unsqueeze(-1).expand(rows.shape)[rows].unsqueeze(-1).to(logits.device)
    return softmax(logits / by_row, 0.0, proposal.numerics.precision)


def uncertainty(probabilities: Tensor, rows: Tensor) -> Tensor:
    """[B, G] entropies in nats, inf where there is no row."""
    found = torch.special.entr(probabilities).sum(-1)
    return torch.full(rows.shape, torch.inf).masked_scatter(rows, found.float().cpu())


def surest(entropies: Tensor, among: Tensor, bound: float) -> Tensor:
    """[B, G] positions whose more certain ones sum to at most `bound` nats; the most certain one always."""
    rank = ranking(-entropies, among)
    ranked = torch.zeros_like(entropies).double().scatter(-1, rank, torch.where(among, entropies, 0.0).double())
    before = ranked.cumsum(-1) - ranked
    return among & (before.gather(-1, rank) <= bound)


def settled(
    proposal: Proposal, best: Tensor, entropies: Tensor, among: Tensor, memory: Memory, stable: int, sure: float
) -> tuple[Tensor, Tensor]:
    """How often each lane's favourite canvas was just repeated, and whether that and its certainty are enough."""
    same = ((best == memory["best"]) | ~among).all(-1)
    run = torch.where((proposal.block_step > 0) & same, memory["run"] + 1, 0)
    mean = torch.where(among, entropies, 0.0).sum(-1) / among.sum(-1)
    return run, (run >= stable) & (mean < sure)


def named(proposal: Proposal, column: Tensor, rows: Tensor) -> Tensor:
    """[B, G] the token ids of the columns at the rows, the present ones elsewhere."""
    ids = column if proposal.columns is None else proposal.columns[column]
    return proposal.tokens.masked_scatter(rows, ids.to(proposal.tokens.device))


def changes(proposal: Proposal, among: Tensor, token: Tensor) -> Tensor:
    """The tokens to write, -1 where there is nothing new."""
    return torch.where(among & (token != proposal.tokens), token, -1)


def _leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
    return memory["over"]


def _start(length: int, columns: int) -> Memory:
    return {
        "best": torch.full((length,), -1), "keep": torch.zeros(length, dtype=torch.bool), "run": torch.tensor(0),
        "over": torch.tensor(False), "mask": torch.tensor(-1),
    }  # fmt: skip


def _build(bound: float, steps: int | None, stable: int, sure: float, cold: float, hot: float) -> Method:
    def score(proposal: Proposal) -> Tensor:
        heated = temper(proposal, proposal.logits, proposal.rows, cold, hot, steps_a_block(steps, proposal))
        return -uncertainty(heated, proposal.rows)

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        among = proposal.inside & ~proposal.given
        best = named(proposal, proposal.logits.argmax(-1), proposal.rows)
        run, calm = settled(proposal, best, -score, among, memory, stable, sure)
        over = calm | (proposal.block_step + 1 >= steps_a_block(steps, proposal))
        keep = surest(-score, among, bound)
        keep |= ~(keep & proposal.masked).any(-1, keepdim=True) & best_first(proposal, score, 1)  # one mask at least
        keep = torch.where(over.unsqueeze(-1), among, keep)
        token = torch.where(over.unsqueeze(-1), best, proposal.token)
        return changes(proposal, keep, token), {**memory, "best": best, "run": run, "over": over, "keep": keep}

    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return proposal.inside & ~memory["keep"], memory

    return parts(score, rule, revise=revise, leave=_leave, start=_start, rows="block", edits=True)


def any_token(proposal: Proposal, mask: Tensor, number: Tensor) -> Tensor:
    """Tokens drawn evenly from all columns but the mask."""
    if proposal.columns is not None:
        return proposal.columns[(proposal.draw() * len(proposal.columns)).long()]
    token = (proposal.draw() * (proposal.logits.shape[-1] - 1)).long()
    return token + (token >= mask.unsqueeze(-1))


def renoised(
    bound: float, limit: int, stable: int, sure: float, cold: float, hot: float, draw: str, noise: Noise = any_token
) -> Rule:
    """The rule on a canvas of random tokens: where nothing is kept, fresh ones; the favourite canvas at the end.

    Args:
        bound: Nats that the kept positions but the last may sum to.
        limit: Forwards that a block may take.
        stable: Repetitions of the favourite canvas before it is the result.
        sure: Mean entropy in nats below which it is.
        cold: Temperature that the last step comes near.
        hot: Temperature of the first step.
        draw: "sampled" or "greedy", how kept tokens are chosen.
        noise: Where random tokens come from.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        fresh, rows = (proposal.block_step == 0).unsqueeze(-1), proposal.inside
        mask = torch.where(fresh, torch.where(proposal.masked, proposal.tokens, -1), memory["mask"].unsqueeze(-1))
        mask = mask.amax(-1)
        canvas = proposal.tokens
        if bool(fresh.any()):
            canvas = torch.where(fresh & proposal.masked, noise(proposal, mask, proposal.block_step), canvas)
        logits = proposal.ask(torch.arange(len(rows)), canvas, rows)  # type: ignore[misc]
        heated = temper(proposal, logits, rows, cold, hot, limit)
        entropies, among = uncertainty(heated, rows), rows & ~proposal.given
        best = named(proposal, logits.argmax(-1), rows)
        run, calm = settled(proposal, best, entropies, among, memory, stable, sure)
        over = calm | (proposal.block_step + 1 >= limit)
        kept = best
        if draw == "sampled":
            kept = named(proposal, sample_tokens(heated, proposal.draw()[rows].to(heated.device)), rows)
        canvas = torch.where(surest(entropies, among, bound), kept, noise(proposal, mask, proposal.block_step + 1))
        token = torch.where(over.unsqueeze(-1), best, canvas)
        return changes(proposal, among, token), {**memory, "best": best, "run": run, "over": over, "mask": mask}

    return rule


def published(
    bound: float, limit: int, stable: int, sure: float, cold: float, hot: float, draw: str, noise: Noise = any_token
) -> Method:
    """The sampler as transformers has it, on a canvas that ends with the block; see `renoised`."""
    rule = renoised(bound, limit, stable, sure, cold, hot, draw, noise)
    return parts(
        left_to_right, rule, leave=_leave, start=_start, rows="none", edits=True, cut=True,
        faults=frozenset({"empty_steps"}),
    )  # fmt: skip


BOUND = Parameter("bound", 0.1, "entropy in nats that the kept positions but the last may sum to", low=0.0)
LIMIT = Parameter("limit", 48, "forwards a block at most", low=1)
STABLE = Parameter("stable", 1, "times the favourite canvas is repeated before it is the result", low=0)
SURE = Parameter("sure", 0.005, "mean entropy in nats below which it is", low=0.0)
COLD = Parameter("cold", 0.4, "temperature that the last step comes near", low=0.01)
HOT = Parameter("hot", 0.8, "temperature of the first step", low=0.01)
DRAW = Parameter("draw", "sampled", "how kept tokens are chosen", choices=("sampled", "greedy"))
SOURCE = "transformers 5.23"
SWEEP = over("bound", 0.1, 0.5, 1.0, 2.0, 4.0)

ENTRIES = (
    Entry("diffusion_gemma", "revising", "every step decides all positions anew and keeps the surest; masks elsewhere",
          SOURCE, (BOUND, STEPS, STABLE, SURE, COLD, HOT), _build, SWEEP, "traces"),
    Entry("diffusion_gemma@published", "revising", "the same on random tokens, which is what its own model knows",
          SOURCE, (BOUND, LIMIT, STABLE, SURE, COLD, HOT, DRAW), published, SWEEP, "traces"),
)  # fmt: skip
