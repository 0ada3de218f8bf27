"""EB-sampler (arXiv 2505.24857): as many positions as their joint entropy bound allows."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.published import SCORE
from parallelbench.decoding.rules import Memory, Rule, best_first, ranking
from parallelbench.decoding.scores import SCORES, entropy


def entropy_bounded(gamma: float) -> Rule:
    """The longest ranked prefix with sum H - max H <= gamma (nats), at least one position.

    The difference bounds what is lost by deciding the prefix at once instead of one after the other.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        rank = ranking(score, proposal.masked, proposal.numerics.ties)
        entropies = torch.where(proposal.masked, -entropy(proposal), 0.0).double()
        ranked = torch.zeros_like(entropies).scatter(-1, rank, entropies)
        excess = ranked.cumsum(-1) - ranked.cummax(-1).values
        return best_first(proposal, score, (excess <= gamma).sum(-1, keepdim=True)), memory

    return rule


def _build(gamma: float, score: str) -> Method:
    return parts(SCORES[score], entropy_bounded(gamma))


GAMMA = Parameter("gamma", 0.1, "entropy in nats that may be lost a step", low=0.0)
PROXY = Parameter(SCORE.name, "entropy", "score that ranks the positions", choices=SCORE.choices)

ENTRIES = (
    Entry("eb", "adaptive", "as many of the surest positions as their summed entropy allows", "arXiv 2505.24857",
          (GAMMA, PROXY), _build, over("gamma", 0.01, 0.1, 0.5, 1.0, 2.0, 4.0), "traces"),
)  # fmt: skip
