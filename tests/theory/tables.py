"""Random answer tables for property tests, and the golden numbers that are worth a copy of our own."""

from hypothesis import strategies as st

from parallelbench.theory.distribution import TableDistribution


@st.composite
def answers(draw, length=3, values=3, rows=6, weight=4):
    """{tokens: whole weight}."""
    tokens = st.tuples(*[st.integers(0, values - 1)] * length)
    found = draw(st.lists(tokens, min_size=1, max_size=rows, unique=True))
    return {y: draw(st.integers(1, weight)) for y in found}


def table(weights):
    return TableDistribution([list(y) for y in weights], [float(w) for w in weights.values()])


BOUNDS = {
    ("copy", 4): (0.0, 0.0, [0, 0, 0, 0]),
    ("replace_random", 3): (1.584963, 1.169925, [1.169925, 0.251629, 0]),
    ("replace_random", 5): (2.321928, 1.287712, [1.287712, 0.565784, 0.223883, 0.072906, 0]),
    ("insert_random", 4): (2.321928, 3.385757, [3.385757, 0.419973, 0, 0, 0]),
    ("remove_random", 5): (2.321928, 1.063829, [1.063829, 0.150978, 0, 0]),
    ("shuffle", 4): (4.584963, 3.415037, [3.415037, 1.415037, 0.415037, 0]),
    ("shuffle_distinct", 4): (4.523562, 3.459561, [3.459561, 1.381043, 0.424521, 0]),
}
"""(operation, n): H, C, L*_1 ... in bits."""
CEILINGS = {
    ("replace_random", 4): ([0.421875, 0.84375, 0.9375, 1], [0, 1, 1, 1]),
    ("insert_random", 4): ([0.12288, 0.84, 1, 1, 1], [0, 1, 1, 1, 1]),
    ("remove_random", 4): ([0.75, 1, 1], [1, 1, 1]),
    ("shuffle", 4): ([0.09375, 0.375, 0.75, 1], [0.09375, 0.375, 0.75, 1]),
    ("shuffle_distinct", 3): ([0.224, 0.64, 1], [0.25, 0.75, 1]),
    ("shuffle_distinct", 4): ([0.091852, 0.398866, 0.750473, 1], [0.111111, 0.407407, 0.777778, 1]),
}
"""(operation, n): ceilings at temperature 1 and greedy, T = 1 ..."""
