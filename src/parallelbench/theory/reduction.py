"""What makes exact searches over sets of positions small: free columns, twin columns, and symmetries.

A column in which all answers agree costs nothing. Twins are columns that determine each other (the two tokens
of a name): once one is known the other is certain, so before the last step no optimal decoder commits both
at once, and a search needs one of them only. Column orders that map the answers onto themselves make sets of
positions equivalent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, TableDistribution

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TIE = 1e-9
"""Relative difference below which two probabilities are the same number, computed twice."""
CHUNK = 4_000_000
"""Numbers held at a time while all moves from one set are compared."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A table of answers without free columns, one column for each class of twins.

    Attributes:
        codes: [M, K] code of each answer in each class, 0, 1, ... in each column.
        weights: [M] probabilities.
        classes: Positions of each class, the first one standing for it.
        constant: Positions where all answers agree.
        length: G, positions of the full region.
        symmetry: The sets of classes up to symmetry.
    """

    codes: Ints
    weights: Floats
    classes: tuple[tuple[int, ...], ...]
    constant: tuple[int, ...]
    length: int
    symmetry: "Symmetry"

    @cached_property
    def multiplicity(self) -> Ints:
        """[K] tokens in each class."""
        return np.array([len(positions) for positions in self.classes], dtype=np.int64)

    @cached_property
    def _known_groups(self) -> dict[int, Ints]:
        return {0: np.zeros(len(self.codes), dtype=np.int64)}

    def groups(self, mask: int) -> Ints:
        """[M] number of each answer's joint value at a set of classes."""
        if mask not in self._known_groups:
            top = mask.bit_length() - 1
            cells = self.groups(mask ^ 1 << top) * self._sizes[top] + self.codes[:, top]
            self._known_groups[mask] = np.unique(cells, return_inverse=True)[1]
        return self._known_groups[mask]

    @cached_property
    def _sizes(self) -> Ints:
        return np.asarray(self.codes.max(axis=0, initial=0) + 1, dtype=np.int64)

    def own_probability(self, ids: Ints, temperature: float = 1.0) -> Floats:
        """[M, K] how probably a position draws the answer's own token, given the answer's group.

        Temperature 1 is the exact marginal p, others p^(1/temperature) normalised, 0 the mode with exact ties
        broken uniformly.
        """
        if not len(self.classes):
            return np.zeros(self.codes.shape)
        first = np.cumsum(self._sizes) - self._sizes
        count, width = int(ids.max()) + 1, int(self._sizes.sum())
        cells = (ids * width)[:, None] + self.codes + first
        weights = np.repeat(self.weights, len(first))
        mass = np.bincount(cells.ravel(), weights, count * width).reshape(count, width)
        probability = mass / np.bincount(ids, self.weights)[:, None]
        return np.asarray(_tempered(probability, first, self._sizes, temperature).ravel()[cells])

    @cached_property
    def signature(self) -> tuple[bytes, bytes, bytes]:
        """Equal for tables that differ only in the names of their tokens and in free columns."""
        return self.codes.tobytes(), self.weights.tobytes(), self.multiplicity.tobytes()

    def __hash__(self) -> int:
        return hash(self.signature)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reduced) and self.signature == other.signature


def _tempered(probability: Floats, first: Ints, sizes: Ints, temperature: float) -> Floats:
    """What a sampler draws from, for distributions side by side (those of each column start at `first`)."""
    if temperature == 1:
        return probability
    relative = probability / np.repeat(np.maximum.reduceat(probability, first, axis=1), sizes, axis=1)
    weight = relative >= 1 - TIE if temperature == 0 else relative ** (1 / temperature)
    return np.asarray(weight / np.repeat(np.add.reduceat(weight, first, axis=1, dtype=np.float64), sizes, axis=1))


def members(mask: int) -> list[int]:
    """The elements of a set written as a bit mask."""
    return [j for j in range(mask.bit_length()) if mask >> j & 1]


def reduce_table(table: TableDistribution) -> Reduced:
    """Drop free columns and merge twins."""
    first_seen = _dense(table.rows)
    constant = tuple(int(j) for j in (first_seen == 0).all(axis=0).nonzero()[0])
    twins: dict[bytes, list[int]] = {}
    for j in range(table.length):
        if j not in constant:
            twins.setdefault(first_seen[:, j].tobytes(), []).append(j)
    classes = tuple(tuple(positions) for positions in twins.values())
    columns = [positions[0] for positions in classes]
    weights = table.weights
    size = np.array([len(positions) for positions in classes], dtype=np.int64)
    codes = first_seen[:, columns]
    for coded in (_global(table.rows[:, columns]), _by_frequency(codes, weights)):
        symmetry = find_symmetry(coded, weights, size)
        if symmetry.columns.shape[0] > 1 or symmetry.exchangeable:
            codes = coded
            break
    return Reduced(codes, weights, classes, constant, table.length, symmetry)


