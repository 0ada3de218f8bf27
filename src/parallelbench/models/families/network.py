"""A loaded checkpoint as the decoder sees it: logits of the rows asked for, and key-value caches."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.families.extras import optional
from parallelbench.models.families.masks import additive, allowed, positions_of


@dataclass
class Cache:
    """Keys and values of a canvas's columns as they were when last stored.

    Attributes:
        layers: (keys, values) of each layer, [B, heads, C, width], keys after rotation.
        present: False on padding.
        hidden: Last hidden states, for logits that are read one row to the left.
    """

    layers: list[tuple[Tensor, Tensor]]
    present: Bool[Tensor, "B C"]
    hidden: Float[Tensor, "B C H"]


class Network:
    """A decoder of transformers under full or block-causal attention.

    Args:
        model: Its CausalLM instance.
        block_size: Length of the blocks, None for full attention.
        shift: Whether the raw row i predicts token i + 1.
    """

    def __init__(self, model: Any, block_size: int | None, shift: bool) -> None:
        self.model, self.block_size, self.shift = model, block_size, shift
        self.dtype: torch.dtype = model.get_output_embeddings().weight.dtype
        self.vocab_size: int = model.get_output_embeddings().weight.shape[0]

    @property
    def device(self) -> torch.device:
        """Where token ids go in."""
        weight: Tensor = self.model.get_input_embeddings().weight
        return weight.device

    @torch.inference_mode()
    def logits(
        self, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], watch: Any = None
    ) -> Float[Tensor, "N V"]:
        """Logits that predict the tokens at `rows`, row-major; no other row goes through the output head.

        `watch` sees every layer's attention (module `looking`).
        """
        return self.trainable_logits(canvas, present, rows, watch)

    def trainable_logits(
        self, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], watch: Any = None
    ) -> Float[Tensor, "N V"]:
        """`logits` through which gradients flow, where weights want any."""
        hidden, _ = self._forward(canvas, present, watch=watch)
        return self.head(self.pick(hidden, rows, present))

    @torch.inference_mode()
    def raw_logits(self, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Every position's own output, before any shift."""
        return self.head(self._forward(canvas, present)[0])

    @torch.inference_mode()
    def prefill(
        self, canvas: Int[Tensor, "B C"], present: Bool[Tensor, "B C"], rows: Bool[Tensor, "B C"]
    ) -> tuple[Float[Tensor, "N V"], Cache]:
        """`logits`, and the cache of all columns."""
        hidden, layers = self._forward(canvas, present, keep=True)
        return self.head(self.pick(hidden, rows, present)), Cache(layers, present.to(hidden.device), hidden)

    @torch.inference_mode()
    def window_logits(
        self,
        cache: Cache,
        window: Int[Tensor, "B W"],
        start: int,
        rows: Bool[Tensor, "B W"],
        store: bool = False,
    ) -> Float[Tensor, "N V"]:
        """Logits of `rows` when only columns [start, start + W) are computed anew.

        They see the cache to their left and, under full attention, to their right; their own stale entries are
        replaced. A window that reaches the end is Fast-dLLM's prefix cache, one inside the canvas its dual
        cache, one behind the end the next block of a block-causal model (the exact one).

        Args:
            cache: From `prefill`; covers at least the columns up to `start`.
            window: Token ids.
            start: First column; all of the window counts as present.
            rows: Positions of the window whose logits are wanted.
            store: Keep the window's keys and values in the cache (a block that is final).
        """
        hidden = self._window(cache, window, start, store)
        left = cache.hidden[:, start - 1 : start] if start else hidden[:, :1]
        wanted = torch.cat([torch.zeros_like(rows[:, :1]), rows], dim=1)
        return self.head(self.pick(torch.cat([left, hidden], dim=1), wanted, torch.ones_like(wanted)))

    @torch.inference_mode()
    def raw_window_logits(self, cache: Cache, window: Int[Tensor, "B W"], start: int) -> Float[Tensor, "B W V"]:
        """Every window position's own output, before any shift."""
        return self.head(self._window(cache, window, start, store=False))

    def head(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """The output head."""
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits

    def pick(
        self, hidden: Float[Tensor, "B L H"], rows: Bool[Tensor, "B L"], present: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N H"]:
        """Hidden states whose outputs predict the rows; a first token has nothing to its left and stands for itself."""
        row, column = rows.nonzero(as_tuple=True)
        if self.shift:
            first = present.long().argmax(-1)
            column = torch.maximum(column - 1, first[row].to(column.device))
        return hidden[row.to(hidden.device), column.to(hidden.device)]

    def _forward(
        self, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], keep: bool = False, watch: Any = None
    ) -> tuple[Float[Tensor, "B L H"], list[tuple[Tensor, Tensor]]]:
        """Last hidden states, and the keys and values when asked for."""
        canvas, present = canvas.to(self.device), present.to(self.device)
        if not canvas.shape[1]:  # transformers' classes choke on empty canvases
            return self.model.get_input_embeddings()(canvas), []
        columns = torch.arange(canvas.shape[1], device=self.device)
        cache = optional("transformers", "models").DynamicCache() if keep else None
        out = self.model.model(
            input_ids=canvas,
            attention_mask=additive(allowed(present, columns, self.block_size), self.dtype),
            position_ids=positions_of(present),
            past_key_values=cache,
            use_cache=keep,
            **({} if watch is None else {"watch": watch}),
        )
        return out.last_hidden_state, [
            (layer.keys, layer.values) for layer in cache.layers
        ] if cache is not None else []

    def _window(self, cache: Cache, window: Int[Tensor, "B W"], start: int, store: bool) -> Float[Tensor, "B W H"]:
        """Hidden states of a window against the cache of all other columns."""
        window = window.to(self.device)
        end, width = start + window.shape[1], cache.present.shape[1]
        present = torch.cat(
            [cache.present[:, :start], torch.ones_like(window, dtype=torch.bool), cache.present[:, end:]], dim=1
        )
        columns = torch.arange(start, end, device=self.device)
        mask = allowed(present, columns, self.block_size)
        # keys stand as (left, right, window): transformers appends what is new
        mask = torch.cat([mask[..., :start], mask[..., end:], mask[..., start:end]], dim=-1)
        others = torch.tensor([*range(start), *range(end, width)], dtype=torch.int64, device=self.device)
        past = optional("transformers", "models").DynamicCache(
            [(keys[:, :, others], values[:, :, others]) for keys, values in cache.layers]
        )
        out = self.model.model(
            input_ids=window,
            attention_mask=additive(mask, self.dtype),
            position_ids=positions_of(present)[:, start:end],
            past_key_values=past,
            use_cache=True,
        )
        if store:
            self._store(cache, past, present, out.last_hidden_state, start, end)
        hidden: Tensor = out.last_hidden_state
        return hidden

    def _store(self, cache: Cache, past: Any, present: Tensor, hidden: Tensor, start: int, end: int) -> None:
        """Put the window's entries (the last ones) into their columns."""

        def merged(old: Tensor, new: Tensor, dim: int) -> Tensor:
            left, right = (
                old.narrow(dim, 0, start),
                old.narrow(dim, min(end, old.shape[dim]), max(0, old.shape[dim] - end)),
            )
            return torch.cat([left, new, right], dim=dim)

        count = end - start
        old = cache.layers or [(layer.keys[:, :, :0], layer.values[:, :, :0]) for layer in past.layers]
        cache.layers = [
            (merged(keys, layer.keys[:, :, -count:], 2), merged(values, layer.values[:, :, -count:], 2))
            for (keys, values), layer in zip(old, past.layers, strict=True)
        ]
        cache.present, cache.hidden = present, merged(cache.hidden, hidden, 1)
