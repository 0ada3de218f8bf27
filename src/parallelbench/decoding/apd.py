"""APD, adaptive parallel decoding (arXiv 2506.00413): a causal model says how far the draft can be trusted."""

from torch import Tensor

from parallelbench.decoding import scores
from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule


def agreed_prefix(r: float) -> Rule:
    """Commit the leftmost masks up to the first whose token is not argmax(r * draft + (1 - r) * verifier) of logits.

    The first mask is committed always.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        assert proposal.verifier is not None, "the loop refuses denoisers without a verifier"
        target = (r * proposal.logits.float() + (1 - r) * proposal.verifier.float()).argmax(-1)
        agrees = proposal.spread((target == proposal.choice).float()) > 0
        doubts = (proposal.masked & ~agrees).cumsum(-1)
        first = proposal.masked & (proposal.masked.cumsum(-1) == 1)
        return (proposal.masked & (doubts == 0)) | first, memory

    return rule


def _build(r: float) -> Method:
    return parts(scores.left_to_right, agreed_prefix(r), requires=frozenset({"verifier"}))


R = Parameter("r", 0.7, "weight of the draft in the mixture of logits", low=0.01, high=0.99)

ENTRIES = (
    Entry("apd", "adaptive", "the leftmost tokens a causal model agrees with", "arXiv 2506.00413",
          (R,), _build, over("r", 0.5, 0.6, 0.7, 0.8, 0.9), requires=frozenset({"verifier"})),
)  # fmt: skip
