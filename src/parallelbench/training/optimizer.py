"""Muon for the matrices inside the blocks, AdamW for everything else."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM, DECAY, BETAS, EPSILON = 0.95, 0.05, (0.9, 0.98), 1e-8
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration (Jordan et al. 2024)."""
_ROUNDS = 5
_MATCH = 0.2
"""Root mean square of an AdamW update, to which Muon's is scaled (Liu et al. 2025, arXiv:2502.16982)."""


def orthogonal(matrices: Float[Tensor, "N R C"]) -> Float[Tensor, "N R C"]:
    """About the nearest orthogonal matrices, by five Newton-Schulz rounds in float32."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x.mT if tall else x
    return found


class Optimizer:
    """One step for all weights; its state is a flat table of tensors, for safetensors.

    Args:
        model: Matrices under a name with "blocks." are Muon's.
        muon: Whether to use Muon at all.
    """

    def __init__(self, model: nn.Module, muon: bool = True) -> None:
        named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._muon = [n for n, w in named.items() if muon and "blocks." in n and w.ndim == 2]
        self._adam = [name for name in named if name not in set(self._muon)]
        self._weights = named
        kinds = {"momentum": self._muon, "mean": self._adam, "square": self._adam}
        self.state = {f"{kind}/{n}": torch.zeros_like(named[n]) for kind, names in kinds.items() for n in names}

    @torch.no_grad()
    def step(self, number: int, rate: float) -> None:
        """Update every weight from its gradient; `number` counts the steps from 1."""
        self._step_adam(number, rate)
        shapes: dict[torch.Size, list[str]] = {}
        for name in self._muon:
            shapes.setdefault(self._weights[name].shape, []).append(name)
        for names in shapes.values():
            self._step_muon(names, rate)
        for weight in self._weights.values():
            weight.grad = None

    def _step_muon(self, names: list[str], rate: float) -> None:
        """Matrices of one shape: Nesterov momentum, made orthogonal, as large as an AdamW update."""
        gradients = [self._grad(name) for name in names]
        momenta = [self.state[f"momentum/{name}"] for name in names]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        updates = orthogonal(torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM)))
        scale = _MATCH * max(updates.shape[1:]) ** 0.5
        for name, update in zip(names, updates, strict=True):
            self._weights[name].mul_(1 - rate * DECAY).add_(update, alpha=-rate * scale)

    def _step_adam(self, number: int, rate: float) -> None:
        """AdamW (Loshchilov and Hutter 2019) without decay, which embeddings and norms do better without."""
        gradients = [self._grad(name) for name in self._adam]
        means = [self.state[f"mean/{name}"] for name in self._adam]
        squares = [self.state[f"square/{name}"] for name in self._adam]
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        for name, mean, square in zip(self._adam, means, squares, strict=True):
            spread = (square / (1 - BETAS[1] ** number)).sqrt_().add_(EPSILON)
            self._weights[name].addcdiv_(mean, spread, value=-rate / (1 - BETAS[0] ** number))

    def _grad(self, name: str) -> Tensor:
        gradient = self._weights[name].grad
        return torch.zeros_like(self._weights[name]) if gradient is None else gradient


def learning_rate(done: float, warm: float, peak: float) -> float:
    """Warm-up, constant to 60 %, then linear to 2 % of the peak.

    Args:
        done: Share of the training that is over, in [0, 1].
        warm: Share of it spent in warming up.
        peak: Highest rate.
    """
    if done < warm:
        return peak * done / warm
    return peak * (1 - 0.98 * max(0.0, done - 0.6) / 0.4)


def average(kept: Iterable[Tensor], now: Iterable[Tensor], decay: float) -> None:
    """Exponential moving average of the weights, in place."""
    with torch.no_grad():
        torch._foreach_lerp_(list(kept), list(now), 1 - decay)
