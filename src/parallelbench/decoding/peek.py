"""What a method would commit at one canvas, for whatever tokens it might have drawn there."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.decoding.lane import Lane, LaneState
from parallelbench.decoding.loop import Cost, _admit, _forward_batch, _propose
from parallelbench.decoding.rules import at_least_one
from parallelbench.models.base import Denoiser


@torch.inference_mode()
def commits(
    denoiser: Denoiser, lane: Lane, choices: Int[Tensor, "B N"] | None, draws: Float[Tensor, "B G"] | None = None
) -> Bool[Tensor, "B G"]:
    """The positions a memoryless method commits in its first step, B times over.

    It goes through the loop's own steps; only the dice are given instead of thrown.

    Args:
        denoiser: The model.
        lane: Its prefill is the canvas.
        choices: Columns of the candidate tokens at the N positions that need logits, in order; None for the
            method's own choice, once.
        draws: What `Proposal.draw` gives; None where the method draws nothing but tokens.
    """
    states = [
        state
        for state in (_admit(lane, denoiser) for _ in range(1 if choices is None else len(choices)))
        if isinstance(state, LaneState)
    ]
    (batch,) = _forward_batch(denoiser, states, True, Cost(), {})
    (group,) = batch.groups()
    proposal = _propose(denoiser, batch, group, lane.method)
    if choices is not None:
        choice = choices.reshape(-1)
        ids = choice if batch.columns is None else batch.columns[choice]
        proposal = replace(proposal, choice=choice, token=proposal.tokens.masked_scatter(proposal.rows, ids))
    if draws is not None:
        proposal = replace(proposal, draw=lambda: draws)
    score = lane.method.score(proposal)
    commit, _ = lane.method.rule(proposal, score, {})
    return at_least_one(commit, proposal, score)
