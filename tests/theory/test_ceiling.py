"""Ceilings against the paper's numbers and against trying every policy."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.theory.ceiling import Ceiling, OrderCeiling, ceiling_of, listed, partition_accuracy
from parallelbench.theory.distribution import HIDDEN
from parallelbench.theory.operations import operation, rows_of
from shared import shared
from theory import brute, tables

GREEDY, T1 = 0.0, 1.0


@pytest.mark.parametrize("key", tables.CEILINGS)
@pytest.mark.parametrize("temperature", [T1, GREEDY])
def test_ceilings_are_the_known_ones(key, temperature):
    expected = tables.CEILINGS[key][0 if temperature == T1 else 1]
    answers = operation(*key)
    assert ceiling_of(answers, temperature).values(len(expected)) == pytest.approx(expected, abs=1e-6)
    assert Ceiling(rows_of(answers), temperature).values(len(expected)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [T1, GREEDY])
def test_the_reference_ceilings_are_reproduced(temperature):
    golden = json.loads(shared("golden/theory/theory.json").read_text())
    for key, row in golden["ceiling_t1" if temperature == T1 else "ceiling_greedy"].items():
        name, n = key.split("/")
        values = ceiling_of(operation(name, int(n)), temperature).values(len(row))
        assert values == pytest.approx([row[t] for t in sorted(row, key=int)], abs=1e-6), key


@settings(max_examples=30)
@given(tables.answers(length=3, rows=6), st.sampled_from([GREEDY, T1]))
def test_a_ceiling_is_the_best_of_all_policies(answers, temperature):
    found = Ceiling(tables.table(answers), temperature)
    for steps in (1, 2, 3):
        best = brute.ceiling(answers, steps, temperature == GREEDY)
        assert found.value(steps) == pytest.approx(float(best), abs=1e-9)


@settings(max_examples=20)
@given(tables.answers(length=2, rows=4), st.sampled_from([GREEDY, T1]))
def test_twin_columns_cost_only_in_the_last_step(answers, temperature):
    doubled = {(y[0], y[1], y[0] + 5, y[1] + 9): w for y, w in answers.items()}
    found = Ceiling(tables.table(doubled), temperature)
    for steps in (1, 2, 3):
        best = brute.ceiling(doubled, steps, temperature == GREEDY)
        assert found.value(steps) == pytest.approx(float(best), abs=1e-9)


def policy_of(found, length):
    def choose(visible, steps):
        region = np.array([visible.get(j, HIDDEN) for j in range(length)])
        return [int(j) for j in found.choose(region, steps).nonzero()[0]]

    return choose


@settings(max_examples=20)
@given(tables.answers(length=4, rows=6), st.sampled_from([GREEDY, T1]), st.integers(1, 4))
def test_the_policy_reaches_its_ceiling(answers, temperature, steps):
    found = Ceiling(tables.table(answers), temperature)
    reached = brute.follow(answers, policy_of(found, 4), steps, temperature == GREEDY)
    assert float(reached) == pytest.approx(found.value(steps), abs=1e-9)


@pytest.mark.parametrize("name", ["shuffle", "shuffle_distinct", "replace_random", "latin_square"])
@pytest.mark.parametrize("temperature", [T1, GREEDY])
def test_the_policy_of_symmetric_answers_reaches_its_ceiling(name, temperature):
    table = rows_of(operation(name, 3))
    answers = {tuple(row): 1 for row in table.rows.tolist()}
    found = Ceiling(table, temperature)
    for steps in (2, 3):
        reached = brute.follow(answers, policy_of(found, table.length), steps, temperature == GREEDY)
        assert float(reached) == pytest.approx(found.value(steps), abs=1e-9)


@given(tables.answers(length=4, rows=8), st.floats(0, 2))
def test_more_steps_are_never_worse_and_enough_are_perfect(answers, temperature):
    values = Ceiling(tables.table(answers), temperature).values(4)
    assert all(a <= b + 1e-12 for a, b in zip(values, values[1:], strict=False))
    assert values[-1] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("except_given", [False, True])
def test_the_recursion_over_orders_is_the_search_over_listed_orders(except_given, temperature):
    name = "shuffle_distinct" if except_given else "shuffle"
    for n in (2, 3, 5):
        by_search = Ceiling(rows_of(operation(name, n)), temperature).values(n)
        assert OrderCeiling(n, except_given, temperature).values(n) == pytest.approx(by_search, abs=1e-9)


@pytest.mark.parametrize("n", [4, 8])
def test_two_greedy_steps_solve_replace_random_and_insert_random(n):
    assert ceiling_of(operation("replace_random", n)).value(2) == pytest.approx(1)
    assert ceiling_of(operation("insert_random", n)).value(2) == pytest.approx(1)


def test_the_value_by_size_explains_the_choice():
    found = Ceiling(rows_of(operation("insert_random", 4)), T1)
    region = np.full(5, HIDDEN)
    by_size = found.by_size(region, 2)
    assert by_size[2] == pytest.approx(0.84) and max(by_size.values()) == by_size[2]
    assert found.choose(region, 2).sum() == 2
    assert found.by_size(np.full(5, 99), 2) == {}


def test_a_region_that_fits_no_answer_is_filled_up():
    found = Ceiling(rows_of(operation("replace_random", 4)), GREEDY)
    assert found.choose(np.array([4, 4, HIDDEN, HIDDEN]), 3).tolist() == [False, False, True, True]


@pytest.mark.parametrize(("name", "partition"), [("shuffle", [[0, 1], [2]]), ("insert_random", [[0, 2], [1, 3]])])
@pytest.mark.parametrize("temperature", [T1, GREEDY])
def test_the_accuracy_of_a_partition_is_that_of_following_it(name, partition, temperature):
    table = rows_of(operation(name, 3))
    answers = {tuple(row): 1 for row in table.rows.tolist()}
    left = dict(zip(range(len(partition), 0, -1), partition, strict=True))
    reached = brute.follow(answers, lambda visible, steps: left[steps], len(partition), temperature == GREEDY)
    assert partition_accuracy(table, partition, temperature) == pytest.approx(float(reached), abs=1e-9)


def test_what_is_out_of_reach_is_refused():
    with pytest.raises(UsageError, match="comparisons"):
        Ceiling(rows_of(operation("insert_random", 16)))
    with pytest.raises(UsageError, match="up to 7 items"):
        listed(operation("shuffle", 8))
