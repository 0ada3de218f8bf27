"""The paper's case study in formulas (section 3, Eq. 3-5 and Table 1): list operations on n one-token items.

Losses are in bits, accuracies in [0, 1]. "Ideal" is a model with exact marginals plus a little independent
zero-mean noise, so exact ties are broken at random. Methods are `confidence:k` and `threshold:tau`, which commit
at >= tau as our loop does; the paper's analysis commits at > tau.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import comb, e, factorial, inf, log2

CERTAIN = ("copy", "replace_index")


def replace_random_correlation(n: int) -> float:
    """C(Y|X) = (n - 1) (log n - log(n - 1)) bits of replacing one of n items at random."""
    return (n - 1) * (log2(n) - log2(n - 1)) if n > 1 else 0.0


REPLACE_RANDOM_LIMIT = log2(e)
"""Limit of `replace_random_correlation` for n to infinity: log e = 1.4427 bits."""
SHUFFLE_LIMIT = inf
"""Limit of `shuffle_correlation` for n to infinity."""


def shuffle_correlation(n: int) -> float:
    """C(Y|X) = n log n - log n! bits of any permutation of n items."""
    return n * log2(n) - log2(factorial(n))


def shuffle_pairs_bound(n: int) -> float:
    """L_(n/2) = log(n!! / (n-1)!!) bits of a shuffle decoded two items a step, n even; unbounded in n.

    Raises:
        ValueError: n is odd.
    """
    if n % 2:
        raise ValueError(f"two items a step need an even number of items, got {n}")
    return log2(_double_factorial(n)) - log2(_double_factorial(n - 1))


def _double_factorial(n: int) -> int:
    return 1 if n < 2 else n * _double_factorial(n - 2)


def shuffle_top_k(n: int, k: int) -> float:
    """Accuracy prod over steps of P(m, s) / m^s with m items left and s = min(k, m) a step, P(m, s) = m!/(m-s)!.

    The same for greedy decoding and for temperature 1. k = n: n!/n^n; k = 2: (n-1)!!/n!! for even n; k = 1: 1.
    """
    result, m = 1.0, n
    while m:
        step = min(k, m)
        result *= factorial(m) / factorial(m - step) / m**step
        m -= step
    return result


def shuffle_threshold(n: int, tau: float) -> float:
    """Accuracy of a threshold: one item a step while 1/m < tau, then the m = floor(1/tau) left at once: m!/m^m.

    1 for tau > 0.5; the same for greedy decoding and for temperature 1.
    """
    m = next((m for m in range(n, 0, -1) if 1 / m >= tau), 1)
    return float(factorial(m) / m**m)


def replace_random_top_k(n: int, k: int, temperature: float = 0.0) -> float:
    """Accuracy of the k most confident positions a step; temperature 0 or 1.

    Greedy, with r = n mod k (k where k divides n) positions in the last step: all keep their items before it, so
    r = 1 gives 1, r = 2 gives 1/2 (a tie each), more gives 0. Temperature 1: see `_sampled`; k = n gives
    ((n-1)/n)^(n-1), in the limit 1/e.
    """
    if temperature == 1:
        return _sampled(n, lambda m, news: _most_confident(m, news, min(k, m)))
    last = n % k or min(k, n)
    return {1: 1.0, 2: 0.5}.get(last, 0.0)


def replace_random_threshold(n: int, tau: float, temperature: float = 0.0) -> float:
    """Accuracy of a threshold; temperature 0 or 1.

    Greedy: 1 if tau > (n-1)/n, since then one position a step is taken, else 0 (n = 2: a tie each, 1/2).
    """
    if temperature == 1:
        return _sampled(n, lambda m, news: _above(m, news, tau))
    if tau > (n - 1) / n or n == 1:
        return 1.0
    return 0.5 if n == 2 else 0.0


def _sampled(n: int, committed: Callable[[int, int], tuple[int, int]]) -> float:
    """Accuracy at temperature 1 by recursion over m, the positions left while nothing is replaced.

    Each of them draws the new item with probability 1/m: x ~ Bin(m, 1/m) do. `committed(m, x)` says how many old
    and new items the rule takes: exactly one new is right for good, two are wrong, none goes on with fewer.
    """

    @cache
    def rest(m: int) -> float:
        if m == 0:
            return 0.0
        total = 0.0
        for x in range(m + 1):
            weight = comb(m, x) * (1 / m) ** x * (1 - 1 / m) ** (m - x)
            old, new = committed(m, x)
            total += weight * (rest(m - old) if new == 0 else float(new == 1))
        return total

    return rest(n)


def _most_confident(m: int, news: int, step: int) -> tuple[int, int]:
    """Old items, of confidence (m-1)/m, go first; at m = 2 the tie does not matter."""
    old = min(step, m - news)
    return old, step - old


def _above(m: int, news: int, tau: float) -> tuple[int, int]:
    old = m - news if (m - 1) / m >= tau else 0
    new = news if 1 / m >= tau else 0
    return (old, new) if old + new else _most_confident(m, news, 1)


@dataclass(frozen=True)
class Row:
    """One line of Table 1: formulas as functions of n (and k or tau)."""

    correlation: Callable[[int], float]
    limit: float
    top_k: Callable[[int, int], float]
    threshold: Callable[[int, float], float]


TABLE1: Mapping[str, Row] = {
    **{name: Row(lambda n: 0.0, 0.0, lambda n, k: 1.0, lambda n, tau: 1.0) for name in CERTAIN},
    "replace_random": Row(
        replace_random_correlation, REPLACE_RANDOM_LIMIT, replace_random_top_k, replace_random_threshold
    ),
    "shuffle": Row(shuffle_correlation, SHUFFLE_LIMIT, shuffle_top_k, shuffle_threshold),
}
"""Table 1 of the paper: loss of one step, its limit, greedy accuracies."""