def _dense(rows: Ints) -> Ints:
    """Codes of each column in the order in which they first occur."""
    out = np.empty_like(rows)
    for j in range(rows.shape[1]):
        _, first, inverse = np.unique(rows[:, j], return_index=True, return_inverse=True)
        out[:, j] = np.argsort(np.argsort(first))[inverse]
    return out


def _global(rows: Ints) -> Ints:
    """One code for a token whatever the column, in the order in which they first occur."""
    return _dense(rows.reshape(-1, 1)).reshape(rows.shape)


def _by_frequency(codes: Ints, weights: Floats) -> Ints:
    """Codes of each column from the most to the least probable."""
    out = np.empty_like(codes)
    for j in range(codes.shape[1]):
        mass = np.bincount(codes[:, j], weights)
        out[:, j] = np.argsort(np.argsort(-mass, kind="stable"), kind="stable")[codes[:, j]]
    return out


@dataclass(frozen=True)
class Chunk:
    """Some of the sets of classes that may be committed next: `base` and any subset of `free`.

    For exchangeable classes only `free`'s beginnings count.
    """

    base: tuple[int, ...]
    free: tuple[int, ...]
    beginnings: bool

    def fold(self, values: NDArray[np.generic], ufunc: np.ufunc) -> NDArray[np.generic]:
        """[sets, ...] `ufunc` over the values [K, ...] of each set's members."""
        identity = np.full((1, *values.shape[1:]), ufunc.identity, dtype=values.dtype)
        start = ufunc.reduce(values[list(self.base)], axis=0, keepdims=True) if self.base else identity
        if self.beginnings:
            return np.concatenate([start, ufunc.accumulate(values[list(self.free)], axis=0)])
        out = start
        for j in self.free:
            out = np.concatenate([out, ufunc(out, values[j])])
        return np.asarray(out)


