"""PBx: how many tokens a step a method can decode while its mean score stays at least x percent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from parallelbench.analysis.bootstrap import Floats, Resampled, intervals, resample
from parallelbench.analysis.curves import lanes, mean_curve, missing_tasks, summarise
from parallelbench.errors import UsageError, unknown

PBS = (90, 80, 75, 70, 60)
KINDS = ("static", "adaptive", "revising")
Entry = dict[str, Any]
POINT_FIELDS = ("setting", "task", "score", "score_strict", "tps", "effective_tps", "nfe", "rows", "n", "unscored")
CURVE_FIELDS = (
    "setting",
    "score",
    "score_strict",
    "tps",
    "harmonic_tps",
    "effective_tps",
    "nfe",
    "rows",
    "n",
    "unscored",
)


def reach(score: Floats, tps: Floats, x: float | Sequence[float], kind: str, value: Floats | None = None) -> Floats:
    """PBx of each of R curves of S points, for one x or for X of them.

    In the order of tokens per step, the last point with score >= x counts. A static method stops there: its
    settings are integers, there is nothing between two of them. Otherwise the line to the next point is
    followed down to x. Beyond the last measured point nothing is assumed, and where no point reaches x the
    result is 0. Of points with equal tokens per step the best one stands for all. Source: the published
    leaderboards of ParallelBench (arXiv 2510.04767), all of whose numbers this reproduces.

    Args:
        score: [R, S], percent; S >= 1, no NaN.
        tps: [R, S], tokens per step.
        x: percent; one number or X.
        kind: static, adaptive or revising.
        value: [R, S], what to read off at that place of the curve; tokens per step unless given.

    Returns:
        [R], or [X, R] for X numbers.

    Raises:
        UsageError: an unknown kind.
    """
    if kind not in KINDS:
        raise unknown("kind of method", kind, KINDS)
    # Means of the same numbers differ in the last bits with the order of summation: 79.9999999999 is 80.
    score, place, value = np.round(score, 9), np.round(tps, 9), tps if value is None else value
    order = np.lexsort((-score, place), axis=-1)
    score, place, value = (np.take_along_axis(a, order, -1) for a in (score, place, value))
    for j in range(1, score.shape[1]):
        same = place[:, j] == place[:, j - 1]
        score[same, j], value[same, j] = score[same, j - 1], value[same, j - 1]
    wanted = np.asarray(x, dtype=np.float64)[..., None]
    enough = score >= wanted[..., None]
    row, last = np.arange(len(score)), score.shape[1] - 1 - enough[..., ::-1].argmax(-1)
    after = np.minimum(last + 1, score.shape[1] - 1) if kind != "static" else last
    fall = score[row, last] - score[row, after]
    share = np.divide(score[row, last] - wanted, fall, out=np.zeros(fall.shape), where=fall > 0)
    found: Floats = value[row, last] + share * (value[row, after] - value[row, last])
    return np.where(enough.any(-1), found, 0.0)


def pbx(curve: pd.DataFrame, x: float, kind: str, column: str = "tps") -> float:
    """PBx of one mean curve (see `reach`); NaN, not 0, where nothing was measured.

    Args:
        curve: columns `score` (percent), `tps`, `column`; in any order; rows without a score are skipped.
        x: percent.
        kind: static, adaptive or revising.
        column: which measure to read off where the curve passes x: `tps`, or the `effective_tps` or
            `harmonic_tps` that go with it.

    Raises:
        UsageError: an unknown kind.
    """
    return _all_pbx(curve, (x,), kind, (column,))[column][0]


def _all_pbx(curve: pd.DataFrame, xs: Sequence[float], kind: str, columns: Sequence[str]) -> dict[str, list[float]]:
    """`pbx` for several x and columns."""
    names = ("score", "tps", *columns)
    values = {name: curve[name].to_numpy(dtype=np.float64) for name in names}
    known = np.isfinite(values["score"]) & np.isfinite(values["tps"])
    if not known.any():
        return {column: [math.nan] * len(xs) for column in columns}
    score, tps = (np.tile(values[name][known], (len(columns), 1)) for name in ("score", "tps"))
    found = reach(score, tps, xs, kind, np.stack([values[column][known] for column in columns]))
    return dict(zip(columns, found.T.tolist(), strict=True))


def leaderboard(frame: pd.DataFrame, bootstrap: int = 1000, seed: int = 0, against: str = "nfe") -> list[Entry]:
    """PBx of every (model, method) with 95 % intervals, in plain numbers that JSON can hold (NaN is None).

    An entry holds model, method, kind, profile, against; PB90 ... PB60 in tokens per step (0: never reaches x, None:
    no setting has a score on every task); `effective` and `harmonic`, for each PBx the effective tokens per
    step and the harmonic mean over tasks at the same place of the curve; `intervals`, for each PBx
    [low, high]; `tasks` (how many the curve averages), `missing_tasks` (names: no sample is scored),
    `outside_curve` (settings that lack a task); `curve` and `points` (scores in percent, `score_interval`
    [low, high]).

    Args:
        frame: one row a finished lane.
        bootstrap: resamples; 0 leaves the intervals out.
        seed: of the resamples.
        against: what a step costs: "nfe", a forward, or "rows", every canvas in it.

    Raises:
        UsageError: lanes that may not be averaged together (see `curves.lanes`), or a negative `bootstrap`.
    """
    if bootstrap < 0:
        raise UsageError(f"bootstrap={bootstrap}: expected the number of resamples, 0 for none.")
    table = lanes(frame, against)
    measured = summarise(table)
    curve, missing = mean_curve(measured), missing_tasks(measured)
    entries = []
    read = ["model", "method", "profile", "task", "sample", "setting", "score", "tps"]
    for (model, method), part in table[read].groupby(["model", "method"], sort=True, observed=True):
        mine = [t[(t["model"] == model) & (t["method"] == method)] for t in (measured, curve)]
        head = {"model": str(model), "method": str(method), "profile": str(part["profile"].iloc[0])}
        head |= {"against": against}
        entries.append(head | _entry(part, mine[0], mine[1], bootstrap, seed) | {"missing_tasks": missing[str(model)]})
    return entries


def best_per_model(entries: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """For each model and PBx the method that leads, and those it does not clearly lead.

    A row holds model, pbx ("PB90" ... "PB60"), method, value (tokens per step), interval ([low, high] or None)
    and level: the other methods whose interval overlaps the leader's, or that share its value where there are
    no intervals. A PBx that no method of the model reaches has no row.

    Args:
        entries: of `leaderboard` or `published.published_leaderboard`.
    """
    rows = []
    for model in sorted({str(entry["model"]) for entry in entries}):
        mine = [entry for entry in entries if entry["model"] == model]
        for name in (f"PB{x}" for x in PBS):
            reached = [entry for entry in mine if entry[name]]
            if reached:
                best = max(reached, key=lambda entry: (entry[name], entry["method"]))
                bounds = _bounds(best, name)
                level = [e["method"] for e in reached if e is not best and _bounds(e, name)[1] >= bounds[0]]
                interval_of = best.get("intervals", {}).get(name)
                rows.append(
                    {"model": model, "pbx": name, "method": best["method"], "value": best[name]}
                    | {"interval": interval_of, "level": sorted(level)}
                )
    return rows


def _bounds(entry: Mapping[str, Any], name: str) -> Sequence[float]:
    bounds: Sequence[float] | None = entry.get("intervals", {}).get(name)
    return bounds if bounds else (entry[name], entry[name])


def _entry(table: pd.DataFrame, measured: pd.DataFrame, curve: pd.DataFrame, bootstrap: int, seed: int) -> Entry:
    """The entry of one (model, method) from its lanes, its points and its mean curve."""
    settings = [str(setting) for setting in measured["setting"].unique()]
    kinds = sorted(set(map(str, measured["kind"])))
    if len(kinds) > 1:
        raise UsageError(f"Method {measured['method'].iloc[0]!r} mixes kind values {', '.join(map(repr, kinds))}.")
    draws = resample(table, settings, bootstrap, seed) if bootstrap else None
    inside = [str(setting) for setting in curve["setting"]]
    found = _all_pbx(curve, PBS, kinds[0], ("tps", "effective_tps", "harmonic_tps"))
    reached = {name: {f"PB{x}": _plain(v) for x, v in zip(PBS, values, strict=True)} for name, values in found.items()}
    entry: Entry = {"kind": kinds[0], **reached["tps"]}
    entry |= {name: reached[f"{name}_tps"] for name in ("effective", "harmonic")}
    entry["intervals"] = _pbx_intervals(draws, settings, measured, inside, kinds[0])
    entry["tasks"] = int(curve["tasks"].iloc[0]) if inside else 0
    entry["outside_curve"] = [setting for setting in settings if setting not in inside]
    entry["curve"] = _records(curve, CURVE_FIELDS)
    ends = {} if draws is None else _score_ends(draws)
    entry["points"] = [
        row | {"score_interval": _score_interval(ends, settings, row)} for row in _records(measured, POINT_FIELDS)
    ]
    return entry


def _pbx_intervals(
    draws: Resampled | None, settings: Sequence[str], measured: pd.DataFrame, inside: Sequence[str], kind: str
) -> dict[str, list[float]]:
    """The interval of every PBx, over the tasks and the settings of the mean curve."""
    if draws is None or not inside:
        return {}
    tasks = sorted(set(measured.loc[measured["setting"].isin(inside) & measured["score"].notna(), "task"]))
    score, tps = draws.mean(tasks, [settings.index(setting) for setting in inside])
    ends = intervals(reach(score, tps, PBS, kind).T)
    return {f"PB{x}": bounds for x, bounds in zip(PBS, ends.T.tolist(), strict=True)}


def _score_ends(draws: Resampled) -> dict[str, Floats]:
    """The `interval` of every task and setting at once: for each task, [2, S]."""
    ends = intervals(np.stack([*draws.score.values()], axis=1))
    return dict(zip(draws.score, ends.swapaxes(0, 1), strict=True))


def _score_interval(
    ends: Mapping[str, Floats], settings: Sequence[str], point: Mapping[Any, Any]
) -> list[float] | None:
    if not ends or point["score"] is None:
        return None
    low, high = ends[point["task"]][:, settings.index(point["setting"])]
    return [float(low), float(high)]


def _records(table: pd.DataFrame, fields: Sequence[str]) -> list[Entry]:
    columns = (map(_plain, table[field].tolist()) for field in fields)
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value
