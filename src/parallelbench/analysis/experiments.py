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
    """A number that a setting or a task's name holds, e.g. k of `confidence:k=4,block=8`, n of `copy@n=15`."""
    found = re.search(rf"[:,@]{name}=([0-9.]+)", setting)
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


def _short(task: str) -> str:
    """A task's name without its category, where that says nothing more."""
    category, _, name = task.partition("/")
    return task if category == "words_to_sentence" else name.partition("@")[0]


def _decoder(point: Row) -> str:
    """The model, and how it was decoded unless it decodes by itself."""
    alone = parameter(point["setting"], "k") is None
    return point["model"] if alone else f"{point['model']}, {point['setting']}"


def mean_curves(frame: pd.DataFrame) -> list[Row]:
    """Score against tokens per step, both means over tasks, a line a method (Figure 3)."""
    return [
        {"model": e["model"], "panel": e["model"], "series": e["method"], "x": point["tps"], "y": point["score"]}
        for e in leaderboard(frame, bootstrap=0)
        for point in e["curve"]
    ]


def by_length(frame: pd.DataFrame) -> list[Row]:
    """Score against list length, a line a model and setting, a panel a task (Figure 4)."""
    return [_row(p, _short(p["task"]), _decoder(p), int(parameter(p["task"], "n") or 0)) for p in _points(frame)]


def by_block(frame: pd.DataFrame) -> list[Row]:
    """Score against block length at two tokens a step, a line a model, a panel a task (Figure 5)."""
    rows = []
    for point in _points(frame):
        block = parameter(point["setting"], "block")
        rows.append(_row(point, _short(point["task"]), point["model"], 32.0 if block is None else block))
    return rows


def by_k(frame: pd.DataFrame) -> list[Row]:
    """Score against tokens a step, a line a task, a panel a model (Figure 8).

    An autoregressive model stands at one token a step, one of uniform diffusion at tokens over steps.
    """
    rows = []
    for point in _points(frame):
        model, k = point["model"], parameter(point["setting"], "k")
        if k is None:
            model, k = model.partition(":")[0], point["tps"]
        rows.append(_row(point, model, _short(point["task"]), k))
    return rows


def by_task(frame: pd.DataFrame) -> list[Row]:
    """Score of every task, a series a model and setting (Tables 5 to 7)."""
    return [_row(point, "", _decoder(point), _short(point["task"])) for point in _points(frame)]


def by_cache(frame: pd.DataFrame) -> list[Row]:
    """Score against tokens a step, a line a model with a kind of cache, a panel a task (Figure 13)."""
    rows = []
    for point in _points(frame):
        cache = point["setting"].partition("cache=")[2].partition(",")[0]
        series = f"{point['model']}, {cache + ' cache' if cache else 'no cache'}"
        rows.append(_row(point, _short(point["task"]), series, parameter(point["setting"], "k")))
    return rows


def by_steps(frame: pd.DataFrame) -> list[Row]:
    """Score against forwards a sample, a line a model and method, a panel a task (Figure 20)."""
    rows = []
    for point in _points(frame):
        series = f"{point['model']}, {point['method']}"
        if parameter(point["setting"], "k") is None:
            series = point["model"].partition(":")[0]
        rows.append(_row(point, _short(point["task"]), series, point["nfe"]))
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
        rows.append({"model": model, "panel": model, "series": _short(task), "x": _mean(xs), "y": _mean(ys)})
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
