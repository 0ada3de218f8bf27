"""Published speed-quality curves (CSV files, one a method) and the PBx they give."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from parallelbench.analysis.pbx import PBS, Entry, pbx
from parallelbench.errors import UsageError

HEADER = ["task", "tps", "accuracy"]
MEAN_TASK = "avg"
# Not `dus`, although its schedule is fixed: its published PB75 of 1.0826 lies between two of its settings.
STATIC_METHODS = frozenset({"random", "l2r", "confidence-topk", "entropy-topk", "topk-margin"})


def read_curves(folder: Path) -> pd.DataFrame:
    """All rows of the CSV files: model (the folder's name), method (the file's), task, tps, score (percent).

    A file has the header `task,tps,accuracy`; rows of task `avg` are the mean curve.

    Raises:
        UsageError: no such folder, no CSV file in it, or a line that can't be read (it names file and line).
    """
    files = sorted(_listing(folder, "*.csv"))
    if not files:
        raise UsageError(
            f"{str(folder)!r} holds no published curves: expected METHOD.csv files with {','.join(HEADER)}."
        )
    model = folder.resolve().name
    rows = [(model, file.stem, *row) for file in files for row in _rows(file)]
    return pd.DataFrame(rows, columns=["model", "method", "task", "tps", "score"])


def published_leaderboard(folder: Path) -> list[Entry]:
    """PB90 ... PB60 of every method from the mean curve of its file.

    Args:
        folder: the CSV files of one model, or a folder of such folders.

    Raises:
        UsageError: as `read_curves`, or a file has no `avg` rows.
    """
    parts = [part for part in sorted(_listing(folder, "*")) if part.is_dir() and any(part.glob("*.csv"))]
    if any(folder.glob("*.csv")) or not parts:
        parts = [folder]
    return [entry for part in parts for entry in _entries(part)]


def _entries(folder: Path) -> Iterator[Entry]:
    for (model, method), rows in read_curves(folder).groupby(["model", "method"], sort=True):
        curve = rows[rows["task"] == MEAN_TASK]
        if curve.empty:
            raise UsageError(f"{str(folder / f'{method}.csv')!r} has no rows of task {MEAN_TASK!r}, the mean curve.")
        kind = "static" if method in STATIC_METHODS else "adaptive"
        yield {"model": model, "method": method, "kind": kind} | {f"PB{x}": pbx(curve, x, kind) for x in PBS}


def _listing(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is not a folder: expected one with published curves (METHOD.csv files).")
    return list(folder.glob(pattern))


def _rows(file: Path) -> Iterator[tuple[str, float, float]]:
    """The checked rows of one file."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            for fields in lines:
                where = f"{str(file)!r} line {lines.line_num}"
                if lines.line_num == 1:
                    _expect(fields == HEADER, where, f"the header {','.join(HEADER)}", fields)
                elif fields:
                    yield _row(fields, where)
            _expect(lines.line_num > 0, f"{str(file)!r} line 1", f"the header {','.join(HEADER)}", [])
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{str(file)!r} can't be read as CSV: {error}") from error


def _row(fields: list[str], where: str) -> tuple[str, float, float]:
    _expect(len(fields) == len(HEADER), where, f"{len(HEADER)} fields ({','.join(HEADER)})", fields)
    task, *numbers = fields
    try:
        tps, accuracy = map(float, numbers)
    except ValueError:
        tps = accuracy = math.nan
    _expect(bool(task), where, "a task name", fields)
    _expect(0 < tps < math.inf, where, "tps as a positive number", fields)
    # Published means of 100 samples come with rounding noise such as 100.00000000000001.
    _expect(0 <= accuracy <= 100 + 1e-9, where, "accuracy as a number from 0 to 100", fields)
    return task, tps, accuracy


def _expect(fine: bool, where: str, what: str, got: list[str]) -> None:
    if not fine:
        raise UsageError(f"{where}: expected {what}, got {','.join(got)[:80]!r}.")
