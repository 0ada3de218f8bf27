"""Entropy, total correlation and the bound of a fixed partition, exact and in bits.

Notation: Y = (y_1 ... y_G) the answer, A a set of positions, h(A) = H(y_A).
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

Partition = Sequence[Sequence[int]]
"""Positions committed at step 1, 2, ...; together every position once."""


@runtime_checkable
class Joint(Protocol):
    """Anything that knows the entropy of its positions."""

    length: int

    def entropy(self, positions: Sequence[int]) -> float:
        """H(y_A) in bits of the tokens at `positions` A."""
        ...


def conditional_entropy(joint: Joint, positions: Iterable[int], given: Iterable[int] = ()) -> float:
    """H(y_A | y_B) = h(A u B) - h(B), in bits, averaged over y_B.

    Args:
        joint: The distribution.
        positions: A.
        given: B.
    """
    known = sorted(set(given))
    return joint.entropy(sorted({*positions, *known})) - joint.entropy(known)


def total_correlation(joint: Joint, positions: Iterable[int] | None = None, given: Iterable[int] = ()) -> float:
    """C(y_A | y_B) = sum over j in A of H(y_j | y_B) - H(y_A | y_B), in bits (paper, section 2).

    What one parallel step over A loses at least, once B is known; 0 exactly if the tokens of A are
    independent given B.

    Args:
        joint: The distribution.
        positions: A; default: every position.
        given: B.
    """
    chosen = range(joint.length) if positions is None else list(positions)
    known = list(given)
    alone = sum(conditional_entropy(joint, [j], known) for j in chosen)
    return alone - conditional_entropy(joint, chosen, known)


def partition_bound(joint: Joint, partition: Partition) -> float:
    """L_T({S_i}) = sum over i of E[C(S_i | S_<i)], in bits (Theorem 1).

    KL(data || model) of any decoder that commits S_1, then S_2, ... is at least this, with equality for exact
    marginals. By the chain rule it is sum_i sum_{j in S_i} H(y_j | S_<i) - H(Y).

    Raises:
        ValueError: the steps are not a partition of the positions.
    """
    if sorted(j for step in partition for j in step) != list(range(joint.length)):
        raise ValueError(f"the steps do not hold each of the {joint.length} positions once: {partition}")
    known: list[int] = []
    total = 0.0
    for step in partition:
        total += sum(conditional_entropy(joint, [j], known) for j in step)
        known += step
    return max(total - joint.entropy(range(joint.length)), 0.0)


def partition_of(commit_step: Sequence[int]) -> list[list[int]]:
    """The partition a decoder actually used, from the step that committed each position.

    Positions given beforehand (step < 0) join the first step: they are known, so they cost nothing.
    """
    steps: dict[int, list[int]] = {}
    for position, step in enumerate(commit_step):
        steps.setdefault(max(step, 0), []).append(position)
    return [steps[step] for step in sorted(steps)]
