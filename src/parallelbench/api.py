"""The Python API: the verbs of the command line, with data frames for results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from parallelbench.analysis.merge import merged, refuse_mixtures
from parallelbench.models.registry import load_model
from parallelbench.runs.execute import run as execute
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import EXTRA, read_frame
from parallelbench.tasks import load_task

__all__ = ["load_model", "load_run", "load_task", "run"]


def run(
    directory: str | Path,
    *,
    models: str | Sequence[str] = RunSettings.models,
    tasks: str | Sequence[str] = RunSettings.tasks,
    methods: str | Sequence[str] = RunSettings.methods,
    data: str | Path | None = None,
    batch_size: int = 64,
    executor: str = "local",
    **settings: Any,
) -> pd.DataFrame:
    """Decode and score what the directory does not hold yet; returns the lanes asked for, one row each.

    Args:
        directory: Run directory; it may hold further lanes.
        models: Model strings.
        tasks: Task names, short names or categories.
        methods: Method names (their sweep) or settings.
        data: A folder of published files instead of the built-in tasks.
        batch_size: Lanes decoded together; changes no result.
        executor: `local` or `ray`; changes no result.
        settings: Other fields of `RunSettings`: samples, seed, profile, grammar, grid.

    Raises:
        UsageError: settings that cannot be run.
        RunError: the directory cannot be written.
    """
    asked = RunSettings(
        _several(models), _several(tasks), _several(methods), data=None if data is None else Path(data), **settings
    )
    result = execute(asked, Path(directory), batch_size, executor=executor)
    frame = read_frame(Path(directory))
    return frame[frame["lane_id"].isin(result.lanes)].reset_index(drop=True)


def load_run(*directories: str | Path, everything: bool = False) -> pd.DataFrame:
    """The lanes of run directories as a data frame, one row each: what `analysis` works on.

    A lane found twice counts once; the column `directory` tells where a lane comes from.

    Args:
        directories: Run directories, at least one.
        everything: Also `EXTRA`: texts, tokens, parts, commit steps and revisions.

    Raises:
        UsageError: no run directory, or directories whose lanes do not measure the same thing (the
            differing field is named).
    """
    frame = merged(map(Path, directories), EXTRA if everything else ())
    if len(directories) > 1:
        refuse_mixtures(frame)
    return frame


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
