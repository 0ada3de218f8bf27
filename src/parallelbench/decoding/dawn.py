"""DAWN (arXiv 2602.06953): confidence, relaxed for positions that look at sure ones, strict between neighbours."""

import torch
from jaxtyping import Bool
from torch import Tensor

from parallelbench.decoding.graph import independent
from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence


def dawn(sink: float, edge: float, induce: float, low: float, high: float, absolute: bool) -> Rule:
    """Commit what is sure, what a sure decided token induces, and an independent set of the fairly sure.

    Args:
        sink: Columns above this mean attention are no neighbours of anything; a multiple of the average one, or
            the mean attention itself where `absolute`.
        edge: Attention from which on two positions are neighbours.
        induce: Confidence needed next to a decided position the model is sure of.
        low: Confidence needed elsewhere, where no neighbour is committed in the same step.
        high: Confidence that is enough anywhere.
        absolute: As published; also replaces the first token of the prompt where the published loop does.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        looks = edges(proposal, sink, edge, absolute)
        among = looks[..., -score.shape[-1] :]
        masked = proposal.masked
        sure = masked & (score >= high)
        induced = masked & (score >= induce) & (looks & _anchors(proposal, score, high).unsqueeze(-2)).any(-1)
        blocked = (among & (induced & sure).unsqueeze(-2)).any(-1)
        candidates = masked & (score >= low) & ~sure & ~induced & ~blocked
        chosen = independent(candidates, score, among | among.transpose(-1, -2))
        exhausted = (candidates & ~chosen).any(-1)
        return sure | induced | chosen, {"first": _first_token(proposal, exhausted)} if absolute else memory

    return rule


def edges(proposal: Proposal, sink: float, edge: float, absolute: bool) -> Bool[Tensor, "B G L"]:
    """Whether a position of the region looks at a position of the canvas, sinks and itself left out."""
    assert proposal.attention is not None and proposal.context is not None, "the loop refuses other denoisers"
    attention, count = proposal.attention, proposal.context.to(proposal.attention.device).unsqueeze(-1)
    share = attention.sum(-2) / count
    sinks = share > (sink if absolute else sink * share.sum(-1, keepdim=True) / count)
    length, width = proposal.masked.shape[1], attention.shape[-1]
    looks = (attention[:, -length:] >= edge) & ~sinks.unsqueeze(-2)
    itself = torch.eye(width, dtype=torch.bool, device=looks.device)[-length:]
    return (looks & ~itself).cpu()


def _anchors(proposal: Proposal, score: Tensor, high: float) -> Bool[Tensor, "B L"]:
    """Known positions before the block's end at which the model is sure, of whatever token."""
    assert proposal.attention is not None
    decided = proposal.rows & ~proposal.masked & (score >= high)
    if proposal.prompt is not None:
        return torch.cat([proposal.prompt.confidence >= high, decided], dim=-1)
    left = proposal.attention.shape[-1] - decided.shape[-1]
    return torch.nn.functional.pad(decided, (left, 0))


def _first_token(proposal: Proposal, exhausted: Tensor) -> Tensor:
    """[B] what the first token of the prompt is replaced with, -1 for nothing.

    The published loop picks as often as there were candidates; when neighbours of a pick have left it nothing, it
    picks position 0 of the canvas.
    """
    if proposal.prompt is None or not proposal.prompt.token.shape[1]:
        return torch.full(exhausted.shape, -1)
    first = (proposal.prompt.token >= 0).long().argmax(-1, keepdim=True)
    return torch.where(exhausted, proposal.prompt.token.gather(-1, first).squeeze(-1), -1)


def _build(sink: float, edge: float, induce: float, low: float, high: float, layers: int) -> Method:
    return parts(
        confidence, dawn(sink, edge, induce, low, high, False), rows="canvas", layers=layers,
        requires=frozenset({"attention"}),
    )  # fmt: skip


def _published(sink: float, edge: float, induce: float, low: float, layers: int) -> Method:
    return parts(
        confidence, dawn(sink, edge, induce, low, 0.9, True), rows="canvas", layers=layers,
        start=lambda length, columns: {"first": torch.tensor(-1)}, requires=frozenset({"attention"}),
        faults=frozenset({"prompt_overwritten"}),
    )  # fmt: skip


LOW = Parameter("low", 0.7, "confidence where no neighbour is committed at once", low=0.0, high=1.0)
INDUCE = Parameter("induce", 0.7, "confidence next to a decided position the model is sure of", low=0.0, high=1.0)
EDGE = Parameter("edge", 0.07, "attention (bits for the ideal model) that makes neighbours", low=0.0)
SINK = Parameter("sink", 10.0, "columns above so many times the average attention are nobody's neighbours", low=0.0)
MEAN = Parameter("sink", 0.01, "columns above this mean attention are nobody's neighbours", low=0.0)
HIGH = Parameter("high", 0.9, "confidence that is enough anywhere", low=0.0, high=1.0)
LAYERS = Parameter("layers", 4, "last layers whose attention counts", low=1)
SWEEP = over("low", 0.5, 0.6, 0.7, 0.8, 0.9)
PAPER = "arXiv 2602.06953"
NEEDS = frozenset({"attention"})

ENTRIES = (
    Entry("dawn", "adaptive", "sure positions, those they induce, and an independent set of fairly sure ones", PAPER,
          (LOW, INDUCE, EDGE, SINK, HIGH, LAYERS), _build, SWEEP, "traces", NEEDS),
    Entry("dawn@published", "adaptive", "DAWN with an absolute bound for sinks; may replace the prompt's first token",
          PAPER, (LOW, INDUCE, EDGE, MEAN, LAYERS), _published, SWEEP, "traces", NEEDS),
)  # fmt: skip
