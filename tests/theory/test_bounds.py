"""Exact bounds against the paper's numbers, brute force, and the theorems."""

import json
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.theory.bounds import EXACT_SETS, frontier
from parallelbench.theory.measures import conditional_entropy, partition_bound, partition_of, total_correlation
from parallelbench.theory.operations import OPERATIONS, operation, rows_of
from parallelbench.theory.permutations import PermutationDistribution
from shared import shared
from theory import brute, tables


def check(name, n, entropy, correlation, values):
    found = frontier(operation(name, n))
    assert found.exact
    assert (found.entropy, found.correlation) == pytest.approx((entropy, correlation), abs=1e-6)
    assert found.values == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("key", tables.BOUNDS)
def test_bounds_are_the_known_ones(key):
    check(*key, *tables.BOUNDS[key])


def test_the_reference_bounds_are_reproduced():
    for key, row in json.loads(shared("golden/theory/theory.json").read_text())["bounds"].items():
        name, n = key.split("/")
        check(name, int(n), row["H"], row["C"], [row["L_star"][t] for t in sorted(row["L_star"], key=int)])


@pytest.mark.parametrize("name", OPERATIONS)
def test_partitions_are_partitions_that_reach_their_value(name):
    answers = operation(name, 3)
    found = frontier(answers)
    for t, (value, partition) in enumerate(zip(found.values, found.partitions, strict=True), start=1):
        assert len(partition) <= t
        assert partition_bound(answers, partition) == pytest.approx(value, abs=1e-9)


@settings(max_examples=12)
@given(tables.answers(length=4))
def test_the_frontier_is_the_best_of_all_partitions(answers):
    found = frontier(tables.table(answers), 3)
    for t in range(1, 4):
        best = min(brute.bound(answers, partition) for partition in brute.ordered_partitions(range(4), t))
        assert found.values[t - 1] == pytest.approx(best, abs=1e-9)


@given(tables.answers(length=5, rows=8))
def test_more_steps_never_lose_more(answers):
    values = frontier(tables.table(answers)).values
    assert list(values) == sorted(values, reverse=True)
    assert values[-1] == 0


@given(tables.answers(length=5, rows=8), st.data())
def test_splitting_a_step_never_loses_more(answers, data):
    """Lemma 1: C(A u B) >= C(A) + E[C(B | A)], and H(A u B) <= H(A) + H(B)."""
    joint = tables.table(answers)
    cut = data.draw(st.integers(1, 4))
    order = data.draw(st.permutations(range(5)))
    first, second = order[:cut], order[cut:]
    whole = total_correlation(joint, order)
    assert whole >= total_correlation(joint, first) + total_correlation(joint, second, given=first) - 1e-9
    assert joint.entropy(order) <= joint.entropy(first) + joint.entropy(second) + 1e-9
    assert partition_bound(joint, [first, second]) <= whole + 1e-9


@given(tables.answers(length=4), st.permutations(range(4)))
def test_entropies_are_those_of_the_answers(answers, order):
    joint = tables.table(answers)
    assert joint.entropy(order[:2]) == pytest.approx(brute.entropy(answers, order[:2]), abs=1e-9)
    assert conditional_entropy(joint, order[2:], order[:2]) == pytest.approx(
        brute.entropy(answers, order) - brute.entropy(answers, order[:2]), abs=1e-9
    )
    assert total_correlation(joint, order[1:], order[:1]) == pytest.approx(
        brute.step_loss(answers, order[:1], order[1:]), abs=1e-9
    )


@settings(max_examples=15)
@given(tables.answers(length=3), st.permutations(range(6)))
def test_twin_columns_change_nothing_but_the_last_step(answers, order):
    """Every column doubled: T steps then cost what the search over all six columns says."""
    doubled = {tuple((*y, *(7 + v for v in y))[j] for j in order): w for y, w in answers.items()}
    found = frontier(tables.table(doubled), 2)
    for t in (1, 2):
        best = min(brute.bound(doubled, partition) for partition in brute.ordered_partitions(range(6), t))
        assert found.values[t - 1] == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("except_given", [False, True])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_closed_entropies_of_orders_are_those_of_the_listed_orders(n, except_given):
    orders = PermutationDistribution(range(n), except_given)
    listed = rows_of(orders)
    for a in range(n + 1):
        assert orders.entropy(range(a)) == pytest.approx(listed.entropy(range(a)), abs=1e-9)
    assert frontier(orders).values == pytest.approx(frontier(listed).values, abs=1e-9)


def test_symmetry_finds_the_same_frontier_as_the_plain_search():
    square = operation("latin_square", 3)
    fewer = tables.table({tuple(row): 1 for row in square.rows[:-1].tolist()})
    full = frontier(square, 3)
    assert full.values[0] == pytest.approx(9 * log2(3) - log2(12), abs=1e-9)
    assert frontier(fewer, 3).values[0] == pytest.approx(total_correlation(fewer), abs=1e-9)
    assert [partition_bound(square, p) for p in full.partitions] == pytest.approx(full.values, abs=1e-9)


def test_ten_positions_are_exact_and_longer_ones_are_certified_upper_bounds():
    assert frontier(operation("remove_random", 11), 4).exact
    answers = operation("insert_random", 14)
    found = frontier(answers, 4)
    assert 1 << answers.length > EXACT_SETS and not found.exact
    assert list(found.values) == sorted(found.values, reverse=True)
    for value, partition in zip(found.values, found.partitions, strict=True):
        assert partition_bound(answers, partition) == pytest.approx(value, abs=1e-9)


def test_a_partition_is_read_from_commit_steps():
    assert partition_of([1, 0, -1, 3]) == [[1, 2], [0], [3]]
    with pytest.raises(ValueError, match="once"):
        partition_bound(operation("copy", 3), [[0, 1]])
