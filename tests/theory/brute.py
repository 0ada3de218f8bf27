"""Slow, plain reference implementations on lists of answers, in exact fractions."""

from fractions import Fraction
from itertools import combinations, product
from math import log2


def fitting(answers, visible):
    """Answers (tokens -> weight) that agree with the visible tokens {position: token}."""
    return {y: w for y, w in answers.items() if all(y[j] == v for j, v in visible.items())}


def marginal(answers, visible, j):
    fits = fitting(answers, visible)
    total = sum(fits.values())
    out = {}
    for y, w in fits.items():
        out[y[j]] = out.get(y[j], 0) + Fraction(w, total)
    return out


def drawn(answers, visible, j, greedy):
    p = marginal(answers, visible, j)
    if not greedy:
        return p
    modes = [v for v, x in p.items() if x == max(p.values())]
    return {v: Fraction(1, len(modes)) for v in modes}


def outcomes(answers, visible, positions, greedy):
    """(visible after, probability) of committing the positions, wrong ones left out."""
    chances = [drawn(answers, visible, j, greedy) for j in positions]
    for tokens in product(*chances):
        after = {**visible, **dict(zip(positions, tokens, strict=True))}
        if fitting(answers, after):
            probability = Fraction(1)
            for chance, token in zip(chances, tokens, strict=True):
                probability *= chance[token]
            yield after, probability


def ceiling(answers, steps, greedy, known=None, visible=None):
    """Best probability of a correct answer over all policies."""
    known, visible = {} if known is None else known, visible or {}
    length = len(next(iter(answers)))
    if len(visible) == length:
        return Fraction(1)
    if steps == 0:
        return Fraction(0)
    key = steps, tuple(sorted(visible.items()))
    if key not in known:
        hidden = [j for j in range(length) if j not in visible]
        known[key] = max(
            sum(
                p * ceiling(answers, steps - 1, greedy, known, after)
                for after, p in outcomes(answers, visible, chosen, greedy)
            )
            for size in range(1, len(hidden) + 1)
            for chosen in combinations(hidden, size)
        )
    return known[key]


def follow(answers, choose, steps, greedy, visible=None):
    """Probability of a correct answer under the policy `choose(visible, steps) -> positions`."""
    visible = visible or {}
    if len(visible) == len(next(iter(answers))):
        return Fraction(1)
    if steps == 0:
        return Fraction(0)
    chosen = choose(visible, steps)
    return sum(
        p * follow(answers, choose, steps - 1, greedy, after) for after, p in outcomes(answers, visible, chosen, greedy)
    )


def entropy(answers, positions):
    total = sum(answers.values())
    joint = {}
    for y, w in answers.items():
        key = tuple(y[j] for j in positions)
        joint[key] = joint.get(key, 0) + Fraction(w, total)
    return -sum(float(p) * log2(p) for p in joint.values())


def step_loss(answers, known, step):
    """E[C(S | known)], by summing over the known tokens."""
    before = entropy(answers, known)
    alone = sum(entropy(answers, [*known, j]) - before for j in step)
    return alone - (entropy(answers, [*known, *step]) - before)


def bound(answers, partition):
    known, total = [], 0.0
    for step in partition:
        total += step_loss(answers, known, step)
        known += step
    return total


def ordered_partitions(positions, steps):
    """Every split of the positions into at most so many ordered steps."""
    for labels in product(range(steps), repeat=len(positions)):
        parts = [[j for j, label in zip(positions, labels, strict=True) if label == t] for t in range(steps)]
        yield [part for part in parts if part]


def induced(answers, partition):
    """{answer: probability} of decoding a partition at temperature 1."""
    out = {}
    for y in answers:
        probability, visible = Fraction(1), {}
        for step in partition:
            for j in step:
                probability *= marginal(answers, visible, j)[y[j]]
            visible |= {j: y[j] for j in step}
        out[y] = probability
    return out
