"""The case study's answer distributions: list operations on n items of one token each, and 4x4 puzzles."""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

from parallelbench.errors import UsageError, lookup
from parallelbench.theory.distribution import TableDistribution
from parallelbench.theory.permutations import PermutationDistribution

ItemDistribution = TableDistribution | PermutationDistribution
LARGEST = 20
LARGEST_SQUARE = 4


def _one(row: Sequence[int]) -> TableDistribution:
    return TableDistribution([list(row)], [1.0])


def _uniform(rows: Sequence[Sequence[int]]) -> TableDistribution:
    return TableDistribution([list(row) for row in rows], [1.0] * len(rows))


def _replaced(n: int) -> list[list[int]]:
    return [[n if j == i else j for j in range(n)] for i in range(n)]


def _inserted(n: int) -> list[list[int]]:
    return [[*range(i), n, *range(i, n)] for i in range(n + 1)]


def _removed(n: int) -> list[list[int]]:
    return [[j for j in range(n) if j != i] for i in range(n)]


def latin_squares(side: int) -> list[list[int]]:
    """Every Latin square of a side as side * side symbols 0 ... side-1, row by row."""
    squares: list[list[int]] = [[]]
    for _ in range(side):
        squares = [
            [*square, *row]
            for square in squares
            for row in permutations(range(side))
            if all(symbol not in square[column::side] for column, symbol in enumerate(row))
        ]
    return squares


OPERATIONS: Mapping[str, Callable[[int], ItemDistribution]] = {
    "copy": lambda n: _one(range(n)),
    "reverse": lambda n: _one(range(n)[::-1]),
    "sort": lambda n: _one(range(n)),
    "shuffle": lambda n: PermutationDistribution(range(n)),
    "shuffle_distinct": lambda n: PermutationDistribution(range(n), except_given=True),
    "replace_index": lambda n: _one(_replaced(n)[0]),
    "replace_random": lambda n: _uniform(_replaced(n)),
    "insert_index": lambda n: _one(_inserted(n)[0]),
    "insert_random": lambda n: _uniform(_inserted(n)),
    "remove_index": lambda n: _one(_removed(n)[0]),
    "remove_random": lambda n: _uniform(_removed(n)),
    "latin_square": lambda n: _uniform(latin_squares(n)),
    "sudoku": lambda n: _one([cell % n for cell in range(n * n)]),
}
"""Item-level answers of each operation on items 0 ... n-1 (a newcomer is n); `n` is the side of a square.

shuffle is any order, shuffle_distinct any but the given one. A Sudoku has one solution whatever its clues, so
one answer stands for all."""
SQUARES = ("latin_square", "sudoku")
DEFAULT_N = {name: LARGEST_SQUARE if name in SQUARES else 6 for name in OPERATIONS}


def operation(name: str, n: int | None = None) -> ItemDistribution:
    """The distribution of an operation's answers.

    Args:
        name: A key of `OPERATIONS`.
        n: Items of the list given (default 6), or side of the square (default 4).

    Raises:
        UsageError: an unknown operation, or an n out of range.
    """
    build = lookup(OPERATIONS, name, "list operation")
    size = DEFAULT_N[name] if n is None else n
    low, high = (2, LARGEST_SQUARE) if name in SQUARES else (2, LARGEST)
    if not low <= size <= high:
        raise UsageError(f"{name}: n={size} is out of reach; n goes from {low} to {high}.")
    return build(size)


def rows_of(distribution: ItemDistribution) -> TableDistribution:
    """The same answers as a table; orders are listed, n! of them."""
    if isinstance(distribution, TableDistribution):
        return distribution
    orders = list(permutations(distribution.items.tolist()))[int(distribution.except_given) :]
    if distribution.length == distribution.n:
        return _uniform(orders)
    template, slots = distribution.template, distribution.slots.tolist()
    rows = []
    for order in orders:
        row = list(template)
        for slot, item in zip(slots, order, strict=True):
            row[slot] = item
        rows.append(row)
    return _uniform(rows)
