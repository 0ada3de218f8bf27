"""Puzzles: a Latin square of one's own making, and a 4x4 Sudoku with one solution."""

import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import ClassVar

from parallelbench.settings import format_setting
from parallelbench.tasks.base import Split
from parallelbench.tasks.common import Facts, check_option, in_split
from parallelbench.tasks.drawn import DrawnTask
from parallelbench.tasks.prompts import LATIN_SQUARE, SUDOKU
from parallelbench.tasks.support import SIDE, grid_lines, sudoku_grids

_SYMBOLS = string.ascii_uppercase + string.digits
_DEFAULT_BLANKS = 4


@dataclass(frozen=True)
class LatinSquare(DrawnTask):
    """A 4x4 Latin square of four symbols out of A-Z and 0-9; any of the 576 squares is right."""

    name: str = field(init=False, default="puzzle/latin_square")
    kind: str = field(init=False, default="latin_square")
    max_tokens: int = field(init=False, default=64)
    parallel: bool | None = field(init=False, default=False)

    def size(self, random: Random) -> int:
        """Always 4."""
        return SIDE

    def size_of(self, seed: int, split: Split, index: int) -> int:
        """Always 4."""
        return SIDE

    def draw(self, random: Random, size: int, split: Split) -> Facts:
        """Four different symbols."""
        while True:
            facts = {"symbols": random.sample(_SYMBOLS, size)}
            if in_split(self.group(facts), split):
                return facts

    def group(self, facts: Facts) -> str:
        """The symbols whatever their order: the same ones have the same squares."""
        return "".join(sorted(facts["symbols"]))

    def prompt(self, facts: Facts) -> str:
        """The request for a square."""
        return LATIN_SQUARE.format(symbols=", ".join(facts["symbols"]))


@dataclass(frozen=True)
class Sudoku(DrawnTask):
    """A 4x4 Sudoku with `blanks` empty cells and exactly one solution."""

    blanks: int = _DEFAULT_BLANKS
    options: ClassVar[Mapping[str, Collection[int]]] = {"blanks": range(1, 13)}
    name: str = field(init=False)
    kind: str = field(init=False, default="sudoku")
    max_tokens: int = field(init=False, default=64)
    parallel: bool | None = field(init=False, default=True)
    default_count: int = field(init=False, default=108)

    def __post_init__(self) -> None:
        """Refuse an impossible number of blanks and derive the name."""
        check_option("puzzle/sudoku", "blanks", self.blanks, self.options["blanks"])
        given = {} if self.blanks == _DEFAULT_BLANKS else {"blanks": self.blanks}
        object.__setattr__(self, "name", format_setting("puzzle/sudoku", given, "@"))

    def size(self, random: Random) -> int:
        """The number of blanks."""
        return self.blanks

    def size_of(self, seed: int, split: Split, index: int) -> int:
        """The number of blanks."""
        return self.blanks

    def draw(self, random: Random, size: int, split: Split) -> Facts:
        """A full grid of the split with `size` cells emptied so that only it fits."""
        while True:
            solution = random.choice(sudoku_grids())
            blanks = random.sample(range(SIDE * SIDE), size)
            grid = "".join("0" if cell in blanks else digit for cell, digit in enumerate(solution))
            facts = {"grid": grid_lines(grid), "solution": grid_lines(solution)}
            if in_split(self.group(facts), split) and solutions(solution, blanks) == 1:
                return facts

    def group(self, facts: Facts) -> str:
        """The full grid: the splits share none, so that no puzzle's solution can be learnt by heart."""
        return str(facts["solution"])

    def prompt(self, facts: Facts) -> str:
        """The puzzle."""
        return SUDOKU.format(grid=facts["grid"])


def solutions(solution: str, blanks: Collection[int]) -> int:
    """How many of the 288 grids agree with `solution` outside the blank cells."""
    # A grid is one number, a hexadecimal digit a cell, so that one comparison covers all cells.
    seen = int("".join("0" if cell in blanks else "f" for cell in range(SIDE * SIDE)), 16)
    clues = int(solution, 16) & seen
    return sum(grid & seen == clues for grid in _grid_numbers())


@cache
def _grid_numbers() -> tuple[int, ...]:
    return tuple(int(grid, 16) for grid in sudoku_grids())
