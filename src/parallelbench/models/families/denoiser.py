"""A checkpoint as a Denoiser: a network, a tokenizer, and the facts that join them."""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.base import DenoiserSpec, Message, Tokenizer
from parallelbench.models.families import looking
from parallelbench.models.families.network import Cache, Network
from parallelbench.models.families.sedd import SeddNetwork
from parallelbench.models.families.tokens import HubTokenizer, Special

STALE_CACHES = frozenset({"prefix_cache", "dual_cache"})
EXACT_CACHES = frozenset({"block_cache"})
LOOKING = frozenset({"attention", "layers"})


class FamilyDenoiser:
    """See `parallelbench.models.base.Denoiser`.

    Capabilities: "prefix_cache" and "dual_cache" (full attention: keys and values of other columns may be
    stale) or "block_cache" (block-causal attention: exact once the blocks before are final) mean that
    `prefill` and `window_logits` work; "attention" and "layers" are those of every transformer.

    Args:
        name: Canonical model string.
        revision: Version of the weights.
        network: The loaded network.
        tokenizer: Its tokenizer.
        special: Its special tokens; a mask among them.
    """

    def __init__(
        self, name: str, revision: str, network: Network | SeddNetwork, tokenizer: HubTokenizer, special: Special
    ) -> None:
        if special.mask is None:
            raise UsageError(f"{name} has no mask token, so no unmasking method can decode it.")
        self.network, self.special = network, special
        self._words = tokenizer.hiding(special.stop | {special.mask, special.eos, special.pad})
        self.tokenizer: Tokenizer = self._words
        caches = EXACT_CACHES if network.block_size else STALE_CACHES
        self.spec = DenoiserSpec(
            name=name,
            revision=revision,
            vocab_size=network.vocab_size,
            mask_id=special.mask,
            eos_id=special.eos,
            pad_id=special.pad,
            block_size=network.block_size,
            stop_ids=special.stop,
            dtype=str(network.dtype).removeprefix("torch."),
            capabilities=caches | LOOKING if isinstance(network, Network) else frozenset(),
        )

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Prompt ids of a chat by the checkpoint's template, or the published one."""
        return self._words.encode_chat(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self.tokenizer.decode(ids)

    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """Logits that predict the tokens at `rows`, the family's shift applied."""
        return self.network.logits(canvas, attention_mask, rows)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self._transformer("layers").model.model.layers)

    def attended(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Float[Tensor, "B L L"]]:
        """`logits`, and the attention of the last so many layers, averaged over them and their heads."""
        return looking.attended(self._transformer("attention maps"), canvas, attention_mask, rows, last)

    def layered(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Bool[Tensor, "D N"], Float[Tensor, "D N"]]:
        """`logits`; which of the last layers agree with them; what those give to the favourite token."""
        return looking.layered(self._transformer("layers"), canvas, attention_mask, rows, last)

    def prefill(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "N V"], Cache]:
        """`logits`, and the keys and values of every column; one forward. Needs a cache capability."""
        return self._transformer("key-value cache").prefill(canvas, attention_mask, rows)

    def window_logits(
        self,
        cache: Cache,
        window: Int[Tensor, "B W"],
        start: int,
        rows: Bool[Tensor, "B W"],
        store: bool = False,
    ) -> Float[Tensor, "N V"]:
        """Logits of rows in columns [start, start + W) against the cache of the others; one forward.

        See `Network.window_logits`: to the end it is the prefix cache, inside the canvas the dual cache, behind
        the end the next block. `store` keeps the window's entries.
        """
        return self._transformer("key-value cache").window_logits(cache, window, start, rows, store)

    def _transformer(self, what: str) -> Network:
        if not isinstance(self.network, Network):
            raise UsageError(f"{self.spec.name} has no {what}.")
        return self.network
