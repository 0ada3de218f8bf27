"""What a small model learns from: hidden answers under three processes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from parallelbench.models.words import EOS, MASK
from parallelbench.training.data import Batch

EARLIEST = 0.02
"""Least time: below it a loss weight of 1/t > 50 would rest on single tokens."""
Hidden = tuple[Int[Tensor, "B A"], Float[Tensor, "B A"]]


def times(count: int, generator: torch.Generator) -> Float[Tensor, " B"]:
    """Times uniform on [0.02, 1], one from each of `count` equal slices, in random order."""
    place = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    return EARLIEST + (1 - EARLIEST) * place / count


def masked(answer: Int[Tensor, "B A"], written: Int[Tensor, " O"], generator: torch.Generator) -> Hidden:
    """Every token hidden with probability t; weight 1/t where it is (Sahoo et al. 2024, eq. 10; LLaDA, eq. 3)."""
    t = times(len(answer), generator)[:, None]
    hide = torch.rand(answer.shape, generator=generator) < t
    return torch.where(hide, MASK, answer), hide / t


def uniform(answer: Int[Tensor, "B A"], written: Int[Tensor, " O"], generator: torch.Generator) -> Hidden:
    """Every token replaced with probability t by any that can be written; every token counts the same.

    The network is not told t: how many tokens look out of place tells it.
    """
    t = times(len(answer), generator)[:, None]
    hide = torch.rand(answer.shape, generator=generator) < t
    noise = written[torch.randint(len(written), answer.shape, generator=generator)]
    return torch.where(hide, noise, answer), torch.ones(answer.shape)


def causal(answer: Int[Tensor, "B A"], written: Int[Tensor, " O"], generator: torch.Generator) -> Hidden:
    """Nothing hidden: the network sees only what is to the left; every token up to the first EOS counts."""
    return answer, ((answer == EOS).cumsum(-1) <= 1).float()


PROCESSES: dict[str, Callable[[Tensor, Tensor, torch.Generator], Hidden]] = {
    "masked": masked,
    "uniform": uniform,
    "causal": causal,
}


def token_losses(
    network: torch.nn.Module, batch: Batch, seen: Int[Tensor, "B A"], weight: Float[Tensor, "B A"]
) -> Float[Tensor, " B"]:
    """Weighted cross-entropy in nats a token of each sample's answer.

    Args:
        network: An `AnswerNetwork`.
        batch: What it should say.
        seen: The answers as it sees them.
        weight: Weight of each token's cross-entropy.
    """
    logits = network(batch.prompt, batch.present, seen)
    target = network.column[batch.answer]  # type: ignore[index]
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(target.shape)
    return (each * weight).mean(-1)
