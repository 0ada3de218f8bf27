"""A small network with a causal one beside it that reads its drafts, for methods that require a "verifier"."""

from parallelbench.errors import UsageError
from parallelbench.models.native.denoiser import NativeDenoiser
from parallelbench.models.native.samplers import CausalSampler
from parallelbench.models.verified import VerifiedDenoiser


def verified_native(denoiser: object, verifier: object, name: str) -> VerifiedDenoiser:
    """A model of `pb train` with an autoregressive one beside it.

    Args:
        denoiser: The model that drafts.
        verifier: A causal network with the same tokens.
        name: Canonical model string.

    Raises:
        UsageError: one of them is another kind of model, or their tokens differ.
    """
    if not isinstance(denoiser, NativeDenoiser):
        raise UsageError(f"{name} decodes by itself: a verifier belongs to models decoded by --method.")
    if not isinstance(verifier, CausalSampler):
        raise UsageError(f"{name}: the verifier is no autoregressive model of `pb train`; there is tiny-ar.")
    words, theirs = denoiser.words, verifier.tokenizer
    if (words.phrases, words.pieces) != (theirs.phrases, theirs.pieces):
        raise UsageError(f"{verifier.spec.name} cannot verify: its tokens are not those of {denoiser.spec.name}.")
    judge = NativeDenoiser(verifier.spec.name, verifier.spec.revision, verifier.network, words)
    return VerifiedDenoiser(denoiser, judge.logits, verifier.spec.revision, name)
