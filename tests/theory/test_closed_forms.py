"""The paper's formulas against exact numbers and against brute force for every n to 8."""

from fractions import Fraction
from itertools import permutations
from math import comb, e, factorial, inf, log2

import pytest

from parallelbench.theory.ceiling import partition_accuracy
from parallelbench.theory.closed_forms import (
    REPLACE_RANDOM_LIMIT,
    SHUFFLE_LIMIT,
    TABLE1,
    replace_random_correlation,
    replace_random_threshold,
    replace_random_top_k,
    shuffle_correlation,
    shuffle_pairs_bound,
    shuffle_threshold,
    shuffle_top_k,
)
from parallelbench.theory.measures import partition_bound, total_correlation
from parallelbench.theory.operations import operation

SIZES = range(2, 9)


@pytest.mark.parametrize("n", SIZES)
def test_losses_are_the_total_correlations(n):
    for name, row in TABLE1.items():
        assert row.correlation(n) == pytest.approx(total_correlation(operation(name, n)), abs=1e-9)


def test_limits_are_limits():
    assert replace_random_correlation(10**6) == pytest.approx(REPLACE_RANDOM_LIMIT, abs=1e-5)
    assert REPLACE_RANDOM_LIMIT == pytest.approx(1.4427, abs=1e-4)
    assert SHUFFLE_LIMIT == inf and shuffle_correlation(400) > 500
    assert replace_random_top_k(300, 300, 1.0) == pytest.approx(1 / e, abs=1e-3)


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_two_a_step_lose_log_of_double_factorials(n):
    pairs = [[j, j + 1] for j in range(0, n, 2)]
    assert shuffle_pairs_bound(n) == pytest.approx(partition_bound(operation("shuffle", n), pairs), abs=1e-9)
    with pytest.raises(ValueError, match="even"):
        shuffle_pairs_bound(n + 1)


@pytest.mark.parametrize("n", SIZES)
def test_top_k_of_a_shuffle_counts_the_lucky_draws(n):
    for k in range(1, n + 1):
        lucky, m = Fraction(1), n
        while m:
            step = min(k, m)
            lucky *= Fraction(
                sum(1 for _ in permutations(range(m), step)) if m < 8 else factorial(m) // factorial(m - step), m**step
            )
            m -= step
        assert shuffle_top_k(n, k) == pytest.approx(float(lucky))
    assert shuffle_top_k(n, n) == pytest.approx(factorial(n) / n**n)
    assert shuffle_top_k(n, 1) == 1


@pytest.mark.parametrize("n", range(2, 8))
def test_greedy_top_k_is_what_following_every_path_gives(n):
    for name in ("shuffle", "replace_random", "copy"):
        for k in range(1, n + 1):
            steps = [list(range(start, min(start + k, n))) for start in range(0, n, k)]
            exact = partition_accuracy(operation(name, n), steps, 0.0)
            assert TABLE1[name].top_k(n, k) == pytest.approx(exact, abs=1e-9), (name, k)


def sampled(n, committed, known=None):
    """P(correct) at temperature 1 by listing how many of the positions left draw the new item."""
    known = {0: Fraction(0)} if known is None else known
    if n in known:
        return known[n]
    total = Fraction(0)
    for news in range(n + 1):
        weight = comb(n, news) * Fraction(1, n) ** news * Fraction(n - 1, n) ** (n - news)
        confidences = sorted([(Fraction(n - 1, n), 0)] * (n - news) + [(Fraction(1, n), 1)] * news, reverse=True)
        taken = committed(confidences)
        new = sum(is_new for _, is_new in taken)
        total += weight * (sampled(n - len(taken), committed, known) if new == 0 else int(new == 1))
    known[n] = total
    return total


@pytest.mark.parametrize("n", SIZES)
def test_sampled_replacements_are_listed(n):
    for k in range(1, n + 1):
        assert replace_random_top_k(n, k, 1.0) == pytest.approx(float(sampled(n, lambda c, k=k: c[:k])))
    for tau in (0.05, 0.3, 0.45, 0.6, 0.82, 0.95):

        def rule(ranked, tau=tau):
            return [c for c in ranked if c[0] >= tau] or ranked[:1]

        assert replace_random_threshold(n, tau, 1.0) == pytest.approx(float(sampled(n, rule)))
    assert replace_random_top_k(n, n, 1.0) == pytest.approx(((n - 1) / n) ** (n - 1))


def greedy_threshold(n, tau):
    """P(correct) of greedy replacement: the modes are known, ties are even."""
    if n == 1:
        return Fraction(1)
    if n == 2:
        return Fraction(1, 2) if tau <= 0.5 else Fraction(1)
    return Fraction(0) if Fraction(n - 1, n) >= tau else greedy_threshold(n - 1, tau)


@pytest.mark.parametrize("n", SIZES)
def test_greedy_thresholds_follow_the_confidences(n):
    for tau in (0.05, 0.3, 0.45, 0.6, 0.82, 0.95):
        assert replace_random_threshold(n, tau) == float(greedy_threshold(n, tau))
        left = n
        while 1 / left < tau and left > 1:
            left -= 1
        assert shuffle_threshold(n, tau) == pytest.approx(factorial(left) / left**left)
    assert shuffle_threshold(n, 0.51) == 1 and replace_random_threshold(n, 0.99) == 1


def test_table_1_names_its_limits():
    assert [row.limit for row in TABLE1.values()] == [0, 0, log2(e), inf]
