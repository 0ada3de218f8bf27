"""A denoiser made of a function: small, exact and fast, for tests of the loop and of methods."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from parallelbench.models.base import DenoiserSpec, Message

Script = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Ids of one canvas [L], padding removed, to logits [L, V]."""


class ScriptedDenoiser:
    """Logits of each canvas by a function, so that results cannot depend on a batch.

    Args:
        script: See `Script`.
        vocab_size: V; the last id is the mask, the one before it EOS.
        name: Model string.
    """

    def __init__(self, script: Script, vocab_size: int, name: str = "scripted") -> None:
        self._script = script
        self.tokenizer = NumberTokenizer()
        self.spec = DenoiserSpec(
            name=name, revision="1", vocab_size=vocab_size, mask_id=vocab_size - 1, eos_id=vocab_size - 2,
            pad_id=vocab_size - 2,
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
        """The script's logits at `rows`."""
        found = [torch.zeros((0, self.spec.vocab_size))]
        for ids, present, wanted in zip(canvas, attention_mask, rows, strict=True):
            found.append(torch.from_numpy(self._script(ids[present].numpy()))[wanted[present]])
        return torch.cat(found)


class NumberTokenizer:
    """Ids written as numbers with blanks between."""

    def encode(self, text: str) -> list[int]:
        """`"3 5"` -> [3, 5]."""
        return [int(word) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        """[3, 5] -> `"3 5"`."""
        return " ".join(map(str, ids))


def random_script(seed: int, vocab_size: int, length: int, dtype: type = np.float32) -> Script:
    """Random logits in which every token depends on every other one and on its distance.

    logits[i, v] = A[i, v] + sum over j != i of B[(i - j) mod L, x_j, v]
    """
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 1.5, (length, vocab_size))
    pair = rng.normal(0, 0.35, (length, vocab_size, vocab_size))

    def script(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        places = np.arange(len(ids))
        shift = (places[:, None] - places[None, :]) % length
        influence = pair[shift, ids[None, :]]
        influence[places, places] = 0
        return np.asarray(own[places] + influence.sum(axis=1), dtype=dtype)

    return script
