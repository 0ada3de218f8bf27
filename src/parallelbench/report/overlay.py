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


def own_task(name: str) -> str:
    """`waiting_line/copy` for the published `waitingline-copy`; other names as they are."""
    category, dash, rest = name.partition("-")
    if not dash or category not in CATEGORIES:
        return name
    if rest.startswith(WORDS):
        return f"words_to_sentence/{rest.removeprefix(WORDS)}"
    return f"{CATEGORIES[category]}/{rest}"


def published_view(folders: Sequence[Path]) -> dict[str, Any]:
    """The published curves and PBx of some folders, under our names of methods and tasks.

    Args:
        folders: Each the CSV files of one model, or a folder of such folders.

    Raises:
        UsageError: a folder without curves, or a file that can't be read.
    """
    board, tables = [], []
    for folder in folders:
        for entry in published_leaderboard(folder):
            file = str(entry["method"])
            values = {f"PB{x}": entry[f"PB{x}"] for x in PBS}
            head = {"model": told(entry["model"]), "method": told(our_name(file)), "file": told(file)}
            board.append({**head, "kind": entry["kind"], **values})
        parts = [folder] if any(folder.glob("*.csv")) else sorted(p for p in folder.iterdir() if any(p.glob("*.csv")))
        tables += [read_curves(part) for part in parts]
    if not tables:
        return {"models": [], "board": [], "points": None}
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(
        file=table["method"],
        method=table["method"].map(our_name),
        task=table["task"].map(own_task),
    )
    return {
        "models": list(dict.fromkeys(entry["model"] for entry in board)),
        "board": board,
        "points": pack(table, ("model", "method", "file", "task", "tps", "score")),
    }
