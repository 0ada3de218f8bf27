"""Named recipes of `pb train`."""

from collections.abc import Mapping
from typing import Any

TINY: Mapping[str, Any] = {
    "tasks": ("waiting_line", "puzzle"),
    "steps": 10_500,
    "weights": {
        "waiting_line/copy": 0.3,
        "waiting_line/reverse": 0.4,
        "waiting_line/sort": 5.0,
        "waiting_line/shuffle": 2.0,
        "waiting_line/insert_index": 0.5,
        "waiting_line/insert_random": 0.8,
        "waiting_line/remove_index": 0.5,
        "waiting_line/remove_random": 1.2,
        "waiting_line/replace_index": 0.5,
        "waiting_line/replace_random": 1.0,
        "puzzle/sudoku": 1.5,
        "puzzle/latin_square": 9.0,
    },
}
"""All list operations and puzzles, the hard ones more often: the recipe of the weights that the package ships."""
PRESETS: Mapping[str, Mapping[str, Any]] = {"tiny": TINY}
