"""Theorem 1 as a test: the induced distribution of a partition is as far off as its bound says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.divergence import divergence, induced, induced_by_partition
from parallelbench.theory.intervals import binomial_interval
from parallelbench.theory.measures import partition_bound
from parallelbench.theory.operations import OPERATIONS, operation, rows_of
from theory import brute, tables


def random_table(seed):
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 3, (rng.integers(2, 12), 4)), axis=0)
    return TableDistribution(rows, rng.uniform(0.1, 1, len(rows)).tolist())


def partitions(table, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, table.length + 1), table.length)
    return [[int(j) for j in (labels == t).nonzero()[0]] for t in np.unique(labels)]


@pytest.mark.parametrize("seed", range(20))
def test_kl_of_a_partition_is_its_bound_on_random_distributions(seed):
    table = random_table(seed)
    for again in range(5):
        partition = partitions(table, 100 * seed + again)
        found = divergence(table.weights, induced_by_partition(table, partition))
        assert found.kl == pytest.approx(partition_bound(table, partition), abs=1e-9)


@pytest.mark.parametrize("name", OPERATIONS)
def test_kl_of_a_partition_is_its_bound_on_list_operations(name):
    table = rows_of(operation(name, 3 if name in ("latin_square", "sudoku") else 5))
    for seed in range(5):
        partition = partitions(table, seed)
        found = divergence(table.weights, induced_by_partition(table, partition))
        assert found.kl == pytest.approx(partition_bound(table, partition), abs=1e-9)


@settings(max_examples=25)
@given(tables.answers(length=4), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_the_induced_distribution_is_the_product_of_marginals(answers, labels):
    partition = [[j for j in range(4) if labels[j] == t] for t in sorted(set(labels))]
    expected = brute.induced(answers, partition)
    found = induced_by_partition(tables.table(answers), partition)
    assert found == pytest.approx([float(expected[y]) for y in answers], abs=1e-12)


def test_a_tree_of_moves_adds_up_to_the_induced_distribution():
    table = rows_of(operation("insert_random", 3))
    partition = [[1, 3], [0], [2]]

    def moves(state):
        shown, step = state
        region = np.array(shown)
        for row in table.rows[((table.rows == region) | (region == HIDDEN)).all(axis=1)]:
            visible = {j: v for j, v in enumerate(shown) if v != HIDDEN}
            answers = {tuple(y): 1 for y in table.rows.tolist()}
            chance = np.prod([float(brute.marginal(answers, visible, j)[row[j]]) for j in partition[step]])
            same = [y for y in answers if all(y[j] == shown[j] or shown[j] == HIDDEN for j in range(4))]
            twins = sum(all(y[j] == row[j] for j in partition[step]) for y in same)
            after = region.copy()
            after[partition[step]] = row[partition[step]]
            yield (tuple(after.tolist()), step + 1), chance / twins

    assert induced(table, moves) == pytest.approx(induced_by_partition(table, partition), abs=1e-12)


def test_a_shuffle_that_always_swaps_is_valid_and_wrong():
    table = rows_of(operation("shuffle", 3))
    swap = np.array([float(row == [1, 0, 2]) for row in table.rows.tolist()])
    found = divergence(table.weights, swap)
    assert found.correct == 1 and found.total_variation == pytest.approx(5 / 6) and found.kl == np.inf


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 10), (50, 100), (199, 200)])
def test_an_exact_interval_leaves_out_what_is_unlikely(successes, trials):
    low, high = binomial_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1

    def tail(p, counts):
        from math import comb

        return sum(comb(trials, i) * p**i * (1 - p) ** (trials - i) for i in counts)

    if successes:
        assert tail(low, range(successes, trials + 1)) == pytest.approx(0.025, rel=1e-6)
    if successes < trials:
        assert tail(high, range(successes + 1)) == pytest.approx(0.025, rel=1e-6)
    assert (low == 0) == (successes == 0) and (high == 1) == (successes == trials)
