"""Exact conditional marginals of an answer distribution over token rows.

One interface, two implementations: `TableDistribution` holds every answer as a row; `OrderingDistribution`
(module `orderings`) sums over permutations without listing them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

HIDDEN = -1
"""Marks a position of a region whose token is not known."""


@dataclass(frozen=True)
class Conditionals:
    """P(y_j = token | visible tokens) as aligned arrays, tokens of probability zero left out.

    Attributes:
        position: [K] position j of each entry.
        token: [K] token of each entry.
        probability: [K] its probability, float64; sums to 1 over the entries of a position.
        distance: Hamming distance of the visible tokens to the nearest answer. Where it is not 0 the
            visible tokens fit no answer and the marginals are those of the nearest ones.
    """

    position: NDArray[np.int64]
    token: NDArray[np.int64]
    probability: NDArray[np.float64]
    distance: int


@runtime_checkable
class Distribution(Protocol):
    """A distribution over token rows of equal length G."""

    length: int
    tokens: NDArray[np.int64]
    """Every token of some answer, sorted."""

    def conditionals(self, region: NDArray[np.int64], positions: NDArray[np.int64]) -> Conditionals:
        """Exact marginals at `positions` given the visible tokens of `region` [G] (`HIDDEN` elsewhere)."""
        ...


class TableDistribution:
    """Every answer as a row of tokens with a weight.

    Args:
        rows: [M, G] token ids.
        weights: [M] positive weights, normalised here.
    """

    def __init__(self, rows: Sequence[Sequence[int]] | NDArray[np.int64], weights: Sequence[float]) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.rows.ndim != 2 or len(self.rows) != len(self.weights) or not len(self.weights):
            raise ValueError(f"need [M, G] rows and M > 0 weights, got {self.rows.shape} and {self.weights.shape}")
        if not (self.weights > 0).all():
            raise ValueError("weights must be positive")
        self.weights = self.weights / self.weights.sum()
        self.length = self.rows.shape[1]
        columns = [np.unique(self.rows[:, j], return_inverse=True) for j in range(self.length)]
        sizes = [len(tokens) for tokens, _ in columns]
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        # Every (position, token) that occurs has a number; a row is the numbers of its tokens.
        self._entry = np.stack([inverse.reshape(-1) + first[j] for j, (_, inverse) in enumerate(columns)], axis=1)
        self._entry_token = np.concatenate([tokens for tokens, _ in columns])
        self.tokens = np.unique(self._entry_token)
        self._entry_position = np.repeat(np.arange(self.length), sizes)

    def conditionals(self, region: NDArray[np.int64], positions: NDArray[np.int64]) -> Conditionals:
        """See `Distribution.conditionals`."""
        misses = ((self.rows != region) & (region != HIDDEN)).sum(axis=1)
        distance = int(misses.min())
        near = misses == distance
        weights = self.weights[near]
        entries = self._entry[near][:, positions]
        mass = np.bincount(
            entries.ravel(), weights=np.repeat(weights, len(positions)), minlength=len(self._entry_token)
        )
        found = mass.nonzero()[0]
        return Conditionals(
            self._entry_position[found], self._entry_token[found], mass[found] / weights.sum(), distance
        )

    def pairs(
        self, region: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Position of each entry (position, token) that can occur [E], and the probability of two together [E, E].

        Given the visible tokens of `region`, or of the nearest answers where they fit none.
        """
        misses = ((self.rows != region) & (region != HIDDEN)).sum(axis=1)
        near = misses == misses.min()
        weights = self.weights[near] / self.weights[near].sum()
        entries, numbers = np.unique(self._entry[near][:, positions], return_inverse=True)
        occurs = np.zeros((len(weights), len(entries)))
        occurs[np.arange(len(weights))[:, None], numbers.reshape(len(weights), -1)] = 1.0
        return self._entry_position[entries], (occurs * weights[:, None]).T @ occurs

    def entropy(self, positions: Sequence[int]) -> float:
        """H(y_A) in bits of the tokens at `positions` A, summed over their joint values."""
        mass = np.bincount(self.groups(positions), weights=self.weights)
        return max(float(-(mass * np.log2(mass)).sum()), 0.0)

    def groups(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """[M] number of each row's joint value at `positions`, 0, 1, ... without gaps."""
        ids = np.zeros(len(self.rows), dtype=np.int64)
        for j in positions:
            ids = np.unique(ids * len(self._entry_token) + self._entry[:, j], return_inverse=True)[1]
        return ids

    def probability(self, row: Sequence[int]) -> float:
        """P(y) of one row of tokens."""
        return float(self.weights[(self.rows == np.asarray(row)).all(axis=1)].sum())
