"""Logit lens: what a network's earlier layers would have answered."""

from collections.abc import Iterable
from itertools import chain

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def agreement(
    logits: Float[Tensor, "N V"], earlier: Iterable[Float[Tensor, "N V"]]
) -> tuple[Bool[Tensor, "D N"], Float[Tensor, "D N"]]:
    """Which layers agree with the last one on the favourite token, and what probability they give it.

    Args:
        logits: Of the last layer.
        earlier: Of the D - 1 layers before it, the deepest last; asked for one at a time.
    """
    best = logits.argmax(-1, keepdim=True)
    agrees, probability = [], []
    for answer in chain(earlier, (logits,)):
        agrees.append(answer.argmax(-1) == best.squeeze(-1))
        probability.append(answer.float().softmax(-1).gather(-1, best).squeeze(-1))
    return torch.stack(agrees), torch.stack(probability)
