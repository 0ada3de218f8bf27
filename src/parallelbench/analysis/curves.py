"""From finished lanes to one point per setting and task, and to the mean curve over tasks."""

import re

import numpy as np
import pandas as pd

from parallelbench.analysis.merge import MUST_AGREE, refuse_mixtures
from parallelbench.errors import UsageError, unknown

POINT_KEYS = ["model", "method", "setting", "kind", "task"]
CURVE_KEYS = ["model", "method", "setting", "kind"]
MEASURES = ["score", "score_strict", "tps", "effective_tps", "nfe", "rows"]
COUNTS = ["n", "unscored"]
COSTS = ("nfe", "rows")
"""What speed can be counted in: forwards, or canvases in them."""
LANE_COLUMNS = [
    *POINT_KEYS,
    *("lane_id", "sample", "score", "score_strict", "max_tokens", "effective_tokens", "nfe", "rows", "error"),
    *("profile", "task_version"),
]
READ = tuple(dict.fromkeys([*LANE_COLUMNS, *(name for field, scope in MUST_AGREE for name in (field, *scope))]))
"""The columns of a store that `lanes` looks at: reading no others is quicker, see `Store.frame`."""


def natural_key(text: str) -> tuple[tuple[bool, float, str], ...]:
    """Sort key under which `k=8` comes before `k=16` and `tau=0.5` before `tau=0.95`."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple((i % 2 == 1, float(part) if i % 2 else 0.0, part) for i, part in enumerate(parts))


def lanes(frame: pd.DataFrame, against: str = "nfe") -> pd.DataFrame:
    """The lanes ready for averaging: each lane once, in an order of its own, with derived columns.

    Adds `tps` = max_tokens / nfe and `effective_tps` = effective_tokens / nfe (tokens per forward), and turns
    scores into percent. A lane with an error never finished: its scores and its speed are NaN.

    Args:
        frame: one row a finished lane.
        against: what a token is paid with: "nfe", forwards, or "rows", the canvases in them.

    Raises:
        UsageError: a column is missing, lanes that may not be averaged together are mixed, or another `against`.
    """
    if against not in COSTS:
        raise unknown("cost", against, COSTS)
    if frame.empty:
        return pd.DataFrame(columns=[*LANE_COLUMNS, "tps", "effective_tps"])
    missing = [column for column in LANE_COLUMNS if column not in frame]
    if missing:
        raise UsageError(f"The lanes have no column {', '.join(map(repr, missing))}; they have {list(frame.columns)}.")
    refuse_mixtures(frame)
    table = frame[LANE_COLUMNS].assign(failed=frame["error"].notna())
    # The same lane may come from two run folders: it counts once, and a finished copy before a failed one.
    # Sorting also fixes the order of every later sum, so that results do not depend on the order of rows.
    ids = table["lane_id"]
    if not ids.is_monotonic_increasing or (ids == ids.shift()).any():
        table = table.sort_values(["lane_id", "failed"]).drop_duplicates("lane_id")
    table = table.reset_index(drop=True)
    columns = ["score", "score_strict", "max_tokens", "effective_tokens", "nfe", "rows"]
    table[columns] = table[columns].astype(float)
    table.loc[table["failed"] | ~(table["nfe"] > 0), columns] = np.nan
    table["tps"] = table["max_tokens"] / table[against]
    table["effective_tps"] = table["effective_tokens"] / table[against]
    table[["score", "score_strict"]] *= 100
    return table.drop(columns="failed")


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each (model, method, setting, task).

    Columns: model, method, setting, kind, task; `score` and `score_strict` (mean over scored samples,
    percent, NaN if none is scored); `tps`, `effective_tps`, `nfe`, `rows` (means over the lanes that finished
    decoding); `n` (all lanes) and `unscored` (those of them without a score).

    Raises:
        UsageError: as `lanes`.
    """
    return summarise(lanes(frame))


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """`points` of a table that `lanes` has prepared."""
    if table.empty:
        return pd.DataFrame(columns=[*POINT_KEYS, *MEASURES, *COUNTS])
    groups = table.groupby(POINT_KEYS, sort=True, observed=True)  # a store may give its texts as categories
    result = groups[MEASURES].mean()
    result["n"] = groups.size()
    result["unscored"] = result["n"] - groups["score"].count()
    return _in_natural_order(result.reset_index().astype(dict.fromkeys(POINT_KEYS, str)))


def missing_tasks(table: pd.DataFrame) -> dict[str, list[str]]:
    """For each model of a table of points, the tasks without one scored sample under any setting."""
    return {
        str(model): sorted(set(part["task"]) - set(part.loc[part["score"].notna(), "task"]))
        for model, part in table.groupby("model")
    }


def mean_curve(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each setting that has a score on every task of its model.

    All measures are arithmetic means over tasks; `harmonic_tps` is the harmonic mean of the tasks' tokens per
    step, which a few fast tasks cannot lift. `tasks` says over how many. A setting that lacks a task (k = 64
    does not fit 32 tokens) is left out, and so is a task that no setting of the model has a score on (see
    `missing_tasks`): otherwise the points of one curve would average different tasks.

    Args:
        table: what `points` gives.
    """
    columns = [*CURVE_KEYS, "tasks", *MEASURES, "harmonic_tps", *COUNTS]
    scored = table[table["score"].notna()]
    if scored.empty:
        return pd.DataFrame(columns=columns)
    groups = scored.assign(slowness=1 / scored["tps"]).groupby(CURVE_KEYS, sort=True)
    curve = groups[MEASURES].mean()
    curve["harmonic_tps"] = 1 / groups["slowness"].mean()
    # pandas would average strict scores over fewer tasks than the other columns: rather no number.
    curve.loc[groups["score_strict"].count() < groups.size(), "score_strict"] = np.nan
    curve["tasks"] = groups["task"].nunique()
    curve[COUNTS] = groups[COUNTS].sum()
    curve = curve.reset_index()
    whole = curve["tasks"] == curve["model"].map(scored.groupby("model")["task"].nunique())
    return _in_natural_order(curve.loc[whole, columns])


def _in_natural_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by model, method, setting as a person counts, task."""
    rows = zip(*(table[name].tolist() for name in POINT_KEYS if name in table), strict=True)
    keys = [(model, method, natural_key(str(setting)), setting, *rest) for model, method, setting, *rest in rows]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return table.iloc[order].reset_index(drop=True)
