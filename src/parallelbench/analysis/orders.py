"""In which order a decoder decided its tokens, compared with reading from left to right."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from parallelbench.errors import UsageError

Steps = npt.NDArray[np.float64]
SETTING = ["model", "method", "setting", "task"]
NEEDS = ("commit_step", "revisions")
"""Columns beyond the usual ones: read the frame with `extra=orders.NEEDS`."""
ORDER_COLUMNS = [*SETTING, "kendall", "spearman", "kendall_text", "spearman_text", "first_step", "revised", "n"]
COMMIT_COLUMNS = [*SETTING, "step", "commits", "lanes"]
CHUNK = 4096


def kendall(steps: Steps) -> Steps:
    """Kendall's tau-b of commit steps against positions, for R lanes at once.

    tau_b = (C - D) / sqrt((P - T) * P): C pairs in which the right token came later, D in which it came
    earlier, T in which both came at once, P = n (n - 1) / 2 pairs in all. 1 is left to right one by one, -1
    right to left. NaN where nothing can be ordered: below two tokens, or all in one step.

    Args:
        steps: [R, G]; NaN marks positions to leave out.
    """
    later, pairs, tied = np.zeros(len(steps)), np.zeros(len(steps)), np.zeros(len(steps))
    for gap in range(1, steps.shape[1]):
        difference = steps[:, gap:] - steps[:, :-gap]
        later += np.nansum(np.sign(difference), 1)
        pairs += np.isfinite(difference).sum(1)
        tied += (difference == 0).sum(1)
    scale = np.sqrt((pairs - tied) * pairs)
    return _ratio(later, scale)


def spearman(steps: Steps) -> Steps:
    """Spearman's rho of commit steps (tied ones share their mean rank) against positions, for R lanes at once.

    NaN as for `kendall`.

    Args:
        steps: [R, G]; NaN marks positions to leave out.
    """
    known = np.isfinite(steps)
    place = np.where(known, known.cumsum(1), 0.0)
    rank = np.where(known, _mean_ranks(steps), 0.0)
    count = np.maximum(known.sum(1, keepdims=True), 1)
    place = np.where(known, place - place.sum(1, keepdims=True) / count, 0.0)
    rank = np.where(known, rank - rank.sum(1, keepdims=True) / count, 0.0)
    scale = np.sqrt((place**2).sum(1) * (rank**2).sum(1))
    return _ratio((place * rank).sum(1), scale)


def _ratio(value: Steps, scale: Steps) -> Steps:
    """Value / scale, NaN where the scale is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, value / scale, np.nan)


def _mean_ranks(steps: Steps) -> Steps:
    """Rank of each step among those of its row, ties at their mean."""
    below = np.zeros(steps.shape)
    for column in range(steps.shape[1]):
        other = steps[:, column : column + 1]
        below += (other < steps) + 0.5 * (other == steps)
    return below


def order_statistics(frame: pd.DataFrame) -> pd.DataFrame:
    """How left-to-right every (model, method, setting, task) decoded: means over its lanes.

    Columns: kendall and spearman over all decoded positions of the region; kendall_text and spearman_text over
    those up to and including the first end of text, without the filler behind it; first_step (share of the
    tokens decided in the first forward); revised (tokens taken back or replaced, a lane); n (lanes whose order
    says something: more than one step). Given tokens count nowhere.

    Args:
        frame: lanes from the store, read with `extra=orders.NEEDS`.

    Raises:
        UsageError: the frame lacks a column.
    """
    done = _decoded(frame)
    if done.empty:
        return pd.DataFrame(columns=ORDER_COLUMNS)
    table = pd.concat([_of_chunk(part) for part in _chunks(done)])
    measures = [name for name in ORDER_COLUMNS if name not in (*SETTING, "n")]
    groups = table.groupby(SETTING, sort=True)
    return groups[measures].mean().assign(n=groups["kendall"].count()).reset_index()[ORDER_COLUMNS]


def _of_chunk(part: pd.DataFrame) -> pd.DataFrame:
    """One row a lane."""
    steps = np.array(part["commit_step"].tolist(), dtype=np.float64)
    steps[steps < 0] = np.nan
    text = np.where(np.arange(steps.shape[1]) < part["effective_tokens"].to_numpy()[:, None], steps, np.nan)
    decided = np.isfinite(steps).sum(1).astype(np.float64)
    return part[SETTING].assign(
        kendall=kendall(steps),
        spearman=spearman(steps),
        kendall_text=kendall(text),
        spearman_text=spearman(text),
        first_step=_ratio((steps == 0).sum(1).astype(np.float64), decided),
        revised=[float(len(revisions or ())) for revisions in part["revisions"]],
    )


def commits_per_step(frame: pd.DataFrame) -> pd.DataFrame:
    """How many tokens every (model, method, setting, task) decided in each forward.

    Columns: step (forward, from 0), commits (mean number of tokens decided then, those taken back later
    included, over the lanes that made so many forwards), lanes (how many did).

    Args:
        frame: lanes from the store, read with `extra=orders.NEEDS`.

    Raises:
        UsageError: the frame lacks a column.
    """
    groups = [(key, *_commits(part)) for key, part in _decoded(frame).groupby(SETTING, sort=True)]
    if not groups:
        return pd.DataFrame(columns=COMMIT_COLUMNS)
    keys, commits, lanes = zip(*groups, strict=True)
    lengths = [len(column) for column in lanes]
    table = pd.DataFrame(keys, columns=SETTING).loc[np.repeat(np.arange(len(keys)), lengths)].reset_index(drop=True)
    steps = np.concatenate([np.arange(length) for length in lengths])
    return table.assign(step=steps, commits=np.concatenate(commits), lanes=np.concatenate(lanes))[COMMIT_COLUMNS]


def _commits(part: pd.DataFrame) -> tuple[Steps, npt.NDArray[np.int64]]:
    """Mean number of tokens decided in each forward, and over how many lanes."""
    decided = np.fromiter(chain.from_iterable(part["commit_step"]), dtype=np.int64)
    revised = [revision[2] for revisions in part["revisions"] for revision in revisions or ()]
    decided = np.concatenate([decided, np.array(revised, dtype=np.int64)])
    decided = decided[decided >= 0]
    last = int(part["nfe"].max())
    counts = np.bincount(decided, minlength=last)[:last]
    running = (part["nfe"].to_numpy()[:, None] > np.arange(last)).sum(0)
    return counts / running, running


def _decoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Finished lanes that have a commit step for every token."""
    missing = [name for name in NEEDS if name not in frame]
    if missing:
        raise UsageError(f"The lanes have no {' and no '.join(missing)}; read them with extra={NEEDS!r}.")
    frame = frame[frame["error"].isna() & frame["commit_step"].notna() & (frame["nfe"] > 0)]
    return frame[frame["commit_step"].map(len) > 0].drop_duplicates("lane_id")


def _chunks(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Lanes with regions of one length together, so many at a time that the arrays stay small."""
    for _, part in frame.groupby(frame["commit_step"].map(len), sort=True):
        for start in range(0, len(part), CHUNK):
            yield part.iloc[start : start + CHUNK]
