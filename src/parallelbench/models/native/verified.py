"""A small network with a causal one beside it that reads its drafts, for methods that require a "verifier"."""

from dataclasses import replace

from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.native.denoiser import NativeDenoiser
from parallelbench.models.native.samplers import CausalSampler


class VerifiedNative(NativeDenoiser):
    """The denoiser with the capability "verifier" (APD, arXiv 2506.00413). A verdict is no forward of the denoiser.

    Args:
        denoiser: The model that drafts.
        verifier: A causal network with the same tokens.
        name: Canonical model string.

    Raises:
        UsageError: one of them is another kind of model, or their tokens differ.
    """

    def __init__(self, denoiser: object, verifier: object, name: str) -> None:
        if not isinstance(denoiser, NativeDenoiser):
            raise UsageError(f"{name} decodes by itself: a verifier belongs to models decoded by --method.")
        if not isinstance(verifier, CausalSampler):
            raise UsageError(f"{name}: the verifier is no autoregressive model of `pb train`; there is tiny-ar.")
        words, theirs = denoiser._words, verifier.tokenizer
        if (words.phrases, words.pieces) != (theirs.phrases, theirs.pieces):
            raise UsageError(f"{verifier.spec.name} cannot verify: its tokens are not those of {denoiser.spec.name}.")
        revision = f"{denoiser.spec.revision}+{verifier.spec.revision}"
        super().__init__(name, revision, denoiser.network, words, denoiser.spec.tasks)
        self.spec = replace(self.spec, capabilities=self.spec.capabilities | {"verifier"})
        self._judge = NativeDenoiser(verifier.spec.name, verifier.spec.revision, verifier.network, words)

    def verify(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """The verifier's logits of the tokens at `rows`, each given what is to its left."""
        return self._judge.logits(canvas, attention_mask, rows)
