"""Classifier-free guidance as a denoiser around another one."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.around import AroundDenoiser
from parallelbench.models.base import Denoiser


class GuidedDenoiser(AroundDenoiser):
    """Logits z_u + (scale + 1) (z - z_u), where z_u are those of the canvas with its prompt masked (LLaDA).

    A forward takes two canvases, batched as one.

    Args:
        denoiser: The model; it must be able to read a masked prompt.
        scale: w; 0 is the model itself.
        name: Canonical model string; None to derive one.

    Raises:
        UsageError: the model knows its prompts by heart (the ideal denoiser).
    """

    def __init__(self, denoiser: Denoiser, scale: float, name: str | None = None) -> None:
        if "columns" in denoiser.spec.capabilities:
            raise UsageError(f"{denoiser.spec.name} cannot be guided: it has no answer to a masked prompt.")
        super().__init__(denoiser)
        self._scale = scale
        name = name or f"{denoiser.spec.name}+cfg={scale:g}"
        self.spec = replace(denoiser.spec, name=name, capabilities=frozenset({"prompt"}))

    def guided_logits(
        self,
        canvas: Int[Tensor, "B L"],
        attention_mask: Bool[Tensor, "B L"],
        rows: Bool[Tensor, "B L"],
        prompt: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "N V"]:
        """Guided logits of `rows`."""
        blind = torch.where(prompt, self.spec.mask_id, canvas)
        both = self._denoiser.logits(
            torch.cat([canvas, blind]), torch.cat([attention_mask] * 2), torch.cat([rows, rows])
        )
        mask = self.spec.mask_id
        seen, unseen = both.chunk(2)
        seen, unseen = seen.clone(), unseen.clone()
        seen[:, mask] = unseen[:, mask] = 0.0  # may be -inf in both; the loop takes it out afterwards
        return unseen + (self._scale + 1) * (seen - unseen)
