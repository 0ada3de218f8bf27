"""A denoiser with an autoregressive model beside it that reads its drafts, for methods that require a "verifier"."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.around import AroundDenoiser
from parallelbench.models.base import Denoiser
from parallelbench.models.families.masks import positions_of
from parallelbench.models.families.tokens import HubTokenizer
from parallelbench.models.generators.causal import CausalGenerator

Verify = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(canvas [B, L], attention mask [B, L], rows [B, L]) -> logits [N, V] of the tokens at `rows`, each given what is to
its left."""
UNKNOWN = -1e4
"""Logit of tokens that only the denoiser has: finite, so that a weight of 0 leaves no NaN."""


class VerifiedDenoiser(AroundDenoiser):
    """The denoiser with the capability "verifier" (APD, arXiv 2506.00413). A verdict is no forward of the denoiser.

    Args:
        denoiser: The model that drafts.
        verify: How a causal model with the same tokens reads a draft.
        revision: Version of that model.
        name: Canonical model string.
    """

    def __init__(self, denoiser: Denoiser, verify: Verify, revision: str, name: str) -> None:
        super().__init__(denoiser)
        self.verify = verify
        self.spec = replace(
            denoiser.spec, name=name, revision=f"{denoiser.spec.revision}+{revision}",
            capabilities=denoiser.spec.capabilities | {"verifier"},
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Everything else is the denoiser's: its other capabilities."""
        return getattr(self._denoiser, name)


def verified(denoiser: Denoiser, verifier: CausalGenerator, name: str) -> VerifiedDenoiser:
    """A checkpoint's denoiser with a causal checkpoint beside it.

    Raises:
        UsageError: their tokens differ.
    """
    if not isinstance(denoiser.tokenizer, HubTokenizer):
        raise UsageError(f"{denoiser.spec.name} has a tokenizer of its own; no verifier shares it.")
    _check_tokens(denoiser.tokenizer, verifier)
    return VerifiedDenoiser(
        denoiser, partial(_verdict, verifier, denoiser.spec.vocab_size), verifier.spec.revision, name
    )


@torch.inference_mode()
def _verdict(
    verifier: CausalGenerator,
    width: int,
    canvas: Int[Tensor, "B L"],
    attention_mask: Bool[Tensor, "B L"],
    rows: Bool[Tensor, "B L"],
) -> Float[Tensor, "N V"]:
    """See `Verify`; tokens that the verifier lacks are read as its padding, and are as good as impossible."""
    model = verifier.model
    device, first = model.device, int(rows.any(0).nonzero()[0])
    known = canvas < model.get_input_embeddings().weight.shape[0]
    out = model(
        input_ids=torch.where(known, canvas, verifier.pad).to(device),
        attention_mask=attention_mask.long().to(device),
        position_ids=positions_of(attention_mask).to(device),
        logits_to_keep=canvas.shape[1] - first + 1,
    )
    found = out.logits[:, :-1][rows[:, first:].to(device)].float()
    return torch.nn.functional.pad(found[:, :width], (0, max(0, width - found.shape[1])), value=UNKNOWN)


def _check_tokens(own: HubTokenizer, verifier: CausalGenerator) -> None:
    """Refuse a verifier whose ordinary tokens are not the denoiser's."""
    known, theirs = own.inner.get_vocab(), verifier.tokenizer.inner
    special = theirs.get_added_vocab()
    for token, number in theirs.get_vocab().items():
        if token not in special and known.get(token) != number:
            raise UsageError(
                f"{verifier.spec.name} cannot verify: its token {number} is {token!r}, which is "
                f"{known.get(token, 'no token')} here."
            )
