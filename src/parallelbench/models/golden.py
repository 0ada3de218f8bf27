"""The stub model of the golden decoder traces: small, exact, and dependent on everything it sees.

    logits[i, v] = A[i, v] + sum over visible j != i of B[(i - j) mod L, x_j, v]

With `context` every token also carries a code of its whole sequence, so that a stale cache shows:

    c_j = (sum over m of x_m (1 + (j + m) mod 3)) mod V;  logits[i, v] += sum over j != i of C[(i - j) mod L, c_j, v]

Its attention depends on the canvas too: softmax over j of T[i, j] + U[x_i, x_j]. Layer l of its three answers with
l / 3 of what the other tokens add.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from parallelbench.models.base import DenoiserSpec, Message, Tokenizer
from parallelbench.models.scripted import NumberTokenizer

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Tables:
    """Weights of the stub: A [L, V], B and C [L, V, V], frequencies [V], T [L, L], U [V, V]; 0 if a file lacks them."""

    own: Array
    pair: Array
    code: Array
    frequency: Array
    look: Array
    looks: Array

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]], seed: int) -> "Tables":
        """The tables of one seed of an npz file."""
        length, vocabulary = arrays[f"A_{seed}"].shape
        shapes: dict[str, tuple[int, ...]] = {
            "A": (length, vocabulary), "B": (length, vocabulary, vocabulary), "C": (length, vocabulary, vocabulary),
            "bg": (vocabulary,), "T": (length, length), "U": (vocabulary, vocabulary),
        }  # fmt: skip
        found = (arrays.get(f"{name}_{seed}", np.zeros(shape)) for name, shape in shapes.items())
        return cls(*(table.astype(np.float64) for table in found))

    @classmethod
    def drawn(cls, seed: int, vocabulary: int, length: int) -> "Tables":
        """Random tables."""
        rng = np.random.default_rng(seed)
        square = (length, vocabulary, vocabulary)
        return cls(
            rng.normal(0, 1.5, (length, vocabulary)), rng.normal(0, 0.35, square), rng.normal(0, 0.25, square),
            rng.dirichlet([0.5] * vocabulary), rng.normal(0, 2.5, (length, length)),
            rng.normal(0, 0.7, (vocabulary, vocabulary)),
        )  # fmt: skip


@dataclass(frozen=True)
class StubCache:
    """Tokens and codes of a canvas as of its full forward."""

    tokens: Ids
    codes: Ids


class GoldenStub:
    """See the module; every capability a published method needs.

    Args:
        tables: Weights.
        length: L, the canvas; distances are taken modulo it.
        context: Tokens carry codes.
        shift: Row i of the model predicts token i + 1 (Dream); the first row stands for itself.
        scale: Factor of the logits, which spreads the confidences.
    """

    depth = 3

    def __init__(
        self, tables: Tables, length: int, context: bool = False, shift: bool = False, scale: float = 1.0
    ) -> None:
        vocabulary = tables.own.shape[1]
        self._tables, self._length, self._context, self._shift, self._scale = tables, length, context, shift, scale
        self.tokenizer: Tokenizer = NumberTokenizer()
        self.frequencies = torch.from_numpy(tables.frequency.astype(np.float32))
        self.spec = DenoiserSpec(
            name="golden-stub", revision="1", vocab_size=vocabulary, mask_id=vocabulary - 1, eos_id=vocabulary - 2,
            pad_id=vocabulary - 2,
            capabilities=frozenset(
                {"shadow", "prefix_cache", "dual_cache", "frequencies", "verifier", "attention", "layers"}
            ),
        )  # fmt: skip

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Ids written as numbers in the messages."""
        return [token for message in messages for token in self.tokenizer.encode(message["content"])]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as numbers."""
        return self.tokenizer.decode(ids)

    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """Logits of `rows`."""
        found = [self._empty()]
        for ids, present, wanted in zip(canvas, attention_mask, rows, strict=True):
            tokens = ids[present].numpy()
            found.append(self._rows(tokens, self._codes(tokens))[wanted[present]])
        return torch.cat(found)

    def attended(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Float[Tensor, "B L L"]]:
        """`logits` and the attention, the same in every layer."""
        maps = torch.zeros(*canvas.shape, canvas.shape[1])
        for number, (ids, present) in enumerate(zip(canvas, attention_mask, strict=True)):
            tokens, place = ids[present].numpy(), present.nonzero().flatten()
            size = len(tokens)
            weight = self._tables.look[:size, :size] + self._tables.looks[tokens[:, None], tokens[None, :]]
            found = torch.softmax(torch.from_numpy(weight), dim=-1).float()
            maps[number, place.unsqueeze(-1), place] = found
        return self.logits(canvas, attention_mask, rows), maps

    def layered(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Bool[Tensor, "D N"], Float[Tensor, "D N"]]:
        """`logits`; which of the last layers agree with them; what they give to their favourite."""
        logits = self.logits(canvas, attention_mask, rows)
        place = rows.nonzero()[:, 1] - (~attention_mask).sum(-1)[rows.nonzero()[:, 0]]
        own = self._scale * torch.from_numpy(self._tables.own[place.numpy() - self._shift]).float()
        best = logits.argmax(-1, keepdim=True)
        shares = [(self.depth - last + 1 + layer) / self.depth for layer in range(last)]
        answers = torch.stack([share * logits + (1 - share) * own for share in shares])
        favour = answers.softmax(-1).gather(-1, best.expand(last, -1, 1)).squeeze(-1)
        return logits, answers.argmax(-1) == best.squeeze(-1), favour

    def shadow_logits(
        self,
        canvas: Int[Tensor, "B L"],
        attention_mask: Bool[Tensor, "B L"],
        rows: Bool[Tensor, "B L"],
        block: Int[Tensor, "B 2"],
    ) -> Float[Tensor, "N V"]:
        """Logits of `rows`; those of a visible token of the block come from its twin in a row of appended masks.

        Twin i has the position of token i, sees every token but that one, and the other twins (WINO's layout).
        """
        found = [self._empty()]
        for ids, present, wanted, (start, end) in zip(canvas, attention_mask, rows, block.tolist(), strict=True):
            pad = int((~present).sum())
            tokens = ids[present].numpy()
            plain = self._rows(tokens, self._codes(tokens))
            for position in wanted[present].nonzero().flatten().tolist():
                if tokens[position] != self.spec.mask_id and start - pad <= position < end - pad:
                    plain[position] = self._twin(tokens, position, range(start - pad, end - pad))
            found.append(plain[wanted[present]])
        return torch.cat(found)

    def prefill(
        self, canvas: Int[Tensor, "1 L"], attention_mask: Bool[Tensor, "1 L"], rows: Bool[Tensor, "1 L"]
    ) -> tuple[Float[Tensor, "N V"], StubCache]:
        """`logits` and the cache of the canvas."""
        tokens = canvas[0].numpy()
        return self.logits(canvas, attention_mask, rows), StubCache(tokens, self._codes(tokens))

    def window_logits(
        self, cache: StubCache, window: Int[Tensor, "1 W"], start: int, rows: Bool[Tensor, "1 W"]
    ) -> Float[Tensor, "N V"]:
        """Logits of `rows` when only [start, start + W) is computed anew."""
        tokens, codes = cache.tokens.copy(), cache.codes.copy()
        inside = slice(start, start + window.shape[1])
        tokens[inside] = window[0].numpy()
        codes[inside] = self._codes(tokens)[inside]
        return self._rows(tokens, codes)[inside][rows[0]]

    def verify(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """A causal model's logits: each row sees what is to its left only."""
        found = [self._empty()]
        for ids, present, wanted in zip(canvas, attention_mask, rows, strict=True):
            tokens = ids[present].numpy()
            for position in wanted[present].nonzero().flatten().tolist():
                seen = np.arange(position)
                row = self._tables.own[position] + self._pairs(self._tables.pair, position, seen, tokens[seen])
                row[self.spec.mask_id] = -np.inf
                found.append(torch.from_numpy(row.astype(np.float32)).unsqueeze(0))
        return torch.cat(found)

    def with_noise(self, scale: float, seed: int) -> "GoldenStub":
        """The same stub with noise on A, to see whether a trace hangs on a near-tie."""
        noise = np.random.default_rng(seed).uniform(-scale, scale, self._tables.own.shape)
        tables = replace(self._tables, own=self._tables.own + noise)
        return GoldenStub(tables, self._length, self._context, self._shift, self._scale)

    def _empty(self) -> Tensor:
        return torch.zeros((0, self.spec.vocab_size))

    def _codes(self, tokens: Ids) -> Ids:
        place = np.arange(len(tokens))
        weight = 1 + (place[:, None] + place[None, :]) % 3
        return np.asarray((weight * tokens).sum(axis=1) % self.spec.vocab_size)

    def _pairs(self, table: Array, position: int, places: Ids, tokens: Ids) -> Array:
        return np.asarray(table[(position - places) % self._length, tokens].sum(axis=0))

    def _rows(self, tokens: Ids, codes: Ids) -> Float[Tensor, "L V"]:
        """Every position's logits, shifted if the model is."""
        place = np.arange(len(tokens))
        distance = (place[:, None] - place[None, :]) % self._length
        influence = self._tables.pair[distance, tokens[None, :]]
        if self._context:
            influence = influence + self._tables.code[distance, codes[None, :]]
        influence[place, place] = 0
        out = self._tables.own[place] + influence.sum(axis=1)
        out = out.astype(np.float32) * np.float32(self._scale)
        out[:, self.spec.mask_id] = -np.inf
        if self._shift:
            out = np.concatenate([out[:1], out[:-1]])
        return torch.from_numpy(out)

    def _twin(self, tokens: Ids, position: int, block: range) -> Float[Tensor, " V"]:
        """Logits of a position's twin."""
        others = np.delete(np.arange(len(tokens)), position)
        twins = np.array([place for place in block if place != position], dtype=np.int64)
        row = self._tables.own[position] + self._pairs(self._tables.pair, position, others, tokens[others])
        row = row + self._pairs(self._tables.pair, position, twins, np.full(len(twins), self.spec.mask_id))
        row[self.spec.mask_id] = -np.inf
        return torch.from_numpy(row.astype(np.float32))
