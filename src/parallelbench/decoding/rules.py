"""Rules: which positions to commit, given their scores. Pure functions of one step."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.decoding.proposal import NEVER, Proposal

Memory = Mapping[str, Tensor]
"""What a method carries from step to step: tensors with the lanes as first dimension."""

Commit = Bool[Tensor, "B G"]
Rule = Callable[[Proposal, Tensor, Memory], tuple[Tensor, Memory]]


def ranking(score: Float[Tensor, "B G"], masked: Commit, ties: str = "lowest") -> Int[Tensor, "B G"]:
    """Rank of each position among the candidates, 0 the best; candidates come before all others.

    A NaN ranks last. Equal scores: the lowest position first, or `torch.topk`'s order for ties="torch".
    """
    key = torch.where(masked, score.nan_to_num(nan=torch.finfo(score.dtype).min), NEVER)
    if ties == "torch":
        order = key.topk(key.shape[-1], dim=-1).indices
    else:
        order = key.sort(dim=-1, descending=True, stable=True).indices
    rank = torch.empty_like(order)
    return rank.scatter_(-1, order, torch.arange(order.shape[-1], device=order.device).expand_as(order))


def best_first(proposal: Proposal, score: Float[Tensor, "B G"], count: int | Int[Tensor, "B 1"]) -> Commit:
    """The `count` best candidates of each lane (all of them where there are fewer)."""
    return proposal.masked & (ranking(score, proposal.masked, proposal.numerics.ties) < count)


def lowest(keys: Float[Tensor, "B G"], count: Int[Tensor, " B"]) -> Commit:
    """The `count` [B] positions of the smallest keys, the lowest position first among equals; never inf."""
    order = keys.sort(dim=-1, stable=True).indices
    rank = torch.empty_like(order).scatter_(-1, order, torch.arange(order.shape[-1]).expand_as(order))
    return (rank < count.unsqueeze(-1)) & keys.isfinite()


def best_of(candidates: Commit, score: Float[Tensor, "B G"], ties: str = "lowest") -> Commit:
    """The best of other candidates than the proposal's: one a lane, none where there is none."""
    return candidates & (ranking(score, candidates, ties) < 1)


def top_k(k: int) -> Rule:
    """Commit the k best candidates."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        if proposal.numerics.ties == "torch":  # torch.topk's order among ties depends on k
            return topk_of_torch(proposal, score, k), memory
        return best_first(proposal, score, k), memory

    return rule


def topk_of_torch(proposal: Proposal, score: Float[Tensor, "B G"], k: int) -> Commit:
    """The k best candidates in `torch.topk`'s own tie order."""
    key = torch.where(proposal.masked, score, NEVER)
    best = key.topk(min(k, key.shape[-1]), dim=-1).indices
    return torch.zeros_like(proposal.masked).scatter_(-1, best, True) & proposal.masked


def threshold(tau: float) -> Rule:
    """Commit every candidate with score >= tau (Fast-dLLM, arXiv 2505.22618)."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return proposal.masked & (score >= rounded(tau, proposal)), memory

    return rule


def rounded(tau: float, proposal: Proposal) -> float:
    """The threshold as the model's dtype sees it: bfloat16 compares with 0.8984375 for 0.9."""
    if proposal.numerics.precision == "model":
        return float(torch.tensor(tau, dtype=proposal.logits.dtype))
    return tau


def factor(f: float) -> Rule:
    """Commit the longest prefix of the ranking with (n + 1) (1 - c_(n)) <= f (Fast-dLLM's factor rule).

    c_(n) is the n-th best score; the best candidate always passes, a failing last one does not
    (published implementations commit it all the same, see `factor_at_pb`).
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return best_first(proposal, score, passing_prefix(f, proposal, score)), memory

    return rule


def factor_at_pb(f: float) -> Rule:
    """The factor rule as published: a last candidate that fails is committed with the one before it."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        count = passing_prefix(f, proposal, score)
        candidates = proposal.masked.sum(-1, keepdim=True)
        return best_first(proposal, score, torch.where(count == candidates - 1, candidates, count)), memory

    return rule


def passing_prefix(f: float, proposal: Proposal, score: Float[Tensor, "B G"]) -> Int[Tensor, "B 1"]:
    """How many of the ranked candidates pass c_(n) >= 1 - f / (n + 1) without a gap, the first one always."""
    rank = ranking(score, proposal.masked, proposal.numerics.ties)
    bound = 1 - f / (rank.float() + 2)
    if proposal.numerics.precision == "model":
        bound = bound.to(proposal.logits.dtype).float()
    fails = proposal.masked & (rank > 0) & ~(score >= bound)
    first_failure = torch.where(fails, rank, rank.shape[-1]).amin(-1, keepdim=True)
    return torch.minimum(first_failure, proposal.masked.sum(-1, keepdim=True))


def at_least_one(commit: Commit, proposal: Proposal, score: Float[Tensor, "B G"]) -> Commit:
    """Guarantee progress: lanes that would commit nothing commit their best candidate."""
    commit = commit & proposal.masked
    stuck = ~commit.any(-1, keepdim=True)
    if not bool(stuck.any()):
        return commit
    return commit | (stuck & best_first(proposal, score, 1))
