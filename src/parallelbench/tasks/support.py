"""Every correct answer of a question, told by the kind of its scorer and the facts of the sample."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import permutations
from random import Random

from parallelbench.errors import lookup
from parallelbench.tasks.base import Answers, Orderings, Support
from parallelbench.tasks.common import Facts, list_text

SIDE = 4
"""Rows and columns of both puzzles."""
_DIGITS = "1234"


@cache
def latin_squares() -> tuple[str, ...]:
    """All 576 Latin squares over 1..4, each written row by row as 16 digits."""
    rows = ["".join(row) for row in permutations(_DIGITS)]
    grids = [""]
    for _ in range(SIDE):
        grids = [grid + row for grid in grids for row in rows if _fits_below(row, grid)]
    return tuple(grids)


def _fits_below(row: str, grid: str) -> bool:
    return all(digit not in grid[column::SIDE] for column, digit in enumerate(row))


@cache
def sudoku_grids() -> tuple[str, ...]:
    """All 288 filled 4x4 Sudoku grids: the Latin squares whose four 2x2 boxes hold four digits each."""
    corners = (0, 2, 8, 10)
    boxes = [(corner, corner + 1, corner + SIDE, corner + SIDE + 1) for corner in corners]
    return tuple(grid for grid in latin_squares() if all(len({grid[cell] for cell in box}) == SIDE for box in boxes))


def grid_lines(cells: str, separator: str = "") -> str:
    """16 cells as four lines, cells joined by `separator`."""
    return "\n".join(separator.join(cells[start : start + SIDE]) for start in range(0, SIDE * SIDE, SIDE))


def _expected(facts: Facts) -> Support:
    return Answers.of(list_text(facts["expected"]))


def _orders(facts: Facts) -> Support:
    return Orderings(tuple(facts["items"]))


def _insertions(facts: Facts) -> Support:
    items, new = facts["items"], facts["new"]
    return Answers.of(*(list_text([*items[:i], new, *items[i:]]) for i in range(len(items) + 1)))


def _removals(facts: Facts) -> Support:
    items = facts["items"]
    return Answers.of(*(list_text([*items[:i], *items[i + 1 :]]) for i in range(len(items))))


def _replacements(facts: Facts) -> Support:
    items, new = facts["items"], facts["new"]
    return Answers.of(*(list_text([*items[:i], new, *items[i + 1 :]]) for i in range(len(items))))


def _squares(facts: Facts) -> Support:
    symbols = dict(zip(map(ord, _DIGITS), facts["symbols"], strict=True))
    return Answers.of(*(text.translate(symbols) for text in _square_texts()))


@cache
def _square_texts() -> tuple[str, ...]:
    return tuple(grid_lines(square, ",") for square in latin_squares())


def _solution(facts: Facts) -> Support:
    return Answers.of(facts["solution"])


def _references(facts: Facts) -> Support | None:
    return Answers.of(*facts["references"]) if facts.get("references") else None


_SUPPORTS: Mapping[str, Callable[[Facts], Support | None]] = {
    "list_expected": _expected,
    "list_shuffle": _orders,
    "list_insert": _insertions,
    "list_remove": _removals,
    "list_replace": _replacements,
    "latin_square": _squares,
    "sudoku": _solution,
    "summary": _references,
    "paraphrase": _references,
    "words": _references,
}


def support_of(kind: str, facts: Facts) -> Support | None:
    """The correct answers with their weights, or None when the facts do not tell any."""
    return lookup(_SUPPORTS, kind, "kind of question")(facts)


def draw_answer(support: Support, random: Random) -> str:
    """One correct answer, each equally likely."""
    if isinstance(support, Answers):
        return random.choice(list(support.weights))
    order = list(support.items)
    while tuple(order) == support.items:
        random.shuffle(order)
    return support.text(order)
