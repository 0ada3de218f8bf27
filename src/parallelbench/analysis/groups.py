"""Mean curves over groups of tasks (all of them, a category) with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from parallelbench.analysis.bootstrap import Resampled, interval, resample
from parallelbench.analysis.curves import lanes, mean_curve, natural_key, summarise

EVERYTHING = "all tasks"
COMMON = "tasks of all models"


def common_tasks(frame: pd.DataFrame) -> list[str]:
    """The tasks that every model has lanes of, sorted: means over these may be compared between models."""
    sets = [set(map(str, tasks)) for _, tasks in frame.groupby("model", observed=True)["task"].unique().items()]
    return sorted(set.intersection(*sets), key=natural_key) if sets else []


def task_groups(frame: pd.DataFrame) -> dict[str, list[str]]:
    """All tasks of the lanes, those of all models where some have more, and those of each category, sorted.

    A category is the part of a task's name before the slash.
    """
    tasks = sorted(map(str, frame["task"].unique()), key=natural_key)
    groups = {EVERYTHING: tasks} if tasks else {}
    if 0 < len(common := common_tasks(frame)) < len(tasks):
        groups[COMMON] = common
    for task in tasks:
        groups.setdefault(task.split("/")[0], []).append(task)
    return groups


def group_curves(
    frame: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    bootstrap: int = 1000,
    seed: int = 0,
    against: str = "nfe",
) -> pd.DataFrame:
    """The mean curve of every group of tasks, as `curves.mean_curve` has it, with intervals of the mean score.

    Args:
        frame: one row a finished lane.
        groups: names of tasks by name of the group.
        bootstrap: resamples of samples within tasks; 0 leaves the intervals out.
        seed: of the resamples.
        against: what a token is paid with, see `curves.lanes`.

    Returns:
        The columns of `mean_curve`, with `group`, and `low` and `high` (percent; NaN without intervals).

    Raises:
        UsageError: lanes that may not be averaged together (see `curves.lanes`).
    """
    table = lanes(frame, against)
    measured = summarise(table)
    curves = [_curve(measured, tasks).assign(group=name) for name, tasks in groups.items()]
    result = pd.concat(curves, ignore_index=True) if curves else _curve(measured, ()).assign(group="")
    result = result.assign(low=float("nan"), high=float("nan"))
    if bootstrap:
        scored = {str(model): set(part["task"]) for model, part in measured[measured["score"].notna()].groupby("model")}
        for (model, method), rows in result.groupby(["model", "method"]):
            part = table[(table["model"] == model) & (table["method"] == method)]
            settings = [str(setting) for setting in part["setting"].unique()]
            draws = resample(part, settings, bootstrap, seed)
            for index, row in rows.iterrows():
                tasks = sorted(scored[str(model)] & set(groups[str(row["group"])]))
                result.loc[index, ["low", "high"]] = _interval(draws, tasks, settings.index(str(row["setting"])))
    return result


def _curve(measured: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    return mean_curve(measured[measured["task"].isin(list(tasks))])


def _interval(draws: Resampled, tasks: list[str], column: int) -> list[Any]:
    score, _ = draws.mean(tasks, [column])
    return interval(score[:, 0])
