"""What a training run is: everything its weights depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from parallelbench.errors import UsageError, lookup
from parallelbench.training.loss import PROCESSES


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training from scratch.

    Attributes:
        tasks: Names of tasks or categories.
        weights: How often a task's samples are drawn, relative to 1 for a task that is not named.
        process: masked, uniform or causal.
        steps: Optimizer steps.
        batch: Samples a step.
        rate: Peak learning rate.
        warm: Steps of warm-up.
        clip: Largest norm of the gradient.
        keep: Decay of the moving average of the weights that is saved as the model.
        width: Channels.
        layers: Blocks.
        heads: Attention heads.
        hidden: Channels of the feed-forward part.
        seed: Of weights, samples and hidden tokens.
    """

    tasks: tuple[str, ...]
    weights: Mapping[str, float] = field(default_factory=dict)
    process: str = "masked"
    steps: int = 10_000
    batch: int = 64
    rate: float = 2e-3
    warm: int = 100
    clip: float = 1.0
    keep: float = 0.995
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 320
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        lookup(PROCESSES, self.process, "process")
        for name in ("steps", "batch", "width", "layers", "heads", "hidden"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {getattr(self, name)}.")
        if self.width % (2 * self.heads):
            raise UsageError(f"width={self.width} must be a multiple of twice the heads, {2 * self.heads}.")
        if not self.rate > 0:
            raise UsageError(f"the learning rate must be positive, got {self.rate}.")
