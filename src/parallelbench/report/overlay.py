"""Published curves beside one's own: the same names for the same methods and tasks, hence the same colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from parallelbench.analysis.pbx import PBS
from parallelbench.analysis.published import published_leaderboard, read_curves
from parallelbench.report.packing import pack, told
from parallelbench.report.palette import our_name

CATEGORIES = {"waitingline": "waiting_line", "puzzles": "puzzle", "textwriting": "text"}
WORDS = "w2s_"
POINT_COLUMNS = ["model", "method", "file", "task", "tps", "score"]


def own_task(name: str) -> str:
    """`waiting_line/copy` for the published `waitingline-copy`; other names as they are."""
    category, dash, rest = name.partition("-")
    if not dash or category not in CATEGORIES:
        return name
    if rest.startswith(WORDS):
        return f"words_to_sentence/{rest.removeprefix(WORDS)}"
    return f"{CATEGORIES[category]}/{rest}"


def published_table(folders: Sequence[Path]) -> pd.DataFrame:
    """Every point of the published curves of some folders, under our names of methods and tasks.

    Args:
        folders: Each the CSV files of one model, or a folder of such folders.

    Returns:
        Columns model, method, file (the method's published name), task, tps, score (percent).

    Raises:
        UsageError: a folder without curves, or a file that can't be read.
    """
    tables = []
    for folder in folders:
        within = sorted(part for part in folder.iterdir() if any(part.glob("*.csv"))) if folder.is_dir() else []
        tables += [read_curves(part) for part in (within if not any(folder.glob("*.csv")) and within else [folder])]
    if not tables:
        return pd.DataFrame(columns=POINT_COLUMNS)
    table = pd.concat(tables, ignore_index=True)
    named = table.assign(file=table["method"], method=table["method"].map(our_name), task=table["task"].map(own_task))
    return named[POINT_COLUMNS]


def published_view(folders: Sequence[Path]) -> dict[str, Any]:
    """What the page shows of published curves: their points and their PBx.

    Args:
        folders: As for `published_table`.

    Raises:
        UsageError: a folder without curves, or a file that can't be read.
    """
    board = []
    for entry in (entry for folder in folders for entry in published_leaderboard(folder)):
        file = str(entry["method"])
        values = {f"PB{x}": entry[f"PB{x}"] for x in PBS}
        head = {"model": told(entry["model"]), "method": told(our_name(file)), "file": told(file)}
        board.append({**head, "kind": entry["kind"], **values})
    return {
        "models": list(dict.fromkeys(entry["model"] for entry in board)),
        "board": board,
        "points": pack(published_table(folders), POINT_COLUMNS) if board else None,
    }
