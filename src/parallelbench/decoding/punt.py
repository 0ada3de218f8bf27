"""PUNT (arXiv 2510.21961): commit what does not change when the other candidates are filled in."""

import torch
from jaxtyping import Float
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, ranking
from parallelbench.decoding.scores import confidence


def punt(eps: float, least_first: bool) -> Rule:
    """Drop candidates whose distribution moves by KL > eps nats when more confident ones are filled in.

    Ranks are split by one bit after another: of what is left, ranks with bit 0 are filled in and those with bit 1 are
    tested, one forward a bit.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        rank = torch.where(proposal.masked, ranking(score, proposal.masked), 0)
        most = int(proposal.masked.sum(-1).max())
        bits = range(max(most - 1, 0).bit_length())
        left = proposal.masked
        for bit in bits if least_first else reversed(bits):
            high = (rank >> bit & 1).bool()
            filled, tested = left & ~high, left & high
            lanes = (filled.any(-1) & tested.any(-1)).nonzero().flatten()
            if len(lanes):
                moved = torch.zeros_like(left)
                moved[lanes] = _divergence(proposal, lanes, filled[lanes], tested[lanes]) > eps
                left = left & ~moved
        return left, memory

    return rule


def _divergence(proposal: Proposal, lanes: Tensor, filled: Tensor, tested: Tensor) -> Float[Tensor, "n G"]:
    """KL(p before || p with the filled tokens) in nats at the tested positions of some lanes, 0 elsewhere."""
    assert proposal.ask is not None
    tokens = torch.where(filled, proposal.token[lanes], proposal.tokens[lanes])
    after = proposal.ask(lanes, tokens, tested).float().log_softmax(-1)
    asked = torch.zeros_like(proposal.masked)
    asked[lanes] = tested
    before = proposal.logits[asked[proposal.rows].to(proposal.logits.device)].float().log_softmax(-1)
    kl = torch.where(before == NEVER, 0.0, before.exp() * (before - after)).sum(-1)
    return torch.zeros(tested.shape).masked_scatter(tested, kl.cpu())


def _build(eps: float) -> Method:
    return parts(confidence, punt(eps, False))


def _lsb(eps: float) -> Method:
    return parts(confidence, punt(eps, True))


EPS = Parameter("eps", 0.04, "nats by which a distribution may move", low=0.0)
SWEEP = over("eps", 0.01, 0.04, 0.16, 0.64)
PAPER = "arXiv 2510.21961"

ENTRIES = (
    Entry("punt", "adaptive", "candidates that the others, filled in, do not change; forwards to test it", PAPER,
          (EPS,), _build, SWEEP, "traces"),
    Entry("punt@lsb", "adaptive", "PUNT that splits ranks by the least significant bit first", PAPER,
          (EPS,), _lsb, SWEEP, "traces"),
)  # fmt: skip
