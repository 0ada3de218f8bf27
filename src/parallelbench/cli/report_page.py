"""What `pb report` collects for its page, and the sentences about what is missing from it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from parallelbench.analysis.merge import merged, refuse_mixtures
from parallelbench.cli.report_traces import chosen_traces
from parallelbench.cli.theory_ceilings import attach_ceilings
from parallelbench.report.contents import contents, profile_view
from parallelbench.report.overlay import published_view
from parallelbench.report.packing import told
from parallelbench.report.page import page
from parallelbench.runs.signature import frame_signature
from parallelbench.runs.store import Store

Entry = dict[str, Any]
EXTRA = ("run_id", "commit_step", "revisions", "parts")
"""Columns of the store that the page's statistics need beside the usual ones."""
SLOW_TO_SOLVE = ("puzzle/latin_square",)


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        directories: Run directories.
        curves: Folders of published curves.
        ceilings: lists, all or none.
        traces: Samples a task to replay.
        bootstrap: Resamples of the intervals.
        title: Heading of the page.
    """

    directories: Sequence[Path]
    curves: Sequence[Path]
    ceilings: str
    traces: int
    bootstrap: int
    title: str


def make_page(wanted: Wanted) -> tuple[str, list[str]]:
    """The page, and what a reader has to know about it.

    Raises:
        UsageError: no run directory, unreadable curves, or lanes that may not be averaged together.
    """
    frame = merged(wanted.directories, EXTRA)
    parts = [part for _, part in frame.groupby("profile", sort=True)]
    for part in parts:
        refuse_mixtures(part)
    notes = list(_notes(wanted.directories, parts))
    ceilings = _ceilings(wanted.ceilings, notes)
    views = [profile_view(part, frame_signature(part), ceilings, wanted.bootstrap) for part in parts]
    published = published_view(wanted.curves)
    methods = sorted({*frame["method"].astype(str), *(row["method"] for row in published["board"])})
    data = contents(
        views,
        title=wanted.title,
        subtitle=", ".join(map(str, wanted.directories)),
        methods=methods,
        runs=[run for directory in wanted.directories for run in _runs(directory, frame)],
        published=published,
        traces=chosen_traces(frame, wanted.traces),
        notes=notes,
    )
    return page(data), notes


def _ceilings(which: str, notes: list[str]) -> Callable[[Sequence[Entry], pd.DataFrame], None]:
    """Puts ceilings beside the points of methods with a fixed number of steps; a model that has none is noted."""

    def attach(entries: Sequence[Entry], frame: pd.DataFrame) -> None:
        if which == "none":
            return
        fixed = frame[frame["kind"] == "static"]
        slow = [task for task in fixed["task"].unique() if str(task).partition("@")[0] in SLOW_TO_SOLVE]
        if which == "lists" and slow:
            fixed = fixed[~fixed["task"].isin(slow)]
            notes.append(f"No ceilings of {', '.join(SLOW_TO_SOLVE)}: --ceilings all takes the time to compute them.")
        notes.extend(note for note in attach_ceilings(entries, fixed) if note not in notes)

    return attach


def _notes(directories: Sequence[Path], parts: Sequence[pd.DataFrame]) -> Iterator[str]:
    """What is missing from the numbers."""
    if not parts:
        yield f"No lanes yet in {', '.join(map(str, directories))}; `pb run` makes them."
    if len(parts) > 1:
        profiles = ", ".join(f"{part['profile'].iloc[0]} ({len(part):,} lanes)" for part in parts)
        yield f"Lanes of several profiles: {profiles}. They are shown one at a time, and never averaged together."
    for part in parts:
        where = f" of profile {part['profile'].iloc[0]}" if len(parts) > 1 else ""
        yield from (f"{text}{where}." for text in _gaps(part))


def _gaps(frame: pd.DataFrame) -> Iterator[str]:
    """What the lanes of one profile leave out, without the full stop."""
    failed = frame["error"].notna()
    if failed.any():
        first = frame.loc[failed, "error"].iloc[0]
        yield f"{failed.sum():,} of {len(frame):,} lanes ended in an error (the first: {first[:200]})"
    unscored = frame["score"].isna() & ~failed
    if unscored.any():
        yield f"{unscored.sum():,} of {len(frame):,} lanes are unscored"
    for model, part in frame.groupby("model"):
        missing = sorted(set(part["task"]) - set(part.loc[part["score"].notna(), "task"]))
        if missing:
            yield f"{model}: no scored sample of {', '.join(missing)}; the mean leaves {_those(missing)} out"
        yield from _lonely(str(model), part)


def _those(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _lonely(model: str, frame: pd.DataFrame) -> Iterator[str]:
    """Methods with a single setting, and settings that some task lacks."""
    counts = frame.groupby("method")["setting"].nunique()
    single = [str(method) for method in counts.index[counts == 1]]
    if single:
        yield f"{model}: one setting only of {', '.join(single)}, so a point and no curve"
    tasks = frame.groupby("setting")["task"].nunique()
    partial = [str(setting) for setting in tasks.index[tasks < frame["task"].nunique()]]
    if partial:
        shown = ", ".join(partial[:5]) + (f" and {len(partial) - 5} more" if len(partial) > 5 else "")
        yield f"{model}: not in the mean over tasks, since some task lacks them: {shown}"


def _runs(directory: Path, frame: pd.DataFrame) -> Iterator[Entry]:
    """The runs of a directory as the page tells them; a lane found in several directories counts in one."""
    lanes = frame.loc[frame["directory"] == str(directory), "run_id"].value_counts()
    with Store(directory) as store:
        spent = store.executions()
        for run in store.runs():
            yield {
                "directory": told(directory),
                "run_id": told(run["run_id"]),
                "started": told(run["started"]),
                "signature": told(run["signature"]),
                "lanes": int(lanes.get(run["run_id"], 0)),
                "settings": _plain(run["settings"]),
                "about": _plain(run["about"]),
                "executed": _spent([row for row in spent if row["run_id"] == run["run_id"]]),
            }


def _spent(rows: Sequence[Entry]) -> Entry | None:
    """What the processes of a run spent together; None where no record was kept."""
    names = ("forwards_counted", "forwards_executed", "calls", "model_seconds")
    return {name: sum(row[name] for row in rows) for name in names} if rows else None


def _plain(value: Any) -> Any:
    """Settings with every text in them made harmless."""
    if isinstance(value, dict):
        return {told(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return told(value) if isinstance(value, str) else value
