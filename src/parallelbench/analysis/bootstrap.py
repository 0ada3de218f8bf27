"""Percentile bootstrap over samples: how far a number could move had other samples been drawn."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
COVERAGE = 0.95


@dataclass(frozen=True)
class Resampled:
    """Resampled means of one (model, method): R resamples, the settings in the order they were asked for.

    Attributes:
        score: for each task, [R, S] mean scores in percent; NaN where a setting has no scored sample.
        tps: for each task, [R, S] mean tokens per step.
    """

    score: dict[str, Floats]
    tps: dict[str, Floats]

    def mean(self, tasks: list[str], columns: list[int]) -> tuple[Floats, Floats]:
        """Mean score and tokens per step over tasks, both [R, len(columns)]."""
        score, tps = (np.mean([part[task][:, columns] for task in tasks], axis=0) for part in (self.score, self.tps))
        return score, tps


def interval(values: Floats) -> list[float]:
    """Lower and upper end of the central 95 % of resampled values [R].

    It has no width where all values agree: when every sample is right, resampling cannot know better.
    """
    low, high = intervals(values)
    return [float(low), float(high)]


def intervals(values: Floats) -> Floats:
    """`interval` along the first axis of [R, ...], [2, ...]."""
    tail = (1 - COVERAGE) / 2
    ends: Floats = np.quantile(values, [tail, 1 - tail], axis=0)
    return ends


@lru_cache(maxsize=32)
def draw(size: int, resamples: int, seed: int, task: str) -> Floats:
    """How often each of `size` samples is drawn in each resample, [R, size]; a row sums to size.

    Seeded by (seed, task) alone: settings and methods that share samples share draws, so their intervals move
    together, and adding a method changes nobody else's. Kept for the next caller: do not write into it.
    """
    digest = hashlib.sha256(f"{seed}/{task}".encode("utf-8", "surrogatepass")).digest()
    picks = np.random.default_rng(int.from_bytes(digest[:8], "big")).integers(size, size=(resamples, size))
    picks += np.arange(resamples)[:, None] * size
    return np.bincount(picks.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float64)


def resample(table: pd.DataFrame, settings: list[str], resamples: int, seed: int) -> Resampled:
    """Draw samples with replacement within each task; all settings of a resample see the same samples.

    Args:
        table: the lanes of one (model, method), as `curves.lanes` gives them.
        settings: the order of the columns.
        resamples: R.
        seed: makes the draw.
    """
    columns = pd.Index(settings).get_indexer(pd.Index(table["setting"]))
    task_of, tasks = pd.factorize(table["task"], sort=True)
    sample_of, _ = pd.factorize(table["sample"], sort=True)
    lane_scores, lane_tps = (table[name].to_numpy(dtype=np.float64) for name in ("score", "tps"))
    score: dict[str, Floats] = {}
    tps: dict[str, Floats] = {}
    for number, task in enumerate(map(str, tasks)):
        here = np.flatnonzero(task_of == number)
        samples, row = np.unique(sample_of[here], return_inverse=True)  # in the order of their names
        cell = row * len(settings) + columns[here]
        shape = (len(samples), len(settings))
        draws = draw(len(samples), resamples, seed, task)
        score[task] = _means(lane_scores[here], cell, shape, draws)
        tps[task] = _means(lane_tps[here], cell, shape, draws)
    return Resampled(score, tps)


def _means(values: Floats, cell: npt.NDArray[np.int64], shape: tuple[int, int], draws: Floats) -> Floats:
    """Mean of the finite values in each resample, [R, S]; `cell` is a value's place in samples x settings."""
    known = np.isfinite(values)
    size = shape[0] * shape[1]
    totals = np.bincount(cell, np.where(known, values, 0.0), size).reshape(shape)
    counts = np.bincount(cell, known, size).reshape(shape)
    if (counts == 1).all():  # the usual case: each sample has one value, and each resample draws as many
        means: Floats = draws @ totals / shape[0]
        return means
    with np.errstate(invalid="ignore"):
        measured = totals.sum(0) / counts.sum(0)
        means = draws @ totals / (drawn := draws @ counts)
    # A resample that happens to draw no scored sample says nothing: it keeps the measured mean.
    return np.where(drawn > 0, means, measured)
