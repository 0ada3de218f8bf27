"""Two sides on the same samples: how far apart they are, which tasks moved, which samples flipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from parallelbench.analysis.bootstrap import Floats, draw, interval
from parallelbench.analysis.curves import lanes
from parallelbench.errors import UsageError

FLIP = 50.0
"""A sample flips when its score moves by at least so many percentage points: right to wrong, or back."""
MEASURES = ("score", "score_strict", "tps", "nfe")
BESIDE = ("model", "setting")


@dataclass(frozen=True)
class Pairs:
    """The samples that both sides have, one row each.

    Attributes:
        table: Columns task, sample and, for every measure, `a_MEASURE` and `b_MEASURE`: means over the models
            and settings that both sides decoded the sample with.
        shared: What the two sides have in common: "model", "setting", both or neither.
        only_a: Lanes of the first side without a partner.
        only_b: Lanes of the second side without a partner.
    """

    table: pd.DataFrame
    shared: tuple[str, ...]
    only_a: int
    only_b: int


def pair(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    """Match the lanes of two sides sample by sample.

    Sides that share models are matched model by model, those that share settings setting by setting; a side
    that shares none must have one only. Lanes without a score on either side, and those without a partner, are
    left out.

    Args:
        a: lanes from the store.
        b: the same.

    Raises:
        UsageError: a side mixes lanes that may not be averaged, has several models (settings) and none in
            common with the other, or no sample is in both.
    """
    sides = [lanes(a), lanes(b)]
    shared = tuple(name for name in BESIDE if set(sides[0][name]) & set(sides[1][name]))
    for name in BESIDE:
        if name not in shared:
            for letter, side in zip("AB", sides, strict=True):
                found = sorted(map(str, set(side[name])))
                if len(found) > 1:
                    raise UsageError(
                        f"The two sides share no {name} and {letter} has several ({', '.join(found[:8])}): name one "
                        f"with --{name}."
                    )
    keys = ["task", "sample", *shared]
    left, right = (side[side["score"].notna()][[*keys, *MEASURES]] for side in sides)
    both = left.merge(right, on=keys, suffixes=("_a", "_b"))
    if both.empty:
        raise UsageError("No scored sample is on both sides: the same tasks, seed and data make the same samples.")
    both = both.rename(columns={f"{m}_{s}": f"{s}_{m}" for m in MEASURES for s in "ab"})
    values = [f"{side}_{measure}" for measure in MEASURES for side in "ab"]
    table = both.groupby(["task", "sample"], sort=True)[values].mean().reset_index()
    return Pairs(table, shared, len(sides[0]) - len(both), len(sides[1]) - len(both))


def compare(a: pd.DataFrame, b: pd.DataFrame, bootstrap: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The difference B - A on the samples that both sides have, with paired bootstrap intervals.

    Samples are drawn with replacement within each task, the same ones for both sides, and tasks count alike.
    The result holds, in plain numbers: `score` and `tps`, each {a, b, difference, interval} with the mean over
    tasks (score in percent, tps in tokens per step) and the 95 % interval of the difference; `moved`, the tasks
    whose interval of the score leaves out 0; `tasks`, one {task, n, a, b, difference, interval, tps_a, tps_b,
    gained, lost} a task, the furthest moved first; `flipped`, one {task, sample, a, b} a sample whose score
    moved by at least `FLIP` points; `n` samples; `shared`, `only_a`, `only_b` as in `Pairs`; and `differ`, what
    the lanes of the two sides differ in besides.

    Of 20 tasks that do not differ at all, one is expected among the moved.

    Args:
        a: lanes from the store.
        b: the same.
        bootstrap: resamples, at least 1.
        seed: of the resamples.

    Raises:
        UsageError: as `pair`, or fewer than one resample.
    """
    if bootstrap < 1:
        raise UsageError(f"bootstrap={bootstrap}: expected the number of resamples, at least 1.")
    pairs = pair(a, b)
    drawn: dict[str, list[Floats]] = {"score": [], "tps": []}
    tasks = []
    for name, part in pairs.table.groupby("task", sort=True):
        counts = draw(len(part), bootstrap, seed, str(name)) / len(part)
        for measure, found in drawn.items():
            found.append(counts @ _differences(part, measure))
        tasks.append(_task(str(name), part, drawn["score"][-1]))
    flipped = pairs.table[np.abs(_differences(pairs.table, "score")) >= FLIP]
    return {
        "n": len(pairs.table),
        **{measure: _overall(pairs.table, measure, found) for measure, found in drawn.items()},
        "moved": [row["task"] for row in tasks if row["interval"][0] > 0 or row["interval"][1] < 0],
        "tasks": sorted(tasks, key=lambda row: -abs(row["difference"])),
        "flipped": [
            {"task": row.task, "sample": row.sample, "a": row.a_score, "b": row.b_score}
            for row in flipped.itertuples(index=False)
        ],
        "shared": list(pairs.shared),
        "only_a": pairs.only_a,
        "only_b": pairs.only_b,
        "differ": _differ(a, b),
    }


def _differences(part: pd.DataFrame, measure: str) -> Floats:
    return (part[f"b_{measure}"] - part[f"a_{measure}"]).to_numpy(dtype=np.float64)


def _task(name: str, part: pd.DataFrame, drawn: Floats) -> dict[str, Any]:
    """The comparison on one task."""
    difference = _differences(part, "score")
    return {
        "task": name,
        "n": len(part),
        "a": float(part["a_score"].mean()),
        "b": float(part["b_score"].mean()),
        "difference": float(difference.mean()),
        "interval": interval(drawn),
        "tps_a": float(part["a_tps"].mean()),
        "tps_b": float(part["b_tps"].mean()),
        "gained": int((difference >= FLIP).sum()),
        "lost": int((difference <= -FLIP).sum()),
    }


def _overall(table: pd.DataFrame, measure: str, drawn: Sequence[Floats]) -> dict[str, Any]:
    """Means over tasks, each of which counts alike."""
    means = table.groupby("task")[[f"a_{measure}", f"b_{measure}"]].mean().mean()
    a, b = (float(means[f"{side}_{measure}"]) for side in "ab")
    return {"a": a, "b": b, "difference": b - a, "interval": interval(np.mean(drawn, axis=0))}


def _differ(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, list[list[str]]]:
    """Columns of the signature in which the sides take different values: {column: [values of A, of B]}."""
    found = {}
    for column in ("model", "revision", "setting", "profile", "grammar", "numerics", "seed"):
        if column in a and column in b:
            values = [sorted(map(str, side[column].unique())) for side in (a, b)]
            if values[0] != values[1]:
                found[column] = values
    return found
