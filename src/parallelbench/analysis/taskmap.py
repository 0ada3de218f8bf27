"""The task map: how parallel a task can be decoded, and whether it wants to be decoded left to right.

Source: ParallelBench (arXiv 2510.04767), section 5, Figure 6.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from parallelbench.analysis.curves import lanes as prepared
from parallelbench.analysis.curves import summarise
from parallelbench.analysis.settings import block_of, parameters_of, tokens_a_step

TOP_K = ("random", "confidence", "margin", "entropy")
"""The methods that the published map averages over."""
SLOPE_K = 2
"""Tokens a step of the settings whose blocks are compared."""
MAP_COLUMNS = ["task", "parallelizability", "order_preference", "models", "methods"]
PART_COLUMNS = ["model", "method", "task", "parallelizability", "order_preference", "ks", "blocks"]


def parallelizability(ks: Sequence[float], scores: Sequence[float]) -> float:
    """Mean k weighted by the score it gets: sum_k k * score_k / sum_k score_k; NaN where every score is 0."""
    total = float(np.sum(scores))
    return float(np.dot(ks, scores)) / total if total > 0 else float("nan")


def order_preference(blocks: Sequence[float], scores: Sequence[float]) -> float:
    """Minus the slope of the least-squares line of score against block length; NaN below two block lengths.

    Shorter blocks force the order further to the left, so that above 0 left to right helps. In the unit of the
    score a token of block length.
    """
    x, y = np.asarray(blocks, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if len(set(x.tolist())) < 2:
        return float("nan")
    x = x - x.mean()
    return -float(np.dot(x, y - y.mean()) / np.dot(x, x)) + 0.0


def task_map_parts(frame: pd.DataFrame, methods: Sequence[str] = TOP_K) -> pd.DataFrame:
    """Both coordinates of every (model, method, task).

    Parallelizability uses the settings whose block is the whole region, the order preference those with k = 2.
    Settings with further parameters, such as a temperature, are left out, and so is a k above the region.
    Columns: model, method, task, parallelizability, order_preference (percentage points of the score a token of
    block length), ks and blocks (how many settings each stands on; 0 and NaN where they were not run).

    Args:
        frame: lanes from the store.
        methods: Methods with a fixed number of tokens a step.

    Raises:
        UsageError: lanes that may not be averaged together.
    """
    table = prepared(frame)
    if table.empty:
        return pd.DataFrame(columns=PART_COLUMNS)
    lengths = table.groupby("task")["max_tokens"].max().to_dict()
    points = summarise(table[table["method"].isin(methods)])
    points = points[points["score"].notna()]
    rows = [
        _part({"model": str(model), "method": str(method), "task": str(task)}, part, lengths[task])
        for (model, method, task), part in points.groupby(["model", "method", "task"], sort=True)
    ]
    return pd.DataFrame([row for row in rows if row["ks"] or row["blocks"]], columns=PART_COLUMNS)


def _part(key: dict[str, str], points: pd.DataFrame, length: float) -> dict[str, object]:
    """One row of `task_map_parts`."""
    if np.isnan(length):  # every lane of the task failed
        return {**key, "ks": 0, "blocks": 0}
    by_k: dict[float, float] = {}
    by_block: dict[float, float] = {}
    for setting, score in zip(points["setting"], points["score"], strict=True):
        k, block = tokens_a_step(setting, int(length)), block_of(setting, int(length))
        if k is None or set(parameters_of(setting)) - {"k", "steps", "block"}:
            continue
        if block == length:
            by_k[k] = score
        if k == SLOPE_K:
            by_block[block] = score
    return {
        **key,
        "parallelizability": parallelizability(list(by_k), list(by_k.values())),
        "order_preference": order_preference(list(by_block), list(by_block.values())),
        "ks": len(by_k),
        "blocks": len(by_block),
    }


def task_map(frame: pd.DataFrame, methods: Sequence[str] = TOP_K) -> pd.DataFrame:
    """One row a task: the means of `task_map_parts` over models and methods that have the coordinate.

    Columns: task, parallelizability, order_preference (either NaN where no run measures it), models, methods
    (how many).

    Args:
        frame: lanes from the store.
        methods: Methods to average over.

    Raises:
        UsageError: lanes that may not be averaged together.
    """
    groups = task_map_parts(frame, methods).groupby("task", sort=True)
    means = groups[["parallelizability", "order_preference"]].mean()
    counts = groups[["model", "method"]].nunique().rename(columns={"model": "models", "method": "methods"})
    return means.join(counts).reset_index()[MAP_COLUMNS]
