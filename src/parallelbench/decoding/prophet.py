"""Prophet (arXiv 2508.19982): stop early and fill in everything once the answer is settled."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, best_first
from parallelbench.decoding.scores import confidence

WAYS = ((0.33, 7.5), (0.67, 5.0), (1.0, 2.5))
"""(share of the masks decided, gap that settles the answer below it)."""


def early_exit(k: int, span: int, scale: float) -> Rule:
    """The k best masks of the block, or every mask once the first `span` positions are settled.

    Settled: the mean gap between the two largest logits is at least 7.5 * scale in the first third of the steps,
    5 * scale in the second, 2.5 * scale in the last.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        inside = best_first(proposal, torch.where(proposal.inside, score, NEVER), k) & proposal.inside
        progress = proposal.step * k / proposal.tokens.shape[1]
        bound = torch.full_like(progress, WAYS[-1][1])
        for share, gap in reversed(WAYS[:-1]):
            bound = torch.where(progress < share, gap, bound)
        settled = _gaps(proposal)[:, :span].mean(-1) >= scale * bound
        return torch.where(settled.unsqueeze(-1), proposal.masked, inside), memory

    return rule


def _gaps(proposal: Proposal) -> Tensor:
    """[B, G] largest logit minus the second; inf where one token alone is possible."""
    if proposal.logits.shape[-1] == 1:
        return torch.full(proposal.rows.shape, torch.inf)
    top = proposal.logits.float().topk(2, dim=-1).values
    return proposal.spread((top[:, 0] - top[:, 1]).nan_to_num(nan=0.0, posinf=torch.inf))


def _build(k: int, span: int, scale: float) -> Method:
    return parts(confidence, early_exit(k, span, scale), rows="region", reach="region")


K = Parameter("k", 1, "tokens committed a step before the exit", low=1)
SPAN = Parameter("span", 5, "first positions that have to be settled", low=1)
SCALE = Parameter("scale", 1.0, "factor on the three gaps; larger exits later", low=0.0)

ENTRIES = (
    Entry("prophet", "adaptive", "k at a time, everything at once when the first positions are settled",
          "arXiv 2508.19982", (K, SPAN, SCALE), _build, over("scale", 0.5, 1.0, 2.0, 4.0)),
)  # fmt: skip
