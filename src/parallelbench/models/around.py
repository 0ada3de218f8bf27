"""What denoisers around another one have in common."""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.base import Denoiser, Message, Tokenizer


class AroundDenoiser:
    """Texts and plain logits of another denoiser; whoever derives from it sets `spec`.

    Args:
        denoiser: The other one.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self.tokenizer: Tokenizer = denoiser.tokenizer

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Prompt ids of a chat."""
        return self._denoiser.encode(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self._denoiser.decode(ids)

    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """The denoiser's own logits of `rows`."""
        return self._denoiser.logits(canvas, attention_mask, rows)
