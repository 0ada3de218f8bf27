"""`pb export`: the lanes of run directories as a table for other programs."""

import json as json_module
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parallelbench.cli.output import WHOLE, faults_told, note
from parallelbench.errors import RunError, UsageError, lookup
from parallelbench.report.plain import plain

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet", "json")


def export(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories; several are merged.")],
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="NAME", help="csv, parquet or json (one object a line).")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write; default: stdout.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also texts, tokens, parts, commit steps and revisions.")
    ] = False,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Only lanes of this profile.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only lanes of this seed.", **WHOLE)] = None,
) -> None:
    """Write one row a lane: model, task, sample, setting, scores, forwards, seconds and what identifies them.

    Example: pb export runs/quick --format parquet -o lanes.parquet
    """
    with faults_told():
        lookup(dict.fromkeys(FORMATS), format_, "format")
        if format_ == "parquet":
            _require_parquet(out)
        from parallelbench.analysis.merge import chosen, merged, refuse_mixtures
        from parallelbench.runs.store import EXTRA

        frame = chosen(merged(directories, EXTRA if everything else ()), profile=profile, seed=seed)
        if len(directories) > 1:
            refuse_mixtures(frame)
        write_frame(frame, format_, out)
        note(f"{len(frame)} lanes written to {out or 'stdout'}")


def _require_parquet(out: Path | None) -> None:
    if out is None:
        raise UsageError("Parquet is no text: give a file with -o, e.g. -o lanes.parquet.")
    if find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow: pip install 'parallelbench[parquet]'. CSV and JSON need nothing.")


def write_frame(frame: "pd.DataFrame", format_: str, out: Path | None) -> None:
    """Write a table in one of `FORMATS`; lists and dictionaries become JSON text where a cell must be text.

    Raises:
        RunError: the file cannot be written.
    """
    if format_ != "json":
        frame = frame.copy(deep=False)
        for name in {"tokens", "parts", "commit_step", "revisions"} & set(frame):
            frame[name] = [None if cell is None else json_module.dumps(cell) for cell in frame[name]]
    try:
        if format_ == "parquet":
            frame.to_parquet(out, engine="pyarrow", index=False)
        elif format_ == "csv" and out is None:
            text = frame.to_csv(index=False, lineterminator="\n")
            sys.stdout.write(plain(text, keep="\n") if sys.stdout.isatty() else text)
        elif format_ == "csv":
            frame.to_csv(out, index=False, lineterminator="\n")
        else:
            frame.to_json(out or sys.stdout, orient="records", lines=True, force_ascii=True)
    except OSError as error:
        raise RunError(f"Cannot write {out or 'stdout'}: {error.strerror or error}.") from error
