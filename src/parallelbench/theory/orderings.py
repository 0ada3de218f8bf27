"""Uniform distribution over the orders of n items, by dynamic programming over subsets.

An answer is opening, items in some order joined by a separator, closing, filler. Which tokens stand where
depends only on the set of items placed before, because their total length fixes the offset. So 2^n partial
sums replace n! answers (exact to n = 16).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, Conditionals

MAX_ITEMS = 16
FAR = np.int64(1 << 40)
"""Distance of what cannot be reached."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Token pieces of a list answer: fixed text around and between the items."""

    opening: tuple[int, ...]
    items: tuple[tuple[int, ...], ...]
    separator: tuple[int, ...]
    closing: tuple[int, ...]
    filler: int

    def row(self, order: Sequence[int], length: int) -> list[int]:
        """Tokens of one order, filled up to `length`."""
        tokens = list(self.opening)
        for place, item in enumerate(order):
            tokens += [*(self.separator if place else ()), *self.items[item]]
        tokens += self.closing
        return tokens + [self.filler] * (length - len(tokens))


@lru_cache(maxsize=32)
def _layers(n: int) -> list[list[tuple[int, Ints]]]:
    """For every size p < n: (item, the subsets of size p that lack it)."""
    sets = np.arange(1 << n)
    sizes = np.array([int(s).bit_count() for s in sets])
    return [[(i, sets[(sizes == p) & (sets >> i & 1 == 0)]) for i in range(n)] for p in range(n)]


