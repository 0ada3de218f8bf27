"""Exact conditionals against brute force, on tables and on orders."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.orderings import MAX_ITEMS, Frame, OrderingDistribution


def brute_force(rows, weights, region, positions):
    """{(position, token): probability} over the nearest rows, and their distance."""
    misses = [sum(v not in (HIDDEN, t) for v, t in zip(region, row, strict=True)) for row in rows]
    near = [i for i, m in enumerate(misses) if m == min(misses)]
    total = sum(weights[i] for i in near)
    found = {}
    for i in near:
        for j in positions:
            key = (int(j), int(rows[i][j]))
            found[key] = found.get(key, 0.0) + weights[i] / total
    return found, min(misses)


def as_dict(found):
    return {(int(j), int(t)): float(p) for j, t, p in zip(found.position, found.token, found.probability, strict=True)}


def check(distribution, rows, weights, region, positions):
    found = distribution.conditionals(np.array(region), np.array(positions))
    expected, distance = brute_force(rows, weights, region, positions)
    assert found.distance == distance
    assert as_dict(found) == pytest.approx(expected, abs=1e-12)


@st.composite
def tables(draw):
    length = draw(st.integers(1, 4))
    token = st.integers(0, 2)
    rows = draw(st.lists(st.tuples(*[token] * length), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.floats(0.1, 10), min_size=len(rows), max_size=len(rows)))
    region = draw(st.tuples(*[st.integers(HIDDEN, 2)] * length))
    return rows, weights, region


@given(tables())
def test_a_table_gives_the_marginals_of_the_nearest_rows(case):
    rows, weights, region = case
    check(TableDistribution(rows, weights), rows, weights, region, range(len(region)))


ITEMS = st.lists(st.lists(st.integers(10, 14), min_size=1, max_size=3).map(tuple), min_size=2, max_size=5, unique=True)
SHOWN = st.lists(st.sampled_from(["hidden", "true", "false"]), min_size=40, max_size=40)


@given(ITEMS, SHOWN, st.integers(0, 119), st.integers(0, 2), st.booleans())
def test_sums_over_subsets_equal_sums_over_orders(items, shown, pick, filler, except_given):
    """Items have one to three tokens, some shared; the region may contradict every order."""
    frame = Frame((1, 2)[: 1 + pick % 2], tuple(items), (3,), (4,), filler=0)
    length = len(frame.row(range(len(items)), 0)) + filler
    every = list(permutations(range(len(items))))
    truth = frame.row(every[pick % len(every)], length)
    says = {"hidden": lambda token: HIDDEN, "true": lambda token: token, "false": lambda token: 12}
    region = [says[how](token) for how, token in zip(shown, truth, strict=False)]
    all_orders = list(permutations(range(len(frame.items))))[1 if except_given else 0 :]
    rows = [frame.row(order, length) for order in all_orders]
    distribution = OrderingDistribution(frame, length, except_given)
    check(distribution, rows, [1.0] * len(rows), region, range(length))
    assert distribution.tokens.tolist() == sorted({t for row in rows for t in row})


@given(ITEMS, st.lists(SHOWN, min_size=2, max_size=4), st.integers(0, 119))
def test_sums_that_are_remembered_are_those_of_the_region_asked_about(items, shown, pick):
    """One distribution, asked about region after region, says what a new one says to each."""
    frame = Frame((1, 2), tuple(items), (3,), (4,), filler=0)
    length = len(frame.row(range(len(items)), 0)) + 2
    every = list(permutations(range(len(items))))
    truth = frame.row(every[pick % len(every)], length)
    says = {"hidden": lambda token: HIDDEN, "true": lambda token: token, "false": lambda token: 12}
    old = OrderingDistribution(frame, length)
    for one in shown:
        region = np.array([says[how](token) for how, token in zip(one, truth, strict=False)])
        found, fresh = (d.conditionals(region, np.arange(length)) for d in (old, OrderingDistribution(frame, length)))
        assert as_dict(found) == as_dict(fresh) and found.distance == fresh.distance


def test_tokens_that_tell_nothing_of_the_order_cost_no_new_sums(monkeypatch):
    frame = Frame((1,), tuple((10 + i, 30 + i) for i in range(5)), (3,), (4,), 0)
    distribution, region, sums = OrderingDistribution(frame, 24), np.full(24, HIDDEN), []
    compute = distribution._transitions
    monkeypatch.setattr(distribution, "_transitions", lambda *parts: sums.append(1) or compute(*parts))
    row = np.array(frame.row(range(5), 24))
    hidden = distribution.conditionals(region, np.arange(24))
    for place in (0, 15, 16, 23):  # opening, closing, filler
        region[place] = row[place]
        assert as_dict(distribution.conditionals(region, np.arange(24))) == as_dict(hidden)
    assert len(sums) == 1
    region[1] = 11
    assert as_dict(distribution.conditionals(region, np.array([2]))) == {(2, 31): 1.0}
    assert len(sums) == 2


def test_sixteen_items_are_exact():
    """16! - 1 orders: the first item is anyone, the given one a little less likely."""
    frame = Frame((1,), tuple((10 + i,) for i in range(MAX_ITEMS)), (3,), (4,), 0)
    distribution = OrderingDistribution(frame, 40)
    found = as_dict(distribution.conditionals(np.full(40, HIDDEN), np.array([1])))
    total = np.prod(np.arange(1.0, 17))
    assert found[(1, 11)] == pytest.approx(total / 16 / (total - 1), rel=1e-12)
    assert found[(1, 10)] == pytest.approx((total / 16 - 1) / (total - 1), rel=1e-12)
    assert len(found) == 16
    region = np.full(40, HIDDEN)
    region[1:31:2] = np.arange(11, 26)  # all but the last are placed, the given first one is left
    assert as_dict(distribution.conditionals(region, np.array([31]))) == {(31, 10): 1.0}


def test_impossible_sizes_are_refused():
    item = ((1,),)
    with pytest.raises(ValueError, match="2 to 16 items, got 17"):
        OrderingDistribution(Frame((1,), item * 17, (3,), (4,), 0), 99)
    with pytest.raises(ValueError, match="the answer has 5 tokens, the region 4"):
        OrderingDistribution(Frame((1,), item * 2, (3,), (4,), 0), 4)
    with pytest.raises(ValueError, match="weights must be positive"):
        TableDistribution([[1]], [0.0])
