"""How often each token of a vocabulary occurs in a corpus."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from parallelbench.models.base import Tokenizer


def token_frequencies(tokenizer: Tokenizer, texts: Iterable[str], vocab_size: int) -> Float[Tensor, " V"]:
    """Occurrences / tokens of the corpus; what never occurs counts as if it did once (PC-sampler's table).

    Raises:
        ValueError: the corpus has no token.
    """
    counts = torch.zeros(vocab_size, dtype=torch.int64)
    for text in texts:
        ids = torch.tensor(tokenizer.encode(text), dtype=torch.int64)
        counts += torch.bincount(ids, minlength=vocab_size)
    total = int(counts.sum())
    if not total:
        raise ValueError("the corpus has no token")
    return counts.clamp_min(1).float() / total
