"""AdaBlock (arXiv 2509.26432): blocks that end where the model expects a line break, or another delimiter."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, best_of
from parallelbench.errors import UsageError

WINDOW = 0.25
"""Share of the region in which a delimiter is looked for."""


def semantic_blocks(tau: float, delimiter: float, size: int, ids: Tensor | None) -> Rule:
    """Threshold within blocks of their own: up to the surest expected delimiter, else `size` positions.

    The forward that finds a block's end also commits. The delimiter is looked for among the favourite tokens of the
    next quarter of the region, so a block may be longer than `size`.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        full = ~(proposal.undecided & _before(proposal, memory["end"])).any(-1)
        end = torch.where(
            full, _next_end(proposal, score, delimiter, size, proposal.newline if ids is None else ids), memory["end"]
        )
        mine = proposal.masked & _before(proposal, end)
        return mine & ((score >= tau) | best_of(mine, score)), {"end": end}

    return rule


def exact_confidence(proposal: Proposal) -> Tensor:
    """Confidence in float64, whose largest value below 1 is nearer to it."""
    p = proposal.logits.double().softmax(-1).gather(-1, proposal.choice.unsqueeze(-1)).squeeze(-1)
    return torch.full(proposal.rows.shape, NEVER, dtype=torch.float64).masked_scatter(proposal.rows, p.cpu())


def _before(proposal: Proposal, end: Tensor) -> Tensor:
    return torch.arange(proposal.masked.shape[1]) < end.unsqueeze(-1)


def _next_end(proposal: Proposal, score: Tensor, delimiter: float, size: int, ids: Tensor | None) -> Tensor:
    """[B] where the block ends that begins at the first mask."""
    assert ids is not None, "the loop hands a line break over where it is required"
    length = proposal.masked.shape[1]
    place = torch.arange(length)
    first = proposal.masked.long().argmax(-1)
    stop = torch.minimum(first + size, proposal.block[:, 1])
    window = (place >= first.unsqueeze(-1)) & (place < (first + int(WINDOW * length)).unsqueeze(-1))
    likely = torch.where(window & proposal.masked & torch.isin(proposal.token, ids), score, NEVER)
    best, where = likely.max(-1)
    return torch.where(best >= delimiter, where + 1, stop)


def _build(tau: float, delimiter: float, size: int, ids: str | None) -> Method:
    def start(length: int, columns: int) -> Memory:
        return {"end": torch.tensor(0)}

    rule = semantic_blocks(tau, delimiter, size, _parsed(ids))
    return parts(exact_confidence, rule, start=start, requires=frozenset() if ids else frozenset({"newline"}))


def _parsed(ids: str | None) -> Tensor | None:
    try:
        return torch.tensor([int(part) for part in str(ids).split("/")]) if ids else None
    except ValueError:
        raise UsageError(f"adablock: ids={ids!r} are not token ids with / between, e.g. 198/13.") from None


TAU = Parameter("tau", 0.9, "commit confidences of at least this", low=0.0, high=1.0)
DELIMITER = Parameter("delimiter", 0.3, "confidence of a delimiter that ends a block; above 1: none does", low=0.0)
SIZE = Parameter("size", 16, "length of a block without a delimiter", low=1)
IDS = Parameter("ids", None, "token ids of the delimiters with / between; default: the model's line break", text=True)

ENTRIES = (
    Entry("adablock", "adaptive", "threshold in blocks that end where the model expects a delimiter",
          "arXiv 2509.26432", (TAU, DELIMITER, SIZE, IDS), _build, over("tau", 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
          "traces"),
)  # fmt: skip
