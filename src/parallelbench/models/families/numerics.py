"""The two places where a reference's bfloat16 arithmetic differs from the class of transformers it maps to."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parallelbench.models.families.extras import optional


class Float32Rotary(nn.Module):
    """A rotary embedding whose cosines and sines stay float32, so that queries and keys are rotated in float32.

    LLaDA's `rope_full_precision`; the attention of `rounded_attention` rounds them to the model's dtype again.
    """

    def __init__(self, rotary: Any) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(self, hidden: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for the positions."""
        cos, sin = self.rotary(hidden.new_empty(0, dtype=torch.float32), position_ids)
        return cos, sin


def rounded_attention(kind: str) -> str:
    """Register (once) and name an attention that casts queries and keys to the values' dtype first."""
    transformers = optional("transformers", "models")
    llama = optional("transformers.models.llama.modeling_llama", "models")
    sdpa = optional("transformers.integrations.sdpa_attention", "models").sdpa_attention_forward
    base = {"sdpa": sdpa, "eager": llama.eager_attention_forward}[kind]

    def attention(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **options: Any) -> Any:
        return base(module, query.to(value.dtype), key.to(value.dtype), value, mask, **options)

    name = f"parallelbench_rounded_{kind}"
    transformers.AttentionInterface.register(name, attention)
    return name


class Float32WeightNorm(nn.Module):
    """RMSNorm with one rounding at the end: (x / rms * weight) in float32, as SDAR's fused kernel computes it."""

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = weight, eps

    def forward(self, hidden: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The normalised states in their own dtype."""
        wide = hidden.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (wide * scale * self.weight.float()).to(hidden.dtype)


def widen_norms(model: nn.Module) -> None:
    """Replace every RMSNorm of the model by `Float32WeightNorm` with the same weight."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith("RMSNorm"):
                setattr(module, name, Float32WeightNorm(child.weight, child.variance_epsilon))  # type: ignore[arg-type]
