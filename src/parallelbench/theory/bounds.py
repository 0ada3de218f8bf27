"""The frontier L*_T: what T steps lose at least, over the best fixed partition (Theorem 2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import TableDistribution
from parallelbench.theory.markov import MarkovDistribution
from parallelbench.theory.permutations import PermutationDistribution
from parallelbench.theory.reduction import (
    Reduced,
    Symmetry,
    all_exchangeable,
    members,
    no_symmetry,
    reduce_table,
)
from parallelbench.theory.search import search_orders

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
EXACT_SETS = 1 << 13
"""Kinds of position sets up to which the search over partitions is exhaustive (13 positions without symmetry)."""
Steps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Frontier:
    """Bounds of one distribution, in bits.

    Attributes:
        entropy: H(Y).
        correlation: C(Y) = L*_1.
        values: L*_T for T = 1, 2, ...
        partitions: A partition that reaches each (at most T steps).
        exact: False where `values` are upper bounds on L*_T: each is the exact L_T of its partition, but a
            better partition may exist.
    """

    entropy: float
    correlation: float
    values: tuple[float, ...]
    partitions: tuple[Steps, ...]
    exact: bool


Answers = TableDistribution | PermutationDistribution | MarkovDistribution


def frontier(distribution: Answers, steps: int | None = None) -> Frontier:
    """L*_T = min over partitions into at most T steps of L_T, for T = 1 ... steps (Theorem 2).

    Dynamic program over the set A of known positions:
    f_t(A) = min over S of sum_{j in S} H(y_j | y_A) + f_(t-1)(A u S) - H(Y); exact to at least 10 positions, and
    for orders and other exchangeable answers of any length. Above, a local search gives upper bounds.

    Args:
        distribution: The answers.
        steps: Largest T; default: as many as positions.
    """
    space = _space(distribution)
    total = distribution.length if steps is None else steps
    if space.symmetry.kinds > EXACT_SETS:
        return _searched(space, total)
    values = _values(space, total)
    partitions = tuple(_expand(space, _walk(space, values, t)) for t in range(1, total + 1))
    bits = tuple(max(float(values[t, 0]) - space.entropy, 0.0) for t in range(1, total + 1))
    return Frontier(space.entropy, bits[0], tuple(0.0 if b < 1e-12 else b for b in bits), partitions, True)


@dataclass(frozen=True, eq=False)
class _Space:
    """Sets of classes with what each further class costs: gain(A)[j] = H(y_j | y_A), 0 for j in A."""

    entropy: float
    symmetry: Symmetry
    classes: tuple[tuple[int, ...], ...]
    constant: tuple[int, ...]
    gain: Callable[[int], Floats]

    @property
    def multiplicity(self) -> Ints:
        return np.array([len(positions) for positions in self.classes], dtype=np.int64)


def _space(distribution: Answers) -> _Space:
    if isinstance(distribution, PermutationDistribution):
        return _permutation_space(distribution)
    if isinstance(distribution, MarkovDistribution):
        classes = tuple((j,) for j in range(distribution.length))
        entropy = distribution.entropy(range(distribution.length))
        gain = partial(_chain_gain, distribution)
        return _Space(entropy, no_symmetry(distribution.length, 1), classes, (), gain)
    reduced = reduce_table(distribution)
    entropy = distribution.entropy(range(distribution.length))
    return _Space(entropy, reduced.symmetry, reduced.classes, reduced.constant, partial(_table_gain, reduced))


def _table_gain(reduced: Reduced, mask: int) -> Floats:
    own = reduced.own_probability(reduced.groups(mask))
    gain = reduced.weights @ -np.log2(own)
    gain[members(mask)] = 0.0
    return np.asarray(gain)


def _chain_gain(chain: MarkovDistribution, mask: int) -> Floats:
    known = members(mask)
    return np.array([chain.gain(j, known) for j in range(chain.length)])


def _permutation_space(orders: PermutationDistribution) -> _Space:
    def gain(mask: int) -> Floats:
        a = mask.bit_count()
        each = orders.entropy_of_count(min(a + 1, orders.n)) - orders.entropy_of_count(a)
        return np.array([0.0 if mask >> j & 1 else each for j in range(orders.n)])

    slots = orders.slots.tolist()
    constant = tuple(j for j in range(orders.length) if j not in set(slots))
    classes = tuple((j,) for j in slots)
    return _Space(orders.entropy(slots), all_exchangeable(orders.n, 1), classes, constant, gain)


def _values(space: _Space, steps: int) -> Floats:
    """[steps + 1, R] cheapest rest from each kind of set with t steps left; row 0 is unused.

    The last step takes every token of the classes left; an earlier one takes one token of a class, and its
    twins follow in the next step for nothing.
    """
    symmetry = space.symmetry
    kinds = symmetry.representatives.tolist()
    out = np.full((steps + 1, len(kinds)), np.inf)
    out[1:, np.argmax(symmetry.representatives)] = 0.0
    for number in sorted(range(len(kinds)), key=lambda i: -kinds[i].bit_count()):
        mask = kinds[number]
        gain = space.gain(mask)
        out[1, number] = gain @ space.multiplicity if len(space.classes) else 0.0
        for chunk in symmetry.chunks(mask, steps):
            sets = cast(Ints, chunk.fold(_bit(symmetry.size), np.bitwise_or))
            cost = cast(Floats, chunk.fold(gain, np.add))
            target, _ = symmetry.place(sets | mask)
            moved = (sets != 0).nonzero()[0]
            if len(moved):
                rest = out[1:-1, target[moved]] + cost[moved]
                out[2:, number] = np.minimum(out[2:, number], rest.min(axis=1, initial=np.inf))
        out[1:, number] = np.minimum.accumulate(out[1:, number])
    return out


def _bit(size: int) -> Ints:
    return np.int64(1) << np.arange(size, dtype=np.int64)


def _walk(space: _Space, values: Floats, steps: int) -> list[list[int]]:
    """Classes committed at each step by a best partition."""
    symmetry, mask, partition = space.symmetry, 0, list[list[int]]()
    full = (1 << symmetry.size) - 1
    for t in range(steps, 1, -1):
        if mask == full:
            return partition
        gain, best, chosen = space.gain(mask), np.inf, 0
        for chunk in symmetry.chunks(mask, 1):
            sets = cast(Ints, chunk.fold(_bit(symmetry.size), np.bitwise_or))
            target, _ = symmetry.place(sets | mask)
            cost = values[t - 1, target] + cast(Floats, chunk.fold(gain, np.add))
            cost[sets == 0] = np.inf
            at = int(cost.argmin())
            if cost[at] < best - 1e-12:
                best, chosen = float(cost[at]), int(sets[at])
        partition.append(members(chosen))
        mask |= chosen
    return [*partition, members(full & ~mask)] if mask != full else partition


def _expand(space: _Space, partition: Sequence[Sequence[int]]) -> Steps:
    """Classes to positions: twins follow one step later, except in the last step."""
    steps: list[list[int]] = []
    waiting: list[int] = list(space.constant)
    for number, classes in enumerate(partition):
        last = number == len(partition) - 1
        chosen = [space.classes[k] for k in classes]
        steps.append(sorted([*waiting, *(j for c in chosen for j in (c if last else c[:1]))]))
        waiting = [] if last else [j for c in chosen for j in c[1:]]
    if not steps and waiting:
        steps.append(waiting)
    return tuple(tuple(step) for step in steps)


def _searched(space: _Space, steps: int) -> Frontier:
    gain = lru_cache(maxsize=1 << 14)(space.gain)
    costs, partitions = search_orders(gain, space.multiplicity.tolist(), steps)
    bits = [max(float(cost) - space.entropy, 0.0) for cost in costs]
    values = tuple(0.0 if b < 1e-12 else b for b in bits)
    return Frontier(space.entropy, values[0], values, tuple(_expand(space, p) for p in partitions), False)
