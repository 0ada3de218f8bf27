"""Intervals for measured probabilities."""

from math import exp, lgamma, log

COVERAGE = 0.95
_HALVINGS = 50


def binomial_interval(successes: int, trials: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a probability after `successes` of `trials`.

    It covers the true value with at least the given probability, at 0 and 1 too.
    """
    tail = (1 - coverage) / 2
    low = _solve(successes, trials, tail, upper=False) if successes else 0.0
    high = _solve(successes, trials, tail, upper=True) if successes < trials else 1.0
    return low, high


def _solve(k: int, n: int, tail: float, upper: bool) -> float:
    """The p at which k or fewer (upper end), or k or more (lower end), successes have probability `tail`."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        p = (low + high) / 2
        counts = range(k + 1) if upper else range(k, n + 1)
        likely = sum(_binomial(i, n, p) for i in counts) > tail
        if likely == upper:
            low = p
        else:
            high = p
    return (low + high) / 2


def _binomial(k: int, n: int, p: float) -> float:
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1 - p))
