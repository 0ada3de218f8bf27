"""The rule behind `optimal:T=...`: commit what an exact dynamic program over all policies says."""

from torch import Tensor

from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule


def optimal(T: int) -> Rule:
    """Commit the positions that maximise the probability of a correct answer within T steps.

    The policy belongs to the denoiser (capability "policy"): it knows the distribution of the answers, and
    which sets of positions its own marginals fill in best (specs of the ceiling: theory room). It plans for the
    whole region, so a block shorter than it takes away what the plan is good for.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        assert proposal.advise is not None, "the loop refuses denoisers without a policy"
        return proposal.advise((T - proposal.step).clamp_min(1)), memory

    return rule
