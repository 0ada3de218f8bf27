"""Which positions depend on each other once some tokens are known: exact, in bits."""

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, Distribution, TableDistribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def pairwise_information(distribution: Distribution, region: Ints) -> Floats:
    """I(y_i; y_j | visible tokens) in bits [G, G], 0 on the diagonal and wherever i or j is visible.

    Where the visible tokens fit no answer it is that of the nearest ones, as for the marginals. 0 exactly if the two
    positions may be decided at once without loss; what a whole set loses is its total correlation, which the pairs
    bound from below.

    Args:
        distribution: Of the answers.
        region: Visible tokens, `HIDDEN` elsewhere.
    """
    hidden = (region == HIDDEN).nonzero()[0]
    position, joint = _table(distribution, region, hidden) or _by_conditionals(distribution, region, hidden)
    p = np.diag(joint)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log2(joint / np.outer(p, p)), 0.0)
    at = (position[:, None] == np.arange(len(region))).astype(np.float64)
    found: Floats = np.maximum(at.T @ terms @ at, 0.0)
    np.fill_diagonal(found, 0.0)
    found[found < ROUNDING] = 0.0
    return found


ROUNDING = 1e-9
"""Bits below which a number is a sum's rounding."""


def _table(distribution: Distribution, region: Ints, positions: Ints) -> tuple[Ints, Floats] | None:
    """Position of each (position, token) entry, and how likely two entries are together."""
    return distribution.pairs(region, positions) if isinstance(distribution, TableDistribution) else None


def _by_conditionals(distribution: Distribution, region: Ints, positions: Ints) -> tuple[Ints, Floats]:
    """The same from conditional marginals: one question for each entry of a position that is not certain."""
    first = distribution.conditionals(region, positions)
    size = len(first.position)
    number = {(int(j), int(token)): e for e, (j, token) in enumerate(zip(first.position, first.token, strict=True))}
    joint = np.outer(first.probability, first.probability)
    joint[np.arange(size), np.arange(size)] = first.probability
    uncertain = np.bincount(first.position, minlength=len(region))[first.position] > 1
    for e in uncertain.nonzero()[0]:
        known = region.copy()
        known[first.position[e]] = first.token[e]
        then = distribution.conditionals(known, positions[positions != first.position[e]])
        joint[e] = 0.0
        joint[e, e] = first.probability[e]
        for j, token, p in zip(then.position, then.token, then.probability, strict=True):
            joint[e, number[int(j), int(token)]] = first.probability[e] * p
    return first.position, joint


def edge_auc(score: Floats, edge: NDArray[np.bool_]) -> float | None:
    """Probability that an edge has a higher score than a pair without one, ties half (ROC AUC, Mann-Whitney).

    Args:
        score: [m, m] symmetric.
        edge: [m, m] symmetric.

    Returns:
        None where no pair or every pair is an edge.
    """
    upper = np.triu_indices(len(score), 1)
    values, edges = score[upper], edge[upper]
    positive = int(edges.sum())
    if positive in (0, len(edges)):
        return None
    wins = _mean_ranks(values)[edges].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * (len(edges) - positive)))


def edge_order(score: Floats, bits: Floats, edge: NDArray[np.bool_]) -> float | None:
    """Spearman's rank correlation of scores and bits over the edges: whether stronger ties have higher scores.

    Args:
        score: [m, m] symmetric.
        bits: [m, m] symmetric.
        edge: [m, m] symmetric.

    Returns:
        None where all edges are alike.
    """
    among = np.triu(edge, 1)
    ranks = [_mean_ranks(np.round(values[among], 9)) for values in (score, bits)]
    if any(len(set(rank.tolist())) < 2 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(values: Floats) -> Floats:
    """Rank of each value from 1, equal ones at their mean."""
    _, number, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (count.cumsum() - (count - 1) / 2)[number]
    return ranks
