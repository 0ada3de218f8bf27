"""Markov chains against enumeration, and orders in closed form against sums over subsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.theory.bounds import frontier
from parallelbench.theory.distribution import HIDDEN
from parallelbench.theory.markov import MarkovDistribution, markov_matrix
from parallelbench.theory.measures import partition_bound, total_correlation
from parallelbench.theory.orderings import Frame, OrderingDistribution
from parallelbench.theory.permutations import PermutationDistribution


def chain(length, size=3, stickiness=0.5, forbidden=1, seed=1):
    initial = np.random.default_rng(seed).dirichlet(np.ones(size))
    return MarkovDistribution(initial, markov_matrix(size, stickiness, forbidden, seed), length)


def same(a, b):
    assert a.distance == b.distance
    assert a.position.tolist() == b.position.tolist() and a.token.tolist() == b.token.tolist()
    assert a.probability == pytest.approx(b.probability, abs=1e-12)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 2), st.integers(0, 50), st.data())
def test_marginals_of_a_chain_are_those_of_its_sequences(length, forbidden, seed, data):
    """On and off the support: visible tokens that no sequence has give the nearest ones."""
    sequences = chain(length, forbidden=forbidden, seed=seed)
    tokens = st.sampled_from([HIDDEN, HIDDEN, 0, 1, 2, 7])
    region = np.array(data.draw(st.lists(tokens, min_size=length, max_size=length)))
    positions = np.arange(length)
    same(sequences.conditionals(region, positions), sequences.table().conditionals(region, positions))


@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_entropies_of_a_chain_are_those_of_its_sequences(length):
    sequences = chain(length)
    listed = sequences.table()
    assert sequences.count() == len(listed.rows) and listed.weights.sum() == pytest.approx(1)
    for positions in ([0], range(length), range(0, length, 2), [length - 1]):
        assert sequences.entropy(positions) == pytest.approx(listed.entropy(positions), abs=1e-9)
    assert total_correlation(sequences) == pytest.approx(total_correlation(listed), abs=1e-9)
    assert frontier(sequences).values == pytest.approx(frontier(listed).values, abs=1e-9)


def test_a_long_chain_has_certified_upper_bounds():
    sequences = chain(18)
    found = frontier(sequences, 3)
    assert not found.exact and list(found.values) == sorted(found.values, reverse=True)
    for value, partition in zip(found.values, found.partitions, strict=True):
        assert partition_bound(sequences, partition) == pytest.approx(value, abs=1e-9)
    even_odd = partition_bound(sequences, [range(0, 18, 2), range(1, 18, 2)])
    assert found.values[1] <= even_odd + 1e-9


def test_matrices_are_stochastic_and_refused_otherwise():
    matrix = markov_matrix(5, 0.7, 2, seed=3)
    assert matrix.sum(1) == pytest.approx(1) and ((matrix == 0).sum(1) >= 2).all()
    assert (markov_matrix(5, 0.7, 2, seed=3) == matrix).all()
    assert total_correlation(MarkovDistribution([0.5, 0.5], markov_matrix(2, 0.0, 0), 4)) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="sum to 1"):
        MarkovDistribution([0.5, 0.5], [[0.5, 0.6], [0.5, 0.5]], 3)
    with pytest.raises(ValueError, match="length"):
        MarkovDistribution([1.0], [[1.0]], 0)


@settings(max_examples=60)
@given(st.integers(2, 5), st.data())
def test_orders_in_closed_form_are_the_sums_over_subsets(n, data):
    items = list(range(10, 10 + n))
    slow = OrderingDistribution(Frame((), tuple((i,) for i in items), (), (), 0), n, except_given=False)
    region = np.array(data.draw(st.lists(st.sampled_from([HIDDEN, 99, *items]), min_size=n, max_size=n)))
    positions = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    same(PermutationDistribution(items).conditionals(region, positions), slow.conditionals(region, positions))


def test_a_template_around_the_items_is_certain():
    orders = PermutationDistribution([4, 5], template=[1, HIDDEN, 2, HIDDEN, 3])
    found = orders.conditionals(np.array([HIDDEN, 4, 9, HIDDEN, HIDDEN]), np.arange(5))
    assert (found.position.tolist(), found.token.tolist()) == ([0, 1, 2, 3, 4], [1, 4, 2, 5, 3])
    assert found.distance == 1 and (found.probability == 1).all()
    assert orders.entropy(range(5)) == pytest.approx(1)
    assert frontier(orders).partitions[1] == ((0, 1, 2, 4), (3,))
