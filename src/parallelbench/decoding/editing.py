"""LLaDA2.1's joint threshold (arXiv 2602.08676): decide masks and correct what was decided, in one step."""

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.decoding.scores import confidence
from parallelbench.settings import Value


def joint_threshold(tau: float, edit: float, extra: int) -> Rule:
    """Commit masks with confidence > tau; replace decided tokens the model now prefers another for, with p > edit.

    Args:
        tau: For masks (at least the best one is committed).
        edit: For decided tokens of the block; 1 switches editing off.
        extra: Forwards a block that may edit after its last mask.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        full = ~proposal.masked.any(-1)
        spent = torch.where(proposal.block_step == 0, 0, memory["spent"]) + full.long()
        decided = proposal.inside & (proposal.commit_step >= 0)
        other = proposal.token != proposal.tokens
        edits = decided & other & (score > edit) & (spent <= extra).unsqueeze(-1)
        return (proposal.masked & (score > tau)) | edits, {"spent": spent, "edited": edits.any(-1)}

    return rule


def _build(tau: float, edit: float, extra: int) -> Method:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        full = ~(undecided & proposal.inside).any(-1)
        quiet = ~proposal.masked.any(-1) & ~memory["edited"]
        return full & (quiet | (memory["spent"] >= extra) | (edit >= 1))

    def start(length: int, columns: int) -> Memory:
        return {"spent": torch.tensor(0), "edited": torch.tensor(False)}

    return parts(confidence, joint_threshold(tau, edit, extra), leave=leave, start=start, rows="block", edits=True)


def _sweep(length: int) -> list[dict[str, Value]]:
    return [{"tau": tau, "edit": edit} for tau in (0.5, 0.7, 0.9) for edit in (0.5, 0.9)]


TAU = Parameter("tau", 0.7, "confidence a mask has to exceed", low=0.0, high=1.0)
EDIT = Parameter("edit", 0.5, "confidence another token has to exceed; 1: no edits", low=0.0, high=1.0)
EXTRA = Parameter("extra", 16, "forwards a block that may edit after its last mask", low=0)

ENTRIES = (
    Entry("joint", "revising", "decide masks and correct decided tokens in one step (LLaDA2.1)", "arXiv 2602.08676",
          (TAU, EDIT, EXTRA), _build, _sweep),
)  # fmt: skip
