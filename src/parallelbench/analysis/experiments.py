"""The numbers behind the paper's figures, from the lanes of a run: one row a mark of the figure."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from parallelbench.analysis.curves import lanes
from parallelbench.analysis.pbx import leaderboard

Row = dict[str, Any]
Rows = Callable[[pd.DataFrame], list[Row]]
"""Lanes -> rows with model, panel, series, x, y and, where there is one, the interval low to high."""


def parameter(setting: str, name: str) -> float | None:
    """A number that a setting string holds, e.g. k of `confidence:k=4,block=8`."""
    found = re.search(rf"[:,]{name}=([0-9.]+)", setting)
    return float(found.group(1)) if found else None


def _points(frame: pd.DataFrame) -> list[Row]:
    """Every (model, method, setting, task) with its score in percent and its 95 % interval."""
    entries = leaderboard(frame)
    found = [{**point, "model": e["model"], "method": e["method"]} for e in entries for point in e["points"]]
    return [point for point in found if point["score"] is not None]


def _row(point: Row, panel: str, series: str, x: Any) -> Row:
    low, high = point["score_interval"] or (None, None)
    row = {"model": point["model"], "panel": panel, "series": series, "x": x, "y": point["score"]}
    return row | {"low": low, "high": high, "n": point["n"]}


def mean_curves(frame: pd.DataFrame) -> list[Row]:
    """Score against tokens per step, both means over tasks, a line a method (Figure 3)."""
    return [
        {"model": e["model"], "panel": e["model"], "series": e["method"], "x": point["tps"], "y": point["score"]}
        for e in leaderboard(frame, bootstrap=0)
        for point in e["curve"]
    ]


def by_length(frame: pd.DataFrame) -> list[Row]:
    """Score against list length, a line a model, a panel a task (Figure 4)."""
    rows = []
    for point in _points(frame):
        name, _, n = point["task"].partition("@n=")
        series = point["model"] if point["setting"] == "autoregressive" else f"{point['model']}, {point['setting']}"
        rows.append(_row(point, name.split("/")[-1], series, int(n)))
    return rows


def by_block(frame: pd.DataFrame) -> list[Row]:
    """Score against block length at two tokens a step, a line a model, a panel a task (Figure 5)."""
    rows = []
    for point in _points(frame):
        block = parameter(point["setting"], "block")
        rows.append(_row(point, point["task"].split("/")[-1], point["model"], 32.0 if block is None else block))
    return rows


def by_k(frame: pd.DataFrame) -> list[Row]:
    """Score against tokens a step, a line a task, a panel a model (Figure 8)."""
    return [
        _row(point, point["model"], point["task"].split("/")[-1], parameter(point["setting"], "k"))
        for point in _points(frame)
    ]


def by_task(frame: pd.DataFrame) -> list[Row]:
    """Score of every task, a series a model and setting (Tables 5 to 7)."""
    return [
        _row(point, "", f"{point['model']}, {point['setting']}", point["task"].split("/")[-1])
        for point in _points(frame)
    ]


def by_steps(frame: pd.DataFrame) -> list[Row]:
    """Score against forwards a sample, a line a model, a panel a task (Figure 20)."""
    rows = []
    for point in _points(frame):
        model = point["model"].partition(":")[0]
        rows.append(_row({**point, "model": model}, point["task"].split("/")[-1], model, point["nfe"]))
    return rows


def task_map(frame: pd.DataFrame) -> list[Row]:
    """Parallelizability and fitness for left-to-right order of every task (Figure 6).

    x = sum k score_k / sum score_k over top-k settings on the whole region; y = minus the slope of a line fitted
    to score in percent against the block length at k = 2; means over methods.
    """
    rows = []
    points = _points(frame)
    for model, task in sorted({(point["model"], point["task"]) for point in points}):
        mine = [point for point in points if (point["model"], point["task"]) == (model, task)]
        xs, ys = [], []
        for method in sorted({point["method"] for point in mine}):
            own = [point for point in mine if point["method"] == method]
            whole = [(parameter(p["setting"], "k") or 1, p["score"]) for p in own if "block=" not in p["setting"]]
            total = sum(score for _, score in whole)
            if total:
                xs.append(sum(k * score for k, score in whole) / total)
            blocks = [(block, p["score"]) for p in own if (block := parameter(p["setting"], "block")) is not None]
            if len(blocks) > 1:
                lengths, scores = np.array(blocks).T
                ys.append(-float(np.polyfit(lengths, scores, 1)[0]))
        rows.append({"model": model, "panel": model, "series": task, "x": _mean(xs), "y": _mean(ys)})
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def oracle(frame: pd.DataFrame) -> list[Row]:
    """The threshold sweep, and per sample the cheapest threshold that reaches its best score (Figure 7)."""
    rows = [{**row, "series": "one threshold for all"} for row in mean_curves(frame)]
    table = lanes(frame).dropna(subset=["score", "tps"])
    for model, part in table.groupby("model"):
        best = part.groupby(["task", "sample"])["score"].transform("max")
        kept = part[part["score"] == best].sort_values("tps").groupby(["task", "sample"]).tail(1)
        means = kept.groupby("task")[["tps", "score"]].mean().mean()
        rows.append(
            {
                "model": model, "panel": model, "series": "oracle: the best one for each sample",
                "x": float(means["tps"]), "y": float(means["score"]),
            }
        )  # fmt: skip
    return rows
