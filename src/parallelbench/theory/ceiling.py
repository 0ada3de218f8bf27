"""The ceiling: the best probability of a correct answer over all adaptive policies of at most T steps.

A policy sees the visible tokens and picks the positions to commit; their tokens are then drawn independently
from the exact marginals (or are their modes, exact ties broken uniformly). Nothing is re-masked, so an answer
that contradicts every correct one stays wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from parallelbench.errors import UsageError
from parallelbench.theory.bounds import EXACT_SETS
from parallelbench.theory.distribution import HIDDEN, Distribution, TableDistribution
from parallelbench.theory.measures import Partition
from parallelbench.theory.operations import rows_of
from parallelbench.theory.permutations import PermutationDistribution
from parallelbench.theory.reduction import Reduced, members, reduce_table, visible_classes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WORK = 250_000_000
"""Products of probabilities a search may compare for each step."""
MEMORY = 30_000_000
"""Values of sets of positions times answers a search may hold."""
ROUND = 1e-12
"""Differences below this are rounding, not a better policy."""


class Ceiling:
    """V_t(visible) = max over S of the sum over consistent outcomes y_S of P(y_S) V_(t-1)(visible, y_S).

    P(y_S) = prod over j in S of P(y_j | visible), tempered. V_t(everything visible) = 1 for correct answers,
    V_0 = 0 otherwise. Values are computed step by step on demand.

    Args:
        table: The correct answers.
        temperature: 0 for the mode, 1 for the exact marginals, others temper these.

    Raises:
        UsageError: too many sets of positions times answers.
    """

    def __init__(self, table: TableDistribution, temperature: float = 0.0) -> None:
        self.reduced, self._table = reduce_table(table), table
        check_size(self.reduced)
        self._solver = _solver(self.reduced, temperature)

    def value(self, steps: int) -> float:
        """V_T(nothing visible): the ceiling for at most `steps` steps."""
        return float(self._solver.solved(steps)[0][0, 0])

    def values(self, steps: int) -> list[float]:
        """The ceilings for T = 1 ... steps."""
        return [self.value(t) for t in range(1, steps + 1)]

    def choose(self, region: Ints, steps: int) -> NDArray[np.bool_]:
        """[G] the positions an optimal policy commits next.

        Of equally good sets the largest, so that no step is spent for nothing. What is certain is committed at
        once; a region that fits no answer is filled up.

        Args:
            region: [G] visible tokens, `HIDDEN` elsewhere.
            steps: Steps left, this one included.
        """
        hidden = region == HIDDEN
        fits = ((self._table.rows == region) | hidden).all(axis=1).nonzero()[0]
        if not len(fits) or steps <= 1:
            return np.asarray(hidden)
        known = visible_classes(self.reduced, region)
        kind, row, ahead = self._located(known, int(fits[0]))
        chosen = sum(1 << ahead[k] for k in members(int(self._solver.solved(steps)[1][kind, row])))
        commit = np.zeros(len(region), dtype=np.bool_)
        commit[list(self.reduced.constant)] = True
        for k, positions in enumerate(self.reduced.classes):
            if known >> k & 1:
                commit[list(positions)] = True
            elif chosen >> k & 1:
                commit[positions[0]] = True
        return np.asarray(commit & hidden)

    def by_size(self, region: Ints, steps: int) -> dict[int, float]:
        """The best value for each number of classes (positions that are not certain) committed next.

        Empty where the region fits no answer.
        """
        hidden = region == HIDDEN
        fits = ((self._table.rows == region) | hidden).all(axis=1).nonzero()[0]
        if not len(fits):
            return {}
        kind, row, _ = self._located(visible_classes(self.reduced, region), int(fits[0]))
        mask = int(self.reduced.symmetry.representatives[kind])
        left = len(self.reduced.classes) - mask.bit_count()
        if steps <= 1 or not left:
            return {left: float(self._solver.solved(steps)[0][kind, row])}
        group, out = int(self.reduced.groups(mask)[row]), dict[int, float]()
        for sets, total in self._solver.compare(mask, self._solver.solved(steps - 1)[0]):
            for size, value in zip(np.bitwise_count(sets).tolist(), total[:, group].tolist(), strict=True):
                if size:
                    out[size] = max(out.get(size, 0.0), value)
        return dict(sorted(out.items()))

    def _located(self, known: int, row: int) -> tuple[int, int, list[int]]:
        """(kind of set, answer in its place, the class that each of its columns is)."""
        symmetry = self.reduced.symmetry
        if symmetry.exchangeable:
            ahead = members(known) + [k for k in range(symmetry.size) if not known >> k & 1]
            return known.bit_count(), self._moved_row(row, ahead), ahead
        (kind,), (element,) = symmetry.place(np.array([known]))
        return int(kind), int(symmetry.rows[element, row]), np.argsort(symmetry.columns[element]).tolist()

    def _moved_row(self, row: int, ahead: Sequence[int]) -> int:
        """The answer whose column i shows what column `ahead[i]` shows in answer `row`."""
        moved = self.reduced.codes[row, list(ahead)]
        return int((self.reduced.codes == moved).all(axis=1).nonzero()[0][0])


@lru_cache(maxsize=32)
def _solver(reduced: Reduced, temperature: float) -> "_Solver":
    """Samples that differ only in their names share one."""
    return _Solver(reduced, temperature)


class _Solver:
    """The dynamic program over (classes known, their tokens), one array a step."""

    def __init__(self, reduced: Reduced, temperature: float) -> None:
        self.reduced, self.temperature = reduced, temperature
        self._kinds = reduced.symmetry.representatives.tolist()
        self._size_of_group = np.stack([_group_sizes(reduced.groups(mask)) for mask in self._kinds])
        self._values = [np.zeros((len(self._kinds), len(reduced.codes)))]
        self._choices = [np.zeros(self._values[0].shape, dtype=np.int64)]

    def solved(self, steps: int) -> tuple[Floats, Ints]:
        """([R, M] values, [R, M] chosen classes) with `steps` steps left, for the group of every answer."""
        while len(self._values) <= steps and (len(self._values) < 2 or self._values[-1][0, 0] < 1 - ROUND):
            values = np.ones(self._values[0].shape)
            choices = np.zeros(values.shape, dtype=np.int64)
            full = (1 << len(self.reduced.classes)) - 1
            for number, mask in enumerate(self._kinds):
                if mask != full:
                    solve = self._last if len(self._values) == 1 else self._best
                    values[number], choices[number] = solve(mask)
            self._values.append(values)
            self._choices.append(choices)
        at = min(steps, len(self._values) - 1)
        return self._values[at], self._choices[at]

    def _last(self, mask: int) -> tuple[Floats, Ints]:
        """The last step commits everything left, every twin on its own."""
        ids = self.reduced.groups(mask)
        own = self.reduced.own_probability(ids, self.temperature) ** self.reduced.multiplicity
        own[:, members(mask)] = 1.0
        rest = (1 << len(self.reduced.classes)) - 1 & ~mask
        total = np.asarray(np.bincount(ids, own.prod(axis=1)), dtype=np.float64)
        return total[ids], np.full(len(ids), rest, dtype=np.int64)

    def _best(self, mask: int) -> tuple[Floats, Ints]:
        ids = self.reduced.groups(mask)
        best = np.full(int(ids.max()) + 1, -1.0)
        chosen = np.zeros(len(best), dtype=np.int64)
        for sets, total in self.compare(mask, self._values[-1]):
            counts = np.bitwise_count(sets).astype(np.int64) + 1
            top = total.max(axis=0)
            at = ((total >= top - ROUND) * counts[:, None]).argmax(axis=0)
            larger = np.bitwise_count(sets[at]) > np.bitwise_count(chosen)
            better = (top > best + ROUND) | ((top > best - ROUND) & larger)
            best, chosen = np.maximum(best, top), np.where(better, sets[at], chosen)
        return best[ids], chosen[ids]

    def compare(self, mask: int, after: Floats) -> Iterator[tuple[Ints, Floats]]:
        """(sets [n], values [n, groups]): what committing each set next is worth, `after` [R, M] being worth then."""
        ids = self.reduced.groups(mask)
        own = np.ascontiguousarray(self.reduced.own_probability(ids, self.temperature).T)
        order = np.argsort(ids, kind="stable")
        begins = np.searchsorted(ids[order], np.arange(ids.max() + 1))
        symmetry = self.reduced.symmetry
        each = after / self._size_of_group
        for chunk in symmetry.chunks(mask, len(ids)):
            sets = cast(Ints, chunk.fold(np.int64(1) << np.arange(symmetry.size), np.bitwise_or))
            kind, element = symmetry.place(sets | mask)
            reached = cast(Floats, chunk.fold(own, np.multiply)) * each[kind[:, None], symmetry.rows[element]]
            yield sets, np.add.reduceat(reached[:, order], begins, axis=1)


def _group_sizes(ids: Ints) -> Floats:
    return np.bincount(ids)[ids].astype(np.float64)


def check_size(reduced: Reduced) -> None:
    """Refuse a table whose search would not end in about a minute.

    Raises:
        UsageError: the number of comparisons, and the number that is possible.
    """
    answers = len(reduced.codes)
    work, memory = reduced.symmetry.moves * answers, reduced.symmetry.kinds * answers
    if work > WORK or memory > MEMORY or reduced.symmetry.kinds > EXACT_SETS:
        raise UsageError(
            f"{len(reduced.classes)} undecided positions and {answers} answers need {work:.1g} comparisons a step; "
            f"possible are {WORK:.1g}."
        )


@dataclass(frozen=True)
class OrderCeiling:
    """The ceiling for orders of n items in closed recursion: what counts is how many items are left.

    All orders: V_t(m) = max over k of m!/((m-k)! m^k) V_(t-1)(m-k). Without the given order there are two kinds
    of states: some item is off its given place (then all orders of the rest), or none is yet.
    """

    n: int
    except_given: bool
    temperature: float = 0.0

    def values(self, steps: int) -> list[float]:
        """The ceilings for T = 1 ... steps."""
        return [self.value(t) for t in range(1, steps + 1)]

    def value(self, steps: int) -> float:
        """The best probability of a correct order in at most `steps` steps."""
        return self.best(self.n, steps, not self.except_given)[0]

    def best(
        self, m: int, steps: int, free: bool, known: dict[tuple[int, int, bool], tuple[float, int]] | None = None
    ) -> tuple[float, int]:
        """(value, items to commit next) with m items left; `free` once the given order is out."""
        known = {} if known is None else known
        if m == 0:
            return float(free), 0
        if steps == 0:
            return 0.0, 0
        if (m, steps, free) not in known:
            ways = [(self._step(m, k, steps, free, known), k) for k in range(1, m + 1)]
            top = max(value for value, _ in ways)
            known[m, steps, free] = max((k, value) for value, k in ways if value >= top - ROUND)[::-1]
        return known[m, steps, free]

    def _step(
        self, m: int, k: int, steps: int, free: bool, known: dict[tuple[int, int, bool], tuple[float, int]]
    ) -> float:
        after = self.best(m - k, steps - 1, True, known)[0]
        if free:
            return float(factorial(m) / factorial(m - k) / m**k) * after
        stay, move = self._odds(m)
        total = sum(_matching(m, k, a) * stay**a * move ** (k - a) for a in range(k)) * after
        return total + stay**k * self.best(m - k, steps - 1, False, known)[0]

    def _odds(self, m: int) -> tuple[float, float]:
        """How probably a position draws its given item, and each other one, while none is off its place."""
        stay, move = (factorial(m - 1) - 1), factorial(m - 1)
        if self.temperature == 0:
            return (0.0, 1 / (m - 1)) if m > 1 else (0.0, 0.0)
        weights = stay ** (1 / self.temperature), move ** (1 / self.temperature)
        total = weights[0] + (m - 1) * weights[1]
        return (weights[0] / total, weights[1] / total) if m > 1 else (0.0, 0.0)


def _matching(m: int, k: int, a: int) -> int:
    """Assignments of different items out of m to k places, exactly `a` of them each place's own item.

    Choose the a fixed places; the k - a others avoid their own item (inclusion-exclusion) among m - a items.
    """
    free = k - a
    signed = ((1 - i % 2 * 2) * comb(free, i) * factorial(m - a - i) for i in range(free + 1))
    return comb(k, a) * (sum(signed) // factorial(m - k))


def ceiling_of(
    distribution: TableDistribution | PermutationDistribution, temperature: float = 0.0
) -> "Ceiling | OrderCeiling":
    """The ceiling of item-level or tokenised answers.

    Raises:
        UsageError: see `Ceiling`.
    """
    if isinstance(distribution, PermutationDistribution):
        return OrderCeiling(distribution.n, distribution.except_given, temperature)
    return Ceiling(distribution, temperature)


def partition_accuracy(
    distribution: TableDistribution | PermutationDistribution, partition: Partition, temperature: float = 0.0
) -> float:
    """Probability of a correct answer when fixed steps are committed one after the other.

    sum over answers of the product over steps i and j in S_i of the (tempered) P(y_j | y_<i).
    """
    table = rows_of(distribution)
    reduced = reduce_table(table)
    place = {j: k for k, positions in enumerate(reduced.classes) for j in positions}
    chance, known = np.ones(len(reduced.codes)), 0
    for step in partition:
        chosen = [place[j] for j in step if j in place]
        own = reduced.own_probability(reduced.groups(known), temperature)
        chance *= own[:, chosen].prod(axis=1)
        known |= sum(1 << k for k in set(chosen))
    return float(chance.sum())


LISTED_ORDERS = 7
"""Orders of up to this many items are listed for a policy over them."""


def listed(distribution: Distribution) -> TableDistribution:
    """The answers as a table, which a policy needs.

    Raises:
        UsageError: orders of too many items, or a distribution that lists no answers.
    """
    if isinstance(distribution, TableDistribution):
        return distribution
    if isinstance(distribution, PermutationDistribution) and distribution.n <= LISTED_ORDERS:
        return rows_of(distribution)
    raise UsageError(
        f"the best policy is known for lists of up to {LISTED_ORDERS} items (and 6 of several tokens each)."
    )
