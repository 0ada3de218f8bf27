"""How many positions to decide at which step of a block. Pure functions of where a lane stands."""

import torch
from jaxtyping import Int
from torch import Tensor

from parallelbench.decoding.proposal import Moment

Counts = Int[Tensor, " B"]


def steps_a_block(steps: int | None, moment: Moment) -> int:
    """Steps of the whole region shared out over its blocks, at least 1; one a token when None."""
    length = moment.undecided.shape[1]
    size = int(moment.block[0, 1] - moment.block[0, 0])
    return max(1, steps // (length // size)) if steps else size


def uniform(masks: Counts, steps: int, step: Counts) -> Counts:
    """`masks` in `steps` equal parts, the first ones one larger; nothing beyond (LLaDA).

    10 masks in 4 steps: 3, 3, 2, 2.
    """
    part = masks // steps + (step < masks % steps)
    return torch.where(step < steps, part, 0)


def timesteps(masks: Counts, steps: int, step: Counts, eps: float) -> Counts:
    """Dream's schedule: floor(masks * (1 - t[step + 1] / t[step])), everything at the last step.

    t falls evenly from 1 to eps. All of it is float32 as published, where the floor is off by one at some steps:
    32 masks in 32 steps with eps=0 are 1,1,1,1,0,1,...,1,2.

    Args:
        masks: Masks left now.
        steps: Steps of the block.
        step: Index of this one.
        eps: Last time.
    """
    left = 1 - leaving(steps, step, eps)
    return torch.where(step < steps - 1, (masks.float() * left).long(), masks)


def leaving(steps: int, step: Counts, eps: float) -> Tensor:
    """t[step + 1] / t[step], the probability that a mask stays one; 0 at the last step. float32 [B]."""
    times = torch.linspace(1, eps, steps + 1)
    index = step.clamp(max=steps - 1)
    return torch.where(step < steps - 1, times[index + 1] / times[index], 0.0)


def still_masked(masks: Counts, steps: Counts, step: Counts) -> Counts:
    """Masks that should be left after a step: floor(masks * (1 - (step + 1) / steps)), 0 at the end (RCR).

    float64, with 1e-6 instead of 0 as published: 32 masks in 20 steps fall by 2, 2, 1, 2, ...
    """
    part = (1 - (step.double() + 1) / steps).clamp_min(1e-6)
    return torch.floor(masks.double() * part).long()


def dilated(size: int, base: int) -> list[list[int]]:
    """DUS: offsets of a block in levels of falling stride (arXiv 2506.19037).

    Stride size // base, then // base again: the multiples not listed yet; left-overs last. A last level shorter
    than the one before joins it. 8 in base 2: [0, 4], [2, 6], [1, 3, 5, 7].
    """
    levels: list[list[int]] = []
    listed: set[int] = set()
    stride = size // base
    while stride >= 1:
        level = [offset for offset in range(0, size, stride) if offset not in listed]
        listed.update(level)
        levels += [level] if level else []
        stride //= base
    rest = [offset for offset in range(size) if offset not in listed]
    levels += [rest] if rest else []
    if len(levels) > 1 and len(levels[-1]) < len(levels[-2]):
        last = levels.pop()
        levels[-1] = sorted([*levels[-1], *last])
    return levels
