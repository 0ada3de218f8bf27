"""First-order Markov chains: the third exact distribution beside tables and permutations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parallelbench.theory.distribution import HIDDEN, Conditionals, TableDistribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class MarkovDistribution:
    """P(y) = initial[y_1] * prod over j of transition[y_(j-1), y_j], tokens 0 ... V-1.

    The synthetic setting of arXiv 2502.09622 and 2602.19619.

    Args:
        initial: [V] probabilities of the first token.
        transition: [V, V] probabilities of the next token, a row for each token.
        length: G, at least 1.
    """

    def __init__(
        self, initial: Sequence[float] | Floats, transition: Sequence[Sequence[float]] | Floats, length: int
    ) -> None:
        self.initial = np.asarray(initial, dtype=np.float64)
        self.transition = np.asarray(transition, dtype=np.float64)
        size = len(self.initial)
        rows = np.vstack([self.initial, self.transition.reshape(-1, size)])
        if self.transition.shape != (size, size) or (rows < 0).any() or not np.allclose(rows.sum(1), 1, atol=1e-9):
            raise ValueError(f"need [V] and [V, V] probabilities with rows that sum to 1, got V = {size}")
        if length < 1:
            raise ValueError(f"need a length of at least 1, got {length}")
        self.length = length
        self.tokens = np.arange(size)
        powers, marginals = [np.eye(size)], [self.initial]
        for _ in range(length - 1):
            powers.append(powers[-1] @ self.transition)
            marginals.append(marginals[-1] @ self.transition)
        self._marginals = marginals
        self._row_entropies = [np.array([_entropy(row) for row in power]) for power in powers]

    def conditionals(self, region: Ints, positions: Ints) -> Conditionals:
        """See `Distribution.conditionals`: posterior marginals by forward-backward.

        The sums run over pairs (visible tokens contradicted, probability), so visible tokens that no sequence
        explains give the marginals of the nearest ones.
        """
        size = len(self.tokens)
        seen = (region[:, None] != self.tokens) & (region[:, None] != HIDDEN)
        forward = [_polynomial(self.initial, seen[0], self.length)]
        for j in range(1, self.length):
            forward.append(_shift(np.einsum("ud,uv->vd", forward[-1], self.transition), seen[j]))
        backward = [np.eye(1, self.length + 1).repeat(size, 0)]
        for j in range(self.length - 1, 0, -1):
            backward.append(np.einsum("vd,uv->ud", _shift(backward[-1], seen[j]), self.transition))
        backward.reverse()
        distance = int((forward[-1].sum(0) > 0).argmax())
        posterior = np.array([_at_degree(forward[j], backward[j], distance) for j in positions]).reshape(-1, size)
        at, token = posterior.nonzero()
        probability = posterior[at, token] / posterior.sum(1)[at]
        return Conditionals(np.asarray(positions, dtype=np.int64)[at], self.tokens[token], probability, distance)

    def entropy(self, positions: Sequence[int]) -> float:
        """H(y_A) in bits: H of the first position of A plus H of each next one given its predecessor in A."""
        ordered = sorted(set(positions))
        if not ordered:
            return 0.0
        total = _entropy(self._marginals[ordered[0]])
        for before, after in zip(ordered, ordered[1:], strict=False):
            total += self.link_entropy(before, after)
        return total

    def link_entropy(self, before: int, after: int) -> float:
        """H(y_after | y_before) in bits, before < after."""
        return float(self._marginals[before] @ self._row_entropies[after - before])

    def gain(self, position: int, known: Sequence[int]) -> float:
        """H(y_j | y_A) in bits for sorted known positions A: only the neighbours of j in A matter."""
        before = max((a for a in known if a < position), default=None)
        after = min((b for b in known if b > position), default=None)
        if position in known:
            return 0.0
        own = _entropy(self._marginals[position]) if before is None else self.link_entropy(before, position)
        if after is None:
            return own
        across = _entropy(self._marginals[after]) if before is None else self.link_entropy(before, after)
        return max(own + self.link_entropy(position, after) - across, 0.0)

    def count(self, length: int | None = None) -> int:
        """Sequences of positive probability, of the chain's or another length."""
        ways = (self.initial > 0).astype(object)
        for _ in range((self.length if length is None else length) - 1):
            ways = ways @ (self.transition > 0).astype(object)
        return int(ways.sum())

    def table(self) -> TableDistribution:
        """Every sequence of positive probability as a row: V^G of them at most."""
        rows: list[tuple[int, ...]] = [(int(v),) for v in self.initial.nonzero()[0]]
        for _ in range(self.length - 1):
            rows = [(*row, int(v)) for row in rows for v in self.transition[row[-1]].nonzero()[0]]
        return TableDistribution(rows, [self.probability(row) for row in rows])

    def probability(self, row: Sequence[int]) -> float:
        """P(y) of one sequence."""
        steps = (self.transition[a, b] for a, b in zip(row, row[1:], strict=False))
        return float(self.initial[row[0]] * np.prod(list(steps)))


def markov_matrix(size: int, stickiness: float, forbidden: int, seed: int = 0) -> Floats:
    """A random [size, size] transition matrix, the same for the same arguments.

    Args:
        size: V, at least 2.
        stickiness: 0 for independent tokens (all rows alike), 1 for a deterministic chain.
        forbidden: Transitions of probability 0 in each row, fewer than size.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    base = rng.dirichlet(np.ones(size))
    successor = rng.permutation(size)
    matrix = (1 - stickiness) * np.tile(base, (size, 1)) + stickiness * np.eye(size)[successor]
    for row, kept in enumerate(successor):
        others = [token for token in range(size) if token != kept]
        matrix[row, rng.permutation(others)[:forbidden]] = 0.0
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _polynomial(probability: Floats, missed: NDArray[np.bool_], degree: int) -> Floats:
    """[V, degree + 1]: the probability of each token at the number of contradictions it costs."""
    out = np.zeros((len(probability), degree + 1))
    out[np.arange(len(probability)), missed.astype(int)] = probability
    return out


def _shift(sums: Floats, missed: NDArray[np.bool_]) -> Floats:
    """Move the sums of contradicted tokens one contradiction up."""
    moved = np.pad(sums, ((0, 0), (1, 0)))[:, :-1]
    return np.asarray(np.where(missed[:, None], moved, sums))


def _at_degree(forward: Floats, backward: Floats, degree: int) -> Floats:
    """Coefficient of `degree` in the product of the two sums, token by token."""
    return np.asarray((forward[:, : degree + 1] * backward[:, degree::-1]).sum(1))


def _entropy(probability: Floats) -> float:
    positive = probability[probability > 0]
    return float(-(positive * np.log2(positive)).sum())