@dataclass(frozen=True, eq=False)
class Symmetry:
    """Sets of K classes up to column orders that map the answers onto themselves.

    Attributes:
        exchangeable: Every column order does: a set is as good as the first classes.
        representatives: [R] masks, one for each kind of set.
        index: [2^K] number of each set's representative (unused when exchangeable).
        element: [2^K] column order that takes each set to its representative.
        columns: [E, K] where each column order sends each column.
        rows: [E, M] where it sends each answer.
    """

    size: int
    exchangeable: bool
    representatives: Ints
    index: Ints
    element: Ints
    columns: Ints
    rows: Ints

    def chunks(self, mask: int, width: int) -> Iterator[Chunk]:
        """The moves from a set, in portions of about `CHUNK / width` sets."""
        free = tuple(j for j in range(self.size) if not mask >> j & 1)
        low = max(CHUNK // width, 1).bit_length() - 1
        rest = () if self.exchangeable else free[low:]
        for chosen in range(1 << len(rest)):
            yield Chunk(tuple(rest[i] for i in members(chosen)), free[: len(free) - len(rest)], self.exchangeable)

    def place(self, masks: Ints) -> tuple[Ints, Ints]:
        """Number of the representative, and the column order that leads there, for each set."""
        if self.exchangeable:
            count = np.asarray(sum(masks >> j & 1 for j in range(self.size)))
            return count, np.zeros_like(masks)
        return self.index[masks], self.element[masks]

    @property
    def kinds(self) -> int:
        """Number of different sets of classes, the size of a search."""
        return len(self.representatives) or 1 << self.size

    @property
    def moves(self) -> int:
        """Pairs (representative, next set) that a search has to compare."""
        if self.exchangeable:
            return (self.size + 1) ** 2
        if not len(self.representatives):
            return int(3**self.size)
        return sum(1 << (self.size - int(mask).bit_count()) for mask in self.representatives)


SEARCHED = 16
"""Columns up to which every set of them has a place in a table."""


def find_symmetry(codes: Ints, weights: Floats, multiplicity: Ints) -> Symmetry:
    """The verified symmetries of a table: all column orders, those of a square, or none."""
    count, size = codes.shape
    if not size or len(set(multiplicity.tolist())) > 1:
        return no_symmetry(size, count)
    neighbours = [_swapped(np.arange(size), [(j, j + 1)]) for j in range(size - 1)]
    if all(row_map(codes, weights, order) is not None for order in neighbours):
        return all_exchangeable(size, count)
    generators = [order for order in _square_orders(size) if row_map(codes, weights, order) is not None]
    if not generators:
        return no_symmetry(size, count)
    columns = _closure(np.arange(size), generators)
    rows = np.stack([_certain(row_map(codes, weights, order)) for order in columns])
    return Symmetry(size, False, *_orbits(size, columns), columns, rows)


def all_exchangeable(size: int, count: int) -> Symmetry:
    """Every column order maps the answers onto themselves."""
    prefixes = (np.int64(1) << np.arange(size + 1, dtype=np.int64)) - 1
    nothing = np.zeros(0, dtype=np.int64)
    return Symmetry(size, True, prefixes, nothing, nothing, np.arange(size)[None], np.arange(count)[None])


def no_symmetry(size: int, count: int) -> Symmetry:
    """Every set of columns is of its own kind."""
    masks = np.arange(1 << size if size <= SEARCHED else 0, dtype=np.int64)
    return Symmetry(size, False, masks, masks, np.zeros_like(masks), np.arange(size)[None], np.arange(count)[None])


def row_map(codes: Ints, weights: Floats, order: Ints) -> Ints | None:
    """Where a column order sends each answer, None if it leaves the table.

    `order[j]` is the new place of column j.
    """
    moved = np.empty_like(codes)
    moved[:, order] = codes
    keys, new = _keys(codes), _keys(moved)
    ranked = np.argsort(keys)
    found = ranked[np.minimum(np.searchsorted(keys, new, sorter=ranked), len(keys) - 1)]
    same = (codes[found] == moved).all() and np.allclose(weights[found], weights, rtol=1e-12, atol=0)
    return found if same else None


def _keys(codes: Ints) -> NDArray[np.uint64]:
    """A number for each row, different for different rows but for a chance of 2^-64."""
    rng = np.random.default_rng(20260)
    factors = rng.integers(1, 1 << 63, codes.shape[1], dtype=np.uint64) | np.uint64(1)
    return np.asarray((codes.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64))


def _certain(rows: Ints | None) -> Ints:
    assert rows is not None, "products of symmetries are symmetries"
    return rows


def _swapped(order: Ints, pairs: Sequence[tuple[int, int]]) -> Ints:
    out = order.copy()
    for a, b in pairs:
        out[a], out[b] = order[b], order[a]
    return out


def _square_orders(size: int) -> list[Ints]:
    """Swaps of neighbouring rows and columns of a square, and its transposition."""
    side = round(size**0.5)
    if side * side != size or not 2 <= side <= SEARCHED**0.5:
        return []
    cells = np.arange(size).reshape(side, side)
    orders = [cells.T.ravel().copy()]
    for a in range(side - 1):
        orders.append(_swapped(np.arange(size), list(zip(cells[a].tolist(), cells[a + 1].tolist(), strict=True))))
        orders.append(_swapped(np.arange(size), list(zip(cells[:, a].tolist(), cells[:, a + 1].tolist(), strict=True))))
    return orders


def _closure(identity: Ints, generators: Sequence[Ints]) -> Ints:
    """Every product of the generators."""
    known = {identity.tobytes(): identity}
    fresh = [identity]
    while fresh:
        products = [generator[order] for order in fresh for generator in generators]
        fresh = []
        for order in products:
            if order.tobytes() not in known:
                known[order.tobytes()] = order
                fresh.append(order)
    return np.stack(list(known.values()))


def _orbits(size: int, columns: Ints) -> tuple[Ints, Ints, Ints]:
    """The representatives (the smallest masks), and for every set its number and the column order to it."""
    masks = np.arange(1 << size, dtype=np.int64)
    best, element = masks.copy(), np.zeros_like(masks)
    half = size // 2
    for number, order in enumerate(columns[1:], start=1):
        image = _images(order[:half])[masks & (1 << half) - 1] | _images(order[half:])[masks >> half]
        smaller = image < best
        best[smaller], element[smaller] = image[smaller], number
    representatives, index = np.unique(best, return_inverse=True)
    return representatives, index, element


def _images(order: Ints) -> Ints:
    """[2^k] the image of every set of the first k columns."""
    out = np.zeros(1, dtype=np.int64)
    for target in order:
        out = np.concatenate([out, out | np.int64(1) << target])
    return out


def visible_classes(reduced: Reduced, region: Ints) -> int:
    """Mask of the classes of which a region shows a token."""
    shown = [any(region[j] != HIDDEN for j in positions) for positions in reduced.classes]
    return sum(1 << k for k, is_shown in enumerate(shown) if is_shown)
