"""FreeDave (arXiv 2510.00294): drafts of the next steps, verified in one batch; the same tokens in fewer forwards.

One token a step, the most confident one, is what every draft has to agree with. A batch counts as one forward and as
many rows as it has canvases.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import Memory, Rule, ranking
from parallelbench.decoding.scores import left_to_right


@dataclass(frozen=True)
class Answer:
    """What the model would put at each position of n canvases, and how sure it is (`NEVER` where it was not asked)."""

    token: Int[Tensor, "n G"]
    sure: Float[Tensor, "n G"]

    def surest(self, masks: Bool[Tensor, "n G"], count: Int[Tensor, "n 1"]) -> Bool[Tensor, "n G"]:
        """The `count` masks it is most sure of."""
        return masks & (ranking(self.sure, masks) < count)

    def step(self, masks: Bool[Tensor, "n G"], tau: float | None) -> Bool[Tensor, "n G"]:
        """What one step of the decoder that is sped up would decide."""
        best = self.surest(masks, torch.ones(len(masks), 1, dtype=torch.int64))
        return best if tau is None else best | (masks & (self.sure >= tau))


def answer(proposal: Proposal, lanes: Tensor, tokens: Tensor, masks: Tensor, rank: Tensor) -> Answer:
    """Forward regions of some lanes; the masks' block ranks are added to how sure the model is of them."""
    assert proposal.ask is not None
    top = proposal.ask(lanes, tokens, masks).float().softmax(-1).max(-1)
    ids = top.indices if proposal.columns is None else proposal.columns[top.indices]
    sure = torch.full(masks.shape, NEVER).masked_scatter(masks, top.values.cpu())
    return Answer(torch.full(masks.shape, -1).masked_scatter(masks, ids.cpu()), sure + rank)


def speculate(d: int, tau: float | None, eager: bool) -> Rule:
    """Fill in up to d - 1 further steps from one forward, keep the chain of steps that each forward agrees with.

    Args:
        d: Canvases a batch: the lane's own and drafts of the steps that follow.
        tau: A step decides every confidence >= tau instead of one token; no longer lossless then.
        eager: Drafts reach into the next blocks; changes tokens.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        window, rank, fresh = _window(proposal, memory, d, eager)
        masks = proposal.undecided & window
        count = torch.where(fresh, 1, memory["before"].clamp(1, d))
        lanes = torch.arange(len(masks)).repeat_interleave(count)
        further = torch.cat([torch.arange(n) for n in count.tolist()]).unsqueeze(-1)
        known = Answer(memory["token"][lanes], memory["sure"][lanes])
        filled = known.surest(masks[lanes], further)
        drafts, left = torch.where(filled, known.token, proposal.tokens[lanes]), masks[lanes] & ~filled
        found = answer(proposal, lanes, drafts, left, rank[lanes])
        newly = found.step(left, tau)
        best = _ends_of_chains(known, found, filled, newly, count)
        again = torch.zeros_like(newly)
        full = ~(left & _first_block(proposal, window)[lanes]).any(-1, keepdim=True) & eager
        if eager:  # published: once the first block is full the answers drafted from grow old, one more is used up
            again = full & known.surest(left & ~newly, torch.ones(len(left), 1, dtype=torch.int64))
        token = torch.where(filled | again, known.token, found.token)
        commit = torch.where(filled | newly | again, token, -1)[best]
        after, last = (left & ~newly & ~again).sum(-1)[best], torch.where(full, again, newly).sum(-1)[best]
        closed = ~fresh & (memory["before"] == 0)
        return commit, {
            "token": torch.where(full, known.token, found.token)[best],
            "sure": torch.where(full, known.sure, found.sure)[best], "before": after + last, "fresh": closed,
            "window": memory["window"] + closed.long(), "closed": closed & window[:, -1],
        }  # fmt: skip

    return rule


def _window(proposal: Proposal, memory: Memory, d: int, eager: bool) -> tuple[Tensor, Tensor, Tensor]:
    """[B, G] positions drafted together, what their blocks' ranks add to confidences, [B] whether they are new."""
    if not eager:
        return proposal.inside, torch.zeros(proposal.inside.shape), proposal.block_step == 0
    size = int(proposal.size[0])
    blocks = 1 + -(-d // size)
    place = torch.arange(proposal.inside.shape[1]) // size
    first = memory["window"].unsqueeze(-1) * blocks
    window = (place >= first) & (place < first + blocks)
    return window, torch.where(window, (first + blocks - 1 - place).float(), 0.0), memory["fresh"]


def _first_block(proposal: Proposal, window: Tensor) -> Bool[Tensor, "B G"]:
    first = window.long().argmax(-1, keepdim=True)
    place = torch.arange(window.shape[1])
    return (place >= first) & (place < first + proposal.size.unsqueeze(-1))


def _ends_of_chains(known: Answer, found: Answer, filled: Tensor, newly: Tensor, count: Tensor) -> Tensor:
    """[B] number, among all canvases, of the last one that each of those before it leads to."""
    best, start = [], 0
    for n in count.tolist():
        at, mine = start, slice(start, start + n)
        while True:
            more = filled[mine] & ~filled[at]
            same = newly[at] & (found.token[at] == known.token[at])
            farthest = start + int((~more | same).all(-1).nonzero()[-1])
            if farthest <= at:
                break
            at = farthest
        best.append(at)
        start += n
    return torch.tensor(best)


def _start(length: int, columns: int) -> Memory:
    return {
        "token": torch.full((length,), -1), "sure": torch.full((length,), NEVER), "before": torch.tensor(0),
        "fresh": torch.tensor(True), "window": torch.tensor(0), "closed": torch.tensor(False),
    }  # fmt: skip


def _build(d: int, tau: float | None) -> Method:
    return parts(left_to_right, speculate(d, tau, False), start=_start, rows="none")


def _published(d: int, tau: float | None) -> Method:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return ~(undecided & proposal.inside).any(-1) & (memory["before"] <= 1)

    return replace(_build(d, tau), leave=leave, faults=frozenset({"empty_steps"}))


def _eager(d: int) -> Method:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return memory["closed"]

    return parts(
        left_to_right, speculate(d, None, True), start=_start, rows="none", reach="region", leave=leave,
        faults=frozenset({"empty_steps"}),
    )  # fmt: skip


D = Parameter("d", 4, "drafts verified in a batch", low=1)
TAU = Parameter(
    "tau", None, "a step decides all confidences of at least this; not lossless", low=0.0, high=1.0, fraction=True
)
GREEDY = Parameter("temperature", 0.0, "always 0: the promise holds for greedy decoding", low=0.0, high=0.0)
SWEEP = over("d", 1, 2, 4, 8)
PAPER = "arXiv 2510.00294"

ENTRIES = (
    Entry("freedave", "adaptive", "the tokens of confidence:k=1 in fewer forwards; drafts verified in a batch", PAPER,
          (D, TAU, GREEDY), _build, SWEEP, "traces"),
    Entry("freedave@published", "adaptive", "verifies a last step of several tokens, which decides nothing", PAPER,
          (D, TAU, GREEDY), _published, SWEEP, "traces"),
    Entry("freedave@eager", "adaptive", "drafts reach into the next blocks; not the same tokens", PAPER,
          (D, GREEDY), _eager, SWEEP, "traces"),
)  # fmt: skip
