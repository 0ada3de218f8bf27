"""SGLang's block-diffusion rules: blocks end the canvas, and a finished one costs a forward that stores its keys."""

import torch
from torch import Tensor

from parallelbench.decoding.editing import joint_threshold
from parallelbench.decoding.method import Entry, Leave, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.published import best_or
from parallelbench.decoding.rules import Memory, Rule, best_first, ranking
from parallelbench.decoding.scores import confidence, entropy
from parallelbench.settings import Value


def above(tau: float) -> Rule:
    """Commit every mask with confidence > tau."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return proposal.masked & (score > tau), memory

    return rule


def entropy_before(gamma: float) -> Rule:
    """Commit the masks of lowest entropy, the n-th one if those before it sum to at most gamma nats."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        rank = ranking(score, proposal.masked)
        entropies = torch.where(proposal.masked, -score, 0.0).double()
        ranked = torch.zeros_like(entropies).scatter(-1, rank, entropies)
        count = 1 + (ranked.cumsum(-1)[:, :-1] <= gamma).sum(-1, keepdim=True)
        return best_first(proposal, score, count), memory

    return rule


def closing() -> Leave:
    """Through with a block by the forward that finds it full."""

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return ~proposal.masked.any(-1)

    return leave


def _low_confidence(tau: float) -> Method:
    return parts(confidence, best_or(above(tau)), leave=closing(), cut=True, faults=frozenset({"empty_steps"}))


def _entropy(gamma: float) -> Method:
    return parts(entropy, entropy_before(gamma), leave=closing(), cut=True, faults=frozenset({"empty_steps"}))


def _joint(tau: float, edit: float, extra: int, penalty: float) -> Method:
    """`joint` with edits at every step, a penalty on repeating the left neighbour, and the closing forward."""
    inner = best_or_edit(joint_threshold(tau, edit, extra))

    def adjust(proposal: Proposal, memory: Memory) -> tuple[Tensor, Memory]:
        lane, place = proposal.rows.nonzero(as_tuple=True)
        left = proposal.tokens[lane, (place - 1).clamp_min(0)]
        if proposal.columns is not None:
            return proposal.logits, memory
        inside = proposal.offset[lane, place] > 0
        logits = proposal.logits.clone()
        logits[inside, left[inside]] -= penalty
        return logits, memory

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        fresh = proposal.block_step == 0
        done = torch.where(fresh, False, memory["done"])
        commit, after = inner(proposal, score, memory)
        commit &= ~done.unsqueeze(-1)
        done = done | ~commit.any(-1) | (after["spent"] > extra)
        spent = proposal.block_step + 1
        over = torch.where(fresh, False, memory["done"]) | (spent > proposal.size + 1 + extra)
        return commit, {**after, "done": done, "over": over}

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return memory["over"]

    def start(length: int, columns: int) -> Memory:
        return {"spent": torch.tensor(0), **dict.fromkeys(("edited", "done", "over"), torch.tensor(False))}

    return parts(
        confidence, rule, adjust=adjust if penalty else None, leave=leave, start=start, rows="block", edits=True,
        cut=True, faults=frozenset({"empty_steps"}),
    )  # fmt: skip


def best_or_edit(rule: Rule) -> Rule:
    """The rule; lanes with masks that commit none of them commit the best one, edits or not."""

    def guarded(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        commit, memory = rule(proposal, score, memory)
        stuck = ~(commit & proposal.masked).any(-1, keepdim=True)
        return commit | (stuck & best_first(proposal, score, 1)), memory

    return guarded


def _joint_sweep(length: int) -> list[dict[str, Value]]:
    return [{"tau": tau, "edit": edit} for tau in (0.5, 0.7, 0.9) for edit in (0.5, 0.9)]


TAU = Parameter("tau", 0.95, "confidence to exceed", low=0.0, high=1.0)
GAMMA = Parameter("gamma", 0.15, "entropy in nats of those before", low=0.0)
HALF = Parameter("tau", 0.5, "confidence a mask has to exceed", low=0.0, high=1.0)
EDIT = Parameter("edit", 0.0, "confidence another token has to exceed", low=0.0, high=1.0)
EXTRA = Parameter("extra", 16, "forwards a block that may edit after its last mask", low=0)
PENALTY = Parameter("penalty", 0.0, "taken from the logit of the left neighbour's token", low=0.0)
SOURCE = "SGLang"

ENTRIES = (
    Entry("threshold@sglang", "adaptive", "confidence > tau on a canvas that ends with the block, one closing forward",
          SOURCE, (TAU,), _low_confidence, over("tau", 0.5, 0.7, 0.8, 0.9, 0.95), "traces"),
    Entry("eb@sglang", "adaptive", "the surest masks while those before sum to gamma nats, one closing forward",
          SOURCE, (GAMMA,), _entropy, over("gamma", 0.05, 0.15, 0.5, 1.0, 2.0), "traces"),
    Entry("joint@sglang", "revising", "LLaDA2.1's joint threshold as served: edits while masks remain, closing forward",
          SOURCE, (HALF, EDIT, EXTRA, PENALTY), _joint, _joint_sweep, "traces"),
)  # fmt: skip
