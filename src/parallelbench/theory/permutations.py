"""Uniform distribution over the orders of n one-token items, in closed form for any n."""

from collections.abc import Sequence
from math import factorial, log2

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, Conditionals
from parallelbench.theory.orderings import Frame, OrderingDistribution

Ints = NDArray[np.int64]


class PermutationDistribution:
    """Every order of the items equally likely, the given one left out when `except_given`.

    Entropies are closed forms for any n; conditionals too, but those that leave out the given order come from
    the sums over subsets of `OrderingDistribution` (n <= 16).

    Args:
        items: The token of each item, all different, in the given order.
        except_given: Leave out that order.
        template: [G] tokens of the whole region with `HIDDEN` where an item stands; only items by default.
    """

    def __init__(self, items: Sequence[int], except_given: bool = False, template: Sequence[int] | None = None) -> None:
        self.n, self.except_given = len(items), except_given
        self.template = np.asarray(template if template is not None else [HIDDEN] * self.n, dtype=np.int64)
        self.slots = (self.template == HIDDEN).nonzero()[0]
        if len(set(items)) != self.n or len(self.slots) != self.n or self.n < 1 + except_given:
            raise ValueError(f"need different items and a slot for each, got {list(items)}, {len(self.slots)} slots")
        if except_given and len(self.template) != self.n:
            raise ValueError("the given order can be left out of bare items only, not of a template")
        self.items = np.asarray(items, dtype=np.int64)
        self._sorted = np.sort(self.items)
        self._fixed = (self.template != HIDDEN).nonzero()[0]
        self.length = len(self.template)
        fixed = self.template[self.template != HIDDEN]
        self.tokens = np.unique(np.concatenate([self.items, fixed]))
        self._sums: OrderingDistribution | None = None

    def conditionals(self, region: Ints, positions: Ints) -> Conditionals:
        """See `Distribution.conditionals`.

        The nearest orders to items shown twice keep one of each; the rest goes to the missing items.
        """
        if self.except_given:
            return self._by_sums(region, positions)
        shown = region[self.slots]
        if (region[positions] == HIDDEN).all() and (self.template[positions] == HIDDEN).all():
            left = self._left(region, shown)
            if left is not None:
                return Conditionals(
                    np.repeat(positions, len(left)), np.tile(left, len(positions)),
                    np.full(len(positions) * len(left), 1 / max(len(left), 1)), 0,
                )  # fmt: skip
        count = (shown[:, None] == self.items).sum(axis=0)
        missing = np.sort(self.items[count == 0])
        strangers = ((shown != HIDDEN) & ~np.isin(shown, self.items)).sum()
        misses = ((region != self.template) & (region != HIDDEN) & (self.template != HIDDEN)).sum()
        distance = int(misses + strangers + np.maximum(count - 1, 0).sum())
        keys = np.concatenate([missing, self.items[count > 0], [HIDDEN]])
        share = np.zeros((len(positions), len(keys)))
        kept = np.zeros(len(positions))
        for item, times in zip(self.items[count > 0], count[count > 0], strict=True):
            kept[region[positions] == item] = 1 / times
        share[:, : len(missing)] = ((1 - kept) / max(len(missing), 1))[:, None]
        share[:, len(missing) : -1] = np.where(region[positions][:, None] == keys[len(missing) : -1], kept[:, None], 0)
        fixed = self.template[positions]
        share[fixed != HIDDEN] = 0
        share[fixed != HIDDEN, -1] = 1
        at, column = share.nonzero()
        token = np.where(column == len(keys) - 1, fixed[at], keys[column])
        order = np.lexsort((token, at))
        return Conditionals(positions[at][order], token[order], share[at, column][order], distance)

    def _left(self, region: Ints, shown: Ints) -> Ints | None:
        """The items that are not shown yet, sorted; None where the region fits no order."""
        seen = shown[shown != HIDDEN]
        left = self._sorted[~np.isin(self._sorted, seen)]
        fits = len(left) + len(seen) == self.n and ((region == self.template) | (region == HIDDEN))[self._fixed].all()
        return left if fits else None

    def _by_sums(self, region: Ints, positions: Ints) -> Conditionals:
        if self._sums is None:
            frame = Frame((), tuple((int(item),) for item in self.items), (), (), HIDDEN)
            self._sums = OrderingDistribution(frame, self.n, except_given=True)
        return self._sums.conditionals(region, positions)

    def entropy(self, positions: Sequence[int]) -> float:
        """H(y_A) in bits of the tokens at `positions` A.

        With a = |A| items among the positions: log n!/(n-a)!; leaving out the given order takes one of the
        (n-a)! orders away from a single assignment of A.
        """
        return self.entropy_of_count(len(set(positions) & set(self.slots.tolist())))

    def entropy_of_count(self, a: int) -> float:
        """H(y_A) in bits for any `a` item positions: it does not depend on which."""
        total = factorial(self.n) - self.except_given
        each = factorial(self.n - a)
        assignments = factorial(self.n) // each - self.except_given
        bits = assignments * (each / total) * log2(total / each)
        given = (each - 1) / total
        return bits + (given * log2(1 / given) if self.except_given and given else 0.0)
