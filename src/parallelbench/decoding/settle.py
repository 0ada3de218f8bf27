"""Writing what was decided into the lanes, and what they remember."""

from collections.abc import Sequence

import torch
from torch import Tensor

from parallelbench.decoding.lane import LaneState, Revision
from parallelbench.decoding.proposal import UNDECIDED, Moment, Proposal
from parallelbench.decoding.rules import Memory


def stack_memory(group: Sequence[LaneState]) -> Memory:
    """The memories of lanes of one method, the lanes as first dimension."""
    first = group[0]
    if len(group) == 1:  # a view: batch size 1 must not pay for copies of large memories
        return {key: value.unsqueeze(0) for key, value in first.memory.items()}
    shelf = first.shelf
    if shelf is not None and all(s.shelf is not None and s.shelf[0] is shelf[0] for s in group):
        if [s.shelf[1] for s in group if s.shelf] == list(range(shelf[2])):
            return shelf[0]  # the same lanes as at the last step: what they hold is still stacked
    return {key: torch.stack([state.memory[key] for state in group]) for key in first.memory}


def write(
    group: Sequence[LaneState],
    proposal: Proposal,
    commit: Tensor,
    remask: Tensor | None,
    memory: Memory,
    mask_id: int,
) -> Tensor:
    """Commit, then re-mask; returns what is undecided now [B, G].

    Given tokens and tokens committed in this very step stay.
    """
    before = proposal.commit_step
    region = torch.where(commit, proposal.token, proposal.tokens)
    since = torch.where(commit, proposal.step.unsqueeze(-1), before)
    method = group[0].lane.method
    if method.edits:
        record_revisions(group, proposal, commit & (before >= 0))
    if remask is not None:
        remask = remask & ~proposal.undecided & ~commit
        if "given_remasked" not in method.faults:
            remask &= ~proposal.given
        record_revisions(group, proposal, remask)
        region = torch.where(remask, mask_id, region)
        since = torch.where(remask, UNDECIDED, since)
    if "prompt_overwritten" in method.faults:
        for state, token in zip(group, memory["first"].tolist(), strict=True):
            if token >= 0:
                state.prompt[0] = token
    shelve(group, region, since, memory)
    return since == UNDECIDED


def shelve(group: Sequence[LaneState], region: Tensor, since: Tensor, memory: Memory) -> None:
    """Give every lane its row of what was decided for all."""
    for index, state in enumerate(group):
        state.region, state.commit_step = region[index], since[index]
        state.memory = {key: value[index] for key, value in memory.items()}
        state.shelf = (memory, index, len(group))


def record_revisions(group: Sequence[LaneState], moment: Moment, removed: Tensor) -> None:
    """Note which tokens were taken back or replaced."""
    for lane, position in removed.nonzero().tolist():
        token = int(group[lane].region[position])
        committed, step = int(moment.commit_step[lane, position]), int(moment.step[lane])
        group[lane].revisions.append(Revision(position, token, committed, step))
