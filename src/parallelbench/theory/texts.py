"""Answer texts through any tokenizer, as exact distributions over token rows."""

from collections.abc import Callable, Sequence

from parallelbench.tasks.base import Support
from parallelbench.theory.distribution import TableDistribution


def table_of(support: Support, encode: Callable[[str], Sequence[int]], filler: int, length: int) -> TableDistribution:
    """Every answer as a row of `length` tokens, filled up with `filler` (EOS); texts of equal tokens are one row.

    Raises:
        ValueError: an answer is longer than the region.
    """
    weights: dict[tuple[int, ...], float] = {}
    for text, weight in support:
        ids = encode(text)
        if len(ids) > length:
            raise ValueError(f"answer {text!r} has {len(ids)} tokens, the region {length}")
        row = (*ids, *[filler] * (length - len(ids)))
        weights[row] = weights.get(row, 0.0) + weight
    return TableDistribution(list(weights), list(weights.values()))
