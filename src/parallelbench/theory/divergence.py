"""The distribution a decoder induces on the answers, and how far it is from the true one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.measures import Partition

Floats = NDArray[np.float64]
State = tuple[tuple[int, ...], int]
"""Visible tokens of a region (`HIDDEN` elsewhere) and steps taken."""
Moves = Callable[[State], Iterable[tuple[State, float]]]
"""The states one step leads to, with probabilities; those that fit no answer may be left out."""


@dataclass(frozen=True)
class Divergence:
    """Distance of an induced distribution Q from the true P.

    Attributes:
        kl: KL(P || Q) = sum P log(P / Q) in bits; infinite where Q misses an answer.
        total_variation: sum |P - Q| / 2, in [0, 1].
        correct: Q(some correct answer).
    """

    kl: float
    total_variation: float
    correct: float


def divergence(true: Floats, induced: Floats) -> Divergence:
    """Compare P and Q, both given on the correct answers only; what Q lacks to 1 is on wrong ones."""
    correct = float(induced.sum())
    with np.errstate(divide="ignore"):
        kl = float((true * (np.log2(true) - np.log2(induced))).sum())
    return Divergence(max(kl, 0.0), float(np.abs(true - induced).sum() + max(1 - correct, 0.0)) / 2, correct)


def induced_by_partition(table: TableDistribution, partition: Partition) -> Floats:
    """[M] Q(y) = prod over steps i and j in S_i of P(y_j | y_<i): decoding a fixed partition at temperature 1.

    Its KL from P is L_T of the partition (Theorem 1 with exact marginals).
    """
    out = np.ones(len(table.rows))
    known: list[int] = []
    for step in partition:
        group = table.groups(known)
        before = np.bincount(group, table.weights)[group]
        for j in step:
            both = table.groups([*known, j])
            out *= np.bincount(both, table.weights)[both] / before
        known += step
    return out


def induced(table: TableDistribution, moves: Moves) -> Floats:
    """[M] Q(y) of a decoder, by following every path of its decoding tree that still fits an answer.

    Paths that show the same tokens after the same number of steps are followed once.
    """
    level: Mapping[State, float] = {((HIDDEN,) * table.length, 0): 1.0}
    number = {tuple(row): m for m, row in enumerate(table.rows.tolist())}
    out = np.zeros(len(table.rows))
    while level:
        following: dict[State, float] = {}
        for state, mass in level.items():
            for after, probability in moves(state):
                if HIDDEN in after[0]:
                    following[after] = following.get(after, 0.0) + mass * probability
                elif after[0] in number:
                    out[number[after[0]]] += mass * probability
        level = following
    return out
