"""Several run directories as one table of lanes, where their signatures allow it."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from parallelbench.errors import UsageError, lookup
from parallelbench.runs.store import Store

MUST_AGREE: Sequence[tuple[str, tuple[str, ...]]] = (
    ("profile", ()),
    ("task_version", ("task",)),
    ("grammar", ("task",)),
    ("seed", ("task",)),
    ("revision", ("model",)),
    ("numerics", ("model", "setting")),
)
"""Columns that may take one value only, and within what: lanes that differ there measure different things."""
_NOUN = {"task_version": "version"}


def merged(
    directories: Iterable[Path], extra: Collection[str] = (), only: Collection[str] | None = None
) -> pd.DataFrame:
    """The lanes of run directories, each once, with the column `directory` that tells where they come from.

    A lane found twice counts once, a finished copy before a failed one. Whether the lanes may be averaged
    together is not asked here, so that a caller can choose among them first: see `refuse_mixtures`.

    Args:
        directories: Run directories, at least one.
        extra: Further columns, see `runs.store.EXTRA`.
        only: Of the usual columns, these alone, see `Store.frame`; of several directories, with lane_id and error.

    Raises:
        UsageError: no run directory, a damaged store, or none given.
    """
    frames = []
    for directory in directories:
        with Store(directory) as store:
            frames.append(store.frame(extra, only).assign(directory=str(directory)))
    if not frames:
        raise UsageError("No run directory given; name at least one, e.g. runs/quick.")
    if len(frames) == 1:  # a store holds a lane once, and gives them in this order
        return frames[0]
    table = pd.concat(frames, ignore_index=True)
    table = table.sort_values("error", na_position="first", kind="stable").drop_duplicates("lane_id")
    return table.sort_values("lane_id", kind="stable").reset_index(drop=True)


def chosen(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The lanes with these values (`profile="native"`, `seed=0`); a value of None chooses nothing.

    Raises:
        UsageError: no lane has such a value; it names those there are.
    """
    for column, value in values.items():
        if value is not None:
            lookup(dict.fromkeys(map(str, frame[column].unique())), str(value), column)
            frame = frame[frame[column] == value]
    return frame


def refuse_mixtures(frame: pd.DataFrame) -> None:
    """Refuse lanes that may not be averaged together.

    Everything may differ that a table keeps apart (model, method, setting, task) or that only adds samples.

    Raises:
        UsageError: it names the field that differs, its values, and the directories that hold them.
    """
    for field, scope in MUST_AGREE:
        if field in frame:
            _refuse_mixture(frame, field, scope)
    _refuse_doubles(frame)


def _refuse_doubles(frame: pd.DataFrame) -> None:
    """A sample decoded twice under one setting, by two versions of something, would count twice."""
    key = ["model", "setting", "task", "sample"]
    doubles = frame[frame.duplicated(key, keep=False)].drop_duplicates("lane_id")
    doubles = doubles[doubles.duplicated(key, keep=False)]
    if not doubles.empty:
        first = doubles.iloc[0]
        ids = doubles.loc[(doubles[key] == first[key]).all(axis=1), "lane_id"].tolist()
        raise UsageError(
            f"The lanes mix lane_id values {', '.join(map(repr, ids))} of one sample, {first['sample']!r} under "
            f"{first['setting']!r}{_where(frame, 'lane_id', ids)}: they were decoded by different versions of the "
            "package or of the model's numbers. Merge what was made alike, or run again into a new directory."
        )


def _refuse_mixture(frame: pd.DataFrame, field: str, scope: tuple[str, ...]) -> None:
    rows = frame[[*scope, field]].drop_duplicates()
    if rows.empty:
        return
    for name, part in rows.groupby(list(scope), observed=True) if scope else [((), rows)]:
        if len(part) == 1:
            continue
        inside = " and ".join(f"{column} {value!r}" for column, value in zip(scope, name, strict=True))
        values = sorted(part[field].tolist())
        raise UsageError(
            f"The lanes mix {field} values {', '.join(map(repr, values))}{' of ' if inside else ''}{inside}"
            f"{_where(frame, field, values)}; give one {_NOUN.get(field, field)} at a time."
        )


def _where(frame: pd.DataFrame, field: str, values: list[object]) -> str:
    """Which directories hold which value; empty where there is but one."""
    if "directory" not in frame or frame["directory"].nunique() < 2:
        return ""
    holders = frame[[field, "directory"]].drop_duplicates()
    told = (f"{value!r} in {', '.join(sorted(holders.loc[holders[field] == value, 'directory']))}" for value in values)
    return f" ({'; '.join(told)})"
