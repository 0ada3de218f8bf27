"""ADAS (arXiv 2606.10829): top-k whose later picks avoid positions that look at unsure earlier ones."""

import torch
from torch import Tensor

from parallelbench.decoding.graph import within
from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence


def attentive_top_k(k: int, alpha: float) -> Rule:
    """Commit k masks, each the best by confidence - alpha * sum over picked s of attention to s * (1 - conf. of s)."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        attention, lane = within(proposal), torch.arange(len(score))
        commit, value = torch.zeros_like(proposal.masked), score.clone()
        for _ in range(k):
            left = proposal.masked & ~commit
            best = torch.where(left, value, NEVER).argmax(-1)
            commit[lane, best] |= left.any(-1)
            doubt = torch.where(left.any(-1), 1 - score[lane, best], 0.0)
            value = value - alpha * attention[lane, :, best] * doubt.unsqueeze(-1)
        return commit, memory

    return rule


def _build(k: int, alpha: float) -> Method:
    return parts(confidence, attentive_top_k(k, alpha), layers=1, requires=frozenset({"attention"}))


K = Parameter("k", 4, "tokens committed a step", low=1)
ALPHA = Parameter("alpha", 40.0, "weight of the attention to unsure positions of the same step", low=0.0)

ENTRIES = (
    Entry("adas", "static", "the k most confident, less what depends on unsure ones of the same step",
          "arXiv 2606.10829", (K, ALPHA), _build, over("k", 1, 2, 4, 8, 16), "traces", frozenset({"attention"})),
)  # fmt: skip
