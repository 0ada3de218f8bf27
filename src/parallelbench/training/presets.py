"""Named recipes of `pb train`."""

from collections.abc import Mapping
from typing import Any

TINY: Mapping[str, Any] = {
    "tasks": ("waiting_line", "puzzle"),
    "steps": 6_500,
    "weights": {
        "waiting_line/copy": 0.5,
        "waiting_line/reverse": 0.7,
        "waiting_line/sort": 4.0,
        "waiting_line/shuffle": 2.5,
        "waiting_line/insert_random": 1.2,
        "waiting_line/remove_random": 2.0,
        "waiting_line/replace_random": 1.5,
        "puzzle/sudoku": 1.5,
        "puzzle/latin_square": 4.0,
    },
}
"""All list operations and puzzles, the hard ones more often: the recipe of the weights that the package ships."""
PRESETS: Mapping[str, Mapping[str, Any]] = {"tiny": TINY}
