"""RCR (MDPO, arXiv 2508.13148) and ReMDM (arXiv 2503.00307): decided tokens can become masks again."""

from collections.abc import Callable

import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Leave, Method, Parameter, parts
from parallelbench.decoding.proposal import Moment, Proposal
from parallelbench.decoding.published import STEPS, by_steps
from parallelbench.decoding.rules import Memory, Rule, best_first, lowest
from parallelbench.decoding.schedules import steps_a_block, still_masked, uniform
from parallelbench.decoding.scores import confidence

UNTOUCHABLE = float("inf")
"""Confidence of what must not be masked again."""


def running_confidence(steps: int | None) -> tuple[Rule, Callable[[Proposal, Tensor, Memory], tuple[Tensor, Memory]]]:
    """RCR: decide everything up to the block's end, then mask again what was least sure when it was decided.

    So many stay masked as an even schedule wants. Tokens of earlier blocks can be among them.
    """

    def doubtful(proposal: Proposal, memory: Memory) -> Tensor:
        planned = proposal.block_masks.clamp(1, steps_a_block(steps, proposal))
        left = still_masked(proposal.block_masks, planned, proposal.block_step)
        return lowest(memory["sure"], left)

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        memory = {"sure": torch.where(proposal.masked, score, memory["sure"])}
        return proposal.masked & ~doubtful(proposal, memory), memory

    def revise(proposal: Proposal, commit: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        return doubtful(proposal, memory) & ~proposal.masked, memory

    return rule, revise


def _rcr(steps: int | None) -> Method:
    rule, revise = running_confidence(steps)

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        before_end = torch.arange(undecided.shape[1]) < proposal.block[:, 1:]
        return ~(undecided & before_end).any(-1)

    return parts(confidence, rule, revise=revise, leave=leave, start=_nothing_sure("sure"), reach="prefix")


def _nothing_sure(name: str) -> Callable[[int, int], Memory]:
    return lambda length, columns: {name: torch.full((length,), UNTOUCHABLE)}


def second_thoughts(
    schedule: Callable[[Moment], tuple[Tensor, Tensor, Tensor]], number: int
) -> tuple[Rule, Callable[[Moment, Memory], tuple[Tensor, Memory]]]:
    """ReMDM: at some steps mask the `number` least sure tokens of the block, forward, decide as many.

    Args:
        schedule: Moment -> [B] whether this step masks again, [B] index of an ordinary step, [B] its quota.
        number: Tokens masked again a step.
    """

    def prepare(moment: Moment, memory: Memory) -> tuple[Tensor, Memory]:
        again, _, _ = schedule(moment)
        sure = torch.where((moment.block_step == 0).unsqueeze(-1), UNTOUCHABLE, memory["sure"])
        remask = lowest(sure, torch.where(again, number, 0))
        return remask, {"sure": torch.where(remask, UNTOUCHABLE, sure)}

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        again, _, quota = schedule(proposal)
        commit = best_first(proposal, score, torch.where(again, number, quota).unsqueeze(-1))
        return commit, {"sure": torch.where(commit, score, memory["sure"])}

    return rule, prepare


def seven_eighths(steps: Callable[[Moment], int], loops: int) -> Callable[[Moment], tuple[Tensor, Tensor]]:
    """Where the `loops` masking steps stand: after 7/8 of the block's length, counted in steps, or at the end."""

    def place(moment: Moment) -> tuple[Tensor, Tensor]:
        size = int(moment.block[0, 1] - moment.block[0, 0])
        first = min(max(1, min(size * 7 // 8, size - 1)), steps(moment))
        again = (moment.block_step >= first) & (moment.block_step < first + loops)
        return again, torch.where(moment.block_step < first, moment.block_step, moment.block_step - loops)

    return place


def _remdm(steps: int | None, loops: int, number: int) -> Method:
    def planned(moment: Moment) -> int:
        return steps_a_block(steps, moment)

    def schedule(moment: Moment) -> tuple[Tensor, Tensor, Tensor]:
        again, index = seven_eighths(planned, loops)(moment)
        return again, index, uniform(moment.block_masks, planned(moment), index)

    rule, prepare = second_thoughts(schedule, number)
    return parts(confidence, rule, prepare=prepare, leave=_after(planned, loops), start=_nothing_sure("sure"))


def _remdm_pb(steps: int | None, loops: int, number: int) -> Method:
    def planned(moment: Moment) -> int:
        return steps_a_block(steps, moment)

    def schedule(moment: Moment) -> tuple[Tensor, Tensor, Tensor]:
        again, index = seven_eighths(planned, loops)(moment)
        # the published slip: the quota of a block is spread over the steps of all blocks
        return again, index, uniform(moment.block_masks, steps or moment.undecided.shape[1], index)

    rule, prepare = second_thoughts(schedule, number)
    return parts(
        confidence, rule, prepare=prepare, leave=_after(planned, loops), start=_nothing_sure("sure"), reach="prefix",
        faults=frozenset({"empty_steps", "filled_blocks", "one_pass"}),
    )  # fmt: skip


def _after(planned: Callable[[Moment], int], loops: int) -> Leave:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return proposal.block_step + 1 >= planned(proposal) + loops

    return leave


LOOPS = Parameter("loops", 1, "steps a block that mask again", low=0)
NUMBER = Parameter("number", 1, "tokens masked again in each of them", low=1)

ENTRIES = (
    Entry("rcr", "revising", "decide all, mask again what was least sure when it was decided", "arXiv 2508.13148",
          (STEPS,), _rcr, by_steps, "traces"),
    Entry("remdm", "revising", "late in a block the least sure tokens are masked and decided again", "arXiv 2503.00307",
          (STEPS, LOOPS, NUMBER), _remdm, by_steps, "traces"),
    Entry("remdm@pb", "revising", "ReMDM whose quota counts the steps of all blocks, so blocks stay open",
          "ParallelBench 2025", (STEPS, LOOPS, NUMBER), _remdm_pb, by_steps, "traces"),
)  # fmt: skip
