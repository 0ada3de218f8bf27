"""Good partitions where trying all is out of reach: upper bounds on the frontier L*_T."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Gain = Callable[[int], Floats]
TRIES = 300
"""Orders looked at; a constant of the result, so it is not a setting."""


def search_orders(gain: Gain, multiplicity: Sequence[int], steps: int) -> tuple[Floats, list[list[list[int]]]]:
    """The cheapest partitions into consecutive pieces of some order, over many orders.

    For one order the best cut into T pieces is exact for every T at once: f_t(b) = min over a < b of
    f_(t-1)(a) + sum_{a <= i < b} gain(order[:a], order[i]). Orders: left to right, halving the largest gap, and
    random exchanges in the best one found so far.

    Args:
        gain: Mask of known classes to [K] H(y_j | y_A) in bits.
        multiplicity: Tokens of each class, all of which a last step pays for.
        steps: Largest T.

    Returns:
        [steps] costs in bits (H(Y) not yet taken off) and a partition for each.
    """
    size = len(multiplicity)
    rng = np.random.default_rng(0)
    best = np.full(steps, np.inf)
    found: list[list[list[int]]] = [[] for _ in range(steps)]
    orders: list[list[int]] = [list(range(size)) for _ in range(steps)]
    for attempt in range(TRIES):
        if attempt < 2:
            order = [list(range(size)), halving(size)][attempt]
        else:
            order = list(orders[attempt % steps])
            i, j = rng.choice(size, 2, replace=False)
            order[i], order[j] = order[j], order[i]
        costs, cuts = _cut(order, gain, multiplicity, steps)
        for t in (costs < best - 1e-12).nonzero()[0]:
            best[t], found[t], orders[t] = costs[t], cuts(int(t)), order
    return best, found


def halving(size: int) -> list[int]:
    """0, the middle, the middles of the halves, ...: neighbours late, as chains like it."""
    order, gaps = [0], [(0, size)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if middle > low:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order


def _cut(
    order: Sequence[int], gain: Gain, multiplicity: Sequence[int], steps: int
) -> tuple[Floats, Callable[[int], list[list[int]]]]:
    """Costs of the best cuts of an order into at most 1 ... steps pieces, and how to read them back."""
    size = len(order)
    each = np.zeros((size, size))
    mask = 0
    for a, k in enumerate(order):
        each[a] = gain(mask)[list(order)]
        mask |= 1 << k
    weight = np.array([multiplicity[k] for k in order])
    piece = np.concatenate([np.zeros((size, 1)), np.cumsum(each * (np.arange(size) >= np.arange(size)[:, None]), 1)], 1)
    last = np.array([each[a, a:] @ weight[a:] for a in range(size)] + [0.0])
    before = np.full((steps, size + 1), np.inf)  # cheapest way to the first b classes in t pieces, none the last
    before[0, 0] = 0.0
    origin = np.zeros((steps, size + 1), dtype=np.int64)
    for t in range(1, steps):
        ways = before[t - 1, :size, None] + piece
        ways = np.vstack([ways, np.full(size + 1, np.inf)])
        ways[np.arange(size + 1)[:, None] > np.arange(size + 1)] = np.inf
        ways[size, size] = before[t - 1, size]
        origin[t] = ways.argmin(0)
        before[t] = ways.min(0)
    totals = before + last

    def read(t: int) -> list[list[int]]:
        end = int(totals[t].argmin())
        pieces = [list(order[end:])]
        for step in range(t, 0, -1):
            begin = int(origin[step, end])
            pieces.append(list(order[begin:end]))
            end = begin
        return [p for p in reversed(pieces) if p]

    return totals.min(1), read
