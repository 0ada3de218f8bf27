"""What a network looks at and what its layers would answer, beside its logits.

The forward stays the fused one. Attention of the chosen layers is computed a second time from the very queries and
keys that they use (rotated, normalised, in float32), hidden states are read where layers hand them on.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.families.extras import optional
from parallelbench.models.families.network import Network
from parallelbench.models.lens import agreement

PREFIX = "parallelbench_watched_"


@dataclass
class Maps:
    """Collects the attention of some layers, averaged over heads and layers.

    Attributes:
        layers: Their numbers.
        mean: What has been added up so far.
    """

    layers: range
    mean: Tensor | None = field(default=None)

    def add(self, query: Tensor, key: Tensor, mask: Tensor | None, scale: float) -> None:
        """One layer's queries [B, H, L, D] and keys [B, H or fewer, L, D]."""
        query, key = query.float() * scale, key.float()
        groups = query.shape[1] // key.shape[1]
        found: Tensor | None = None
        for head in range(query.shape[1]):  # head by head: the maps of all heads at once would be the largest tensor
            score = query[:, head] @ key[:, head // groups].transpose(-1, -2)
            if mask is not None:
                score = score + mask[:, 0].float()
            map_ = score.softmax(-1)
            found = map_ if found is None else found.add_(map_)
        assert found is not None
        found /= query.shape[1] * len(self.layers)
        self.mean = found if self.mean is None else self.mean.add_(found)


def watched_attention(kind: str) -> str:
    """Register (once) and name an attention that also shows its queries and keys to the forward's `watch`."""
    if kind.startswith(PREFIX):
        return kind
    transformers = optional("transformers", "models")
    eager = optional("transformers.models.llama.modeling_llama", "models").eager_attention_forward
    registered = optional("transformers.modeling_utils", "models").ALL_ATTENTION_FUNCTIONS
    base = eager if kind == "eager" else registered[kind]

    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, watch: Maps | None = None, **options: Any
    ) -> Any:
        if watch is not None and module.layer_idx in watch.layers:
            scale = options.get("scaling") or query.shape[-1] ** -0.5
            watch.add(query.to(value.dtype), key.to(value.dtype), mask, scale)
        return base(module, query, key, value, mask, **options)

    transformers.AttentionInterface.register(PREFIX + kind, attention)
    return PREFIX + kind


@torch.inference_mode()
def attended(
    network: Network, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
) -> tuple[Float[Tensor, "N V"], Float[Tensor, "B L L"]]:
    """`Network.logits`, and how much each position (row) looks at each other in the last so many layers.

    Mean over heads and layers, 0 for padding. Rows are the network's own: under a shift, position i's logits come
    from row i - 1, but its map is row i.
    """
    layers = network.model.model.layers
    for layer in layers:
        config = layer.self_attn.config
        config._attn_implementation = watched_attention(config._attn_implementation)
    maps = Maps(range(len(layers) - last, len(layers)))
    logits = network.logits(canvas, present, rows, watch=maps)
    if maps.mean is None:
        raise RuntimeError("the layers did not show their attention")
    there = present.to(maps.mean.device)
    return logits, maps.mean * (there.unsqueeze(1) & there.unsqueeze(2))


@torch.inference_mode()
def layered(
    network: Network, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
) -> tuple[Float[Tensor, "N V"], Bool[Tensor, "D N"], Float[Tensor, "D N"]]:
    """`Network.logits`; which of the last layers agree on the favourite token; what they give to the last one's.

    A layer's answer is the output head on its normalised hidden states (logit lens).
    """
    states: list[Tensor] = []

    def keep(module: Any, given: Any, out: Any) -> None:
        states.append(network.pick(out[0] if isinstance(out, tuple) else out, rows, present))

    chosen = network.model.model.layers[-last:]
    hooks = [layer.register_forward_hook(keep) for layer in chosen]
    try:
        logits = network.logits(canvas, present, rows)
    finally:
        for hook in hooks:
            hook.remove()
    earlier = (network.head(network.model.model.norm(state)).float() for state in states[:-1])
    return logits, *agreement(logits, earlier)