class OrderingDistribution:
    """All orders equally likely, the given one left out when `except_given`.

    Partial sums are pairs (distance, count): the smallest number of visible tokens contradicted, and how
    many orders reach it. `given` is the chain of prefixes of the given order; everything else has deviated.
    """

    def __init__(self, frame: Frame, length: int, except_given: bool = True) -> None:
        n = len(frame.items)
        if not 2 <= n <= MAX_ITEMS:
            raise ValueError(f"exact sums over orders need 2 to {MAX_ITEMS} items, got {n}")
        if len(frame.row(range(n), 0)) > length:
            raise ValueError(f"the answer has {len(frame.row(range(n), 0))} tokens, the region {length}")
        self.frame, self.length, self.n, self.except_given = frame, length, n, except_given
        steps = np.array([len(item) + len(frame.separator) for item in frame.items])
        offset = np.full(1 << n, len(frame.opening))
        for i in range(n):
            offset[np.arange(1 << n) >> i & 1 == 1] += steps[i]
        self._offset = offset
        few = np.array([int(s).bit_count() for s in range(1 << n)]) < n - 1
        self._starts = np.unique(offset[few]), np.unique(offset[(1 << n) - 1 - (1 << np.arange(n))])
        self._last: tuple[bytes, tuple[Floats, int, float]] = b"", (np.empty(0), 0, 0.0)
        template = np.full(length, frame.filler)
        template[: len(frame.opening)] = frame.opening
        end = len(frame.row(range(n), 0))
        template[end - len(frame.closing) : end] = frame.closing
        self._template = template
        self.tokens = np.unique(np.array(frame.row(range(n), length), dtype=np.int64))
        self._fixed = np.r_[0 : len(frame.opening), end - len(frame.closing) : length].astype(np.int64)

    def conditionals(self, region: Ints, positions: Ints) -> Conditionals:
        """See `Distribution.conditionals`."""
        mass, best, total = self._sums(self._costs(region))
        fixed_misses = ((region != self._template) & (region != HIDDEN))[self._fixed].sum()
        position, token, weight = self._entries(mass)
        keys, inverse = np.unique(np.stack([position, token]), axis=1, return_inverse=True)
        summed = np.bincount(inverse.reshape(-1), weights=weight) / total
        asked = np.isin(keys[0], positions)
        return Conditionals(keys[0][asked], keys[1][asked], summed[asked], int(best + fixed_misses))

    def _sums(self, cost: Ints) -> tuple[Floats, int, float]:
        """`_transitions`, remembered: a token that no order places elsewhere changes none of them when it is shown."""
        inside, last = self._starts
        key = cost[0, inside].tobytes() + cost[1, last].tobytes()
        if key != self._last[0]:
            self._last = key, self._transitions(cost, self._forward(cost), self._backward(cost))
        return self._last[1]

    def _written(self, item: int, last: bool) -> tuple[int, ...]:
        return self.frame.items[item] + (() if last else self.frame.separator)

    def _costs(self, region: Ints) -> Ints:
        """[2, length + 1, n]: contradictions when an item (and, unless last, a separator) starts at an offset."""
        cost = np.zeros((2, self.length + 1, self.n), dtype=np.int64)
        for last in (0, 1):
            for i in range(self.n):
                tokens = self._written(i, bool(last))
                for t, token in enumerate(tokens):
                    seen = region[t:]
                    cost[last, : len(seen), i] += (seen != token) & (seen != HIDDEN)
        return cost

    def _cost(self, cost: Ints, sets: Ints, item: int, size: int) -> Ints:
        found: Ints = cost[int(size == self.n - 1), self._offset[sets], item]
        return found

    def _forward(self, cost: Ints) -> tuple[Ints, Floats, Ints]:
        """(distance, count) of every deviated prefix set, and the distance of every given prefix."""
        distance, count = np.full(1 << self.n, FAR), np.zeros(1 << self.n)
        given = np.zeros(self.n + 1, dtype=np.int64)
        for size, layer in enumerate(_layers(self.n)):
            prefix = np.array([(1 << size) - 1])
            for item, sets in layer:
                self._merge(
                    distance,
                    count,
                    sets | 1 << item,
                    distance[sets] + self._cost(cost, sets, item, size),
                    count[sets],
                )
                if item == size:
                    given[size + 1] = given[size] + self._cost(cost, prefix, item, size)[0]
                elif item > size:
                    step = given[size] + self._cost(cost, prefix, item, size)
                    self._merge(distance, count, prefix | 1 << item, step, np.ones(1))
        return distance, count, given

    def _backward(self, cost: Ints) -> tuple[Ints, Floats, Ints, Floats]:
        """(distance, count) of completing every deviated set, and every given prefix."""
        distance, count = np.full(1 << self.n, FAR), np.zeros(1 << self.n)
        distance[-1], count[-1] = 0, 1
        given_d, given_c = np.full(self.n + 1, FAR), np.zeros(self.n + 1)
        if not self.except_given:
            given_d[-1], given_c[-1] = 0, 1
        for size, layer in reversed(list(enumerate(_layers(self.n)))):
            prefix = np.array([(1 << size) - 1])
            here = np.array([size])
            for item, sets in layer:
                after = sets | 1 << item
                self._merge(distance, count, sets, distance[after] + self._cost(cost, sets, item, size), count[after])
                if item < size:
                    continue
                step = self._cost(cost, prefix, item, size)
                if item == size:
                    self._merge(given_d, given_c, here, given_d[here + 1] + step, given_c[here + 1])
                else:
                    after = prefix | 1 << item
                    self._merge(given_d, given_c, here, distance[after] + step, count[after])
        return distance, count, given_d, given_c

    @staticmethod
    def _merge(distance: Ints, count: Floats, at: Ints, new_distance: Ints, new_count: Floats) -> None:
        """Keep the smaller distance at each index, adding the counts of equal ones."""
        old = distance[at]
        count[at] = np.where(
            new_distance < old, new_count, np.where(new_distance == old, count[at] + new_count, count[at])
        )
        distance[at] = np.minimum(old, new_distance)

    def _transitions(
        self, cost: Ints, forward: tuple[Ints, Floats, Ints], backward: tuple[Ints, Floats, Ints, Floats]
    ) -> tuple[Floats, int, float]:
        """Orders at the smallest distance that put an item at an offset [2, length + 1, n]; distance; their number."""
        fd, fc, fgiven = forward
        bd, bc, bgiven_d, bgiven_c = backward
        best, total = int(bgiven_d[0]), float(bgiven_c[0])
        mass = np.zeros((2, self.length + 1, self.n))
        for size, layer in enumerate(_layers(self.n)):
            last = int(size == self.n - 1)
            prefix = np.array([(1 << size) - 1])
            for item, sets in layer:
                after = sets | 1 << item
                hit = fd[sets] + self._cost(cost, sets, item, size) + bd[after] == best
                np.add.at(mass, (last, self._offset[sets[hit]], item), (fc[sets] * bc[after])[hit])
                if item < size:
                    continue
                step = fgiven[size] + self._cost(cost, prefix, item, size)[0]
                rest_d, rest_c = (
                    (bgiven_d[size + 1], bgiven_c[size + 1])
                    if item == size
                    else (bd[prefix | 1 << item][0], bc[prefix | 1 << item][0])
                )
                if step + rest_d == best:
                    mass[last, self._offset[prefix[0]], item] += rest_c
        return mass, best, total

    def _entries(self, mass: Floats) -> tuple[Ints, Ints, Floats]:
        """Aligned (position, token, number of orders), the fixed tokens included."""
        total = mass[1].sum()  # every order has exactly one last item
        position, token = [self._fixed], [self._template[self._fixed]]
        weight = [np.full(len(self._fixed), total)]
        for last, offset, item in zip(*mass.nonzero(), strict=True):
            written = self._written(int(item), bool(last))
            position.append(offset + np.arange(len(written)))
            token.append(np.array(written))
            weight.append(np.full(len(written), mass[last, offset, item]))
        return np.concatenate(position), np.concatenate(token), np.concatenate(weight)
