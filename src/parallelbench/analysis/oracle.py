"""The oracle: for each sample the cheapest setting that gives its best score, as if one knew it beforehand.

How far a method's best single setting stays behind is what choosing the speed sample by sample would gain.
Source: ParallelBench (arXiv 2510.04767), section 5, Figure 7.
"""

import numpy as np
import pandas as pd

from parallelbench.analysis.curves import lanes, mean_curve, summarise

EVERY = "all methods"
"""Scope of the oracle that may choose among all settings of a model."""
MEAN = "mean"
"""Name of the row that averages a scope's tasks."""
ORACLE_COLUMNS = ["model", "scope", "kind", "task", "score", "tps", "nfe", "samples"]
GAP_COLUMNS = ["model", "method", "kind", "task", "setting", "score", "tps", "oracle_score", "oracle_tps", "share"]


def cheapest(table: pd.DataFrame, against: str = "nfe") -> pd.DataFrame:
    """The lane of each sample with the best score and, of those, the fewest forwards (or rows).

    Args:
        table: lanes as `curves.lanes` gives them; rows that differ in more than the setting are told apart by
            (model, task, sample) only, so choose the settings first.
        against: what is to be few, "nfe" or "rows".

    Returns:
        One lane a (model, task, sample) that has a score.
    """
    scored = table[table["score"].notna() & table["nfe"].notna()]
    # Scores that differ in the last bits only are the same score.
    ranked = scored.assign(lost=-scored["score"].round(9)).sort_values(
        ["model", "task", "sample", "lost", against, "setting"], kind="stable"
    )
    return ranked.drop_duplicates(["model", "task", "sample"]).drop(columns="lost")


def oracle(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean score and speed of the oracle of every method's settings, and of all settings of a model.

    Columns: model; scope (a method's name, or `EVERY`); kind of the method (None for `EVERY`); task, with a
    row `MEAN` that averages the tasks; score (percent); tps (tokens per step, mean over samples as everywhere);
    nfe; samples.

    Args:
        frame: lanes from the store.

    Raises:
        UsageError: lanes that may not be averaged together.
    """
    return _oracle(lanes(frame))


def _oracle(table: pd.DataFrame, against: str = "nfe") -> pd.DataFrame:
    if table.empty:
        return pd.DataFrame(columns=ORACLE_COLUMNS)
    groups = table.groupby("method", sort=True)
    parts = [_means(cheapest(part, against), str(name), str(part["kind"].iloc[0])) for name, part in groups]
    return pd.concat([*parts, _means(cheapest(table, against), EVERY, None)], ignore_index=True)[ORACLE_COLUMNS]


def _means(best: pd.DataFrame, scope: str, kind: str | None) -> pd.DataFrame:
    """Means by task and over tasks of the chosen lanes."""
    groups = best.groupby(["model", "task"], sort=True)
    tasks = groups[["score", "tps", "nfe"]].mean().assign(samples=groups.size()).reset_index()
    over = tasks.groupby("model", sort=True)
    whole = over[["score", "tps", "nfe"]].mean().assign(samples=over["samples"].sum()).reset_index().assign(task=MEAN)
    rows = pd.concat([tasks, whole], ignore_index=True).sort_values("model", kind="stable")
    return rows.assign(scope=scope, kind=pd.Series([kind] * len(rows), dtype=object, index=rows.index))


def oracle_gap(frame: pd.DataFrame, against: str = "nfe") -> pd.DataFrame:
    """How much of its own oracle's speed every method realises with one setting for all samples.

    That setting is the one with the best mean score, of equal ones the fastest: on a task, or in the row `MEAN`
    over the tasks of the mean curve. Columns: model, method, kind, task, setting, score (percent) and tps of
    that setting, oracle_score, oracle_tps, and share = tps / oracle_tps. The oracle's score is never lower;
    where the setting scores less than the oracle it may even be faster (a share above 1), so read the two
    together.

    Args:
        frame: lanes from the store; a method with one setting has nothing to choose and is left out.
        against: what a token is paid with, see `curves.lanes`.

    Raises:
        UsageError: lanes that may not be averaged together.
    """
    table = lanes(frame, against)
    if table.empty:
        return pd.DataFrame(columns=GAP_COLUMNS)
    table = table[table.groupby(["model", "method"])["setting"].transform("nunique") > 1]
    measured = summarise(table)
    fixed = pd.concat([measured, mean_curve(measured).assign(task=MEAN)], ignore_index=True)
    fixed = fixed[fixed["score"].notna()]
    fixed = fixed.assign(rounded=fixed["score"].round(9)).sort_values(["rounded", "tps"], kind="stable")
    fixed = fixed.drop_duplicates(["model", "method", "task"], keep="last")
    ideal = _oracle(table, against).rename(columns={"scope": "method", "score": "oracle_score", "tps": "oracle_tps"})
    keys = ["model", "method", "task"]
    found = fixed.merge(ideal[[*keys, "oracle_score", "oracle_tps"]], on=keys)
    found["share"] = np.divide(found["tps"], found["oracle_tps"])
    found["last"] = found["task"] == MEAN
    return found.sort_values(["model", "method", "last", "task"])[GAP_COLUMNS].reset_index(drop=True)
