"""`pb compare`: two runs, settings, methods or models on the same samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, stdout
from parallelbench.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas as pd

    Sides = tuple[pd.DataFrame, pd.DataFrame]

NAMED_BY = ("setting", "method", "model")
"""What a side of `--in DIR` may name, in the order in which it is looked up."""


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Run directory; with --in a setting, method or model.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one; differences are B - A.")],
    inside: Annotated[
        list[Path] | None,
        typer.Option("--in", metavar="DIR", help="Run directory that holds both sides; repeatable."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only lanes of this model, on both sides.")] = None,
    setting: Annotated[str | None, typer.Option(metavar="NAME", help="Only lanes of this setting.")] = None,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="Only this task.")] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamples for the 95 % intervals.", **WHOLE)] = 2000,
    json: Json = False,
) -> None:
    """Compare two sides on the samples that both decoded: difference, interval, tasks that moved, flipped samples.

    Two run directories are paired model by model and setting by setting. With --in, A and B name two settings,
    methods or models of one directory.

    Example: pb compare confidence:k=4 threshold:tau=0.9 --in runs/quick
    """
    with faults_told():
        from parallelbench.analysis.compare import compare as judge
        from parallelbench.report.compare import comparison_view

        only = {"model": model, "setting": setting, "task": task}
        sides = _within(a, b, inside, only) if inside else _directories(a, b, only)
        result = {"a": a, "b": b, **judge(*sides, bootstrap=bootstrap)}
        if json:
            print_json(result)
            return
        stdout().print(comparison_view(result))
        for letter, side in zip("AB", sides, strict=True):
            _tell_signature(letter, side)


def _tell_signature(letter: str, side: "pd.DataFrame") -> None:
    from parallelbench.runs.signature import frame_signature

    note(f"signature {letter}: {frame_signature(side)}")


def _directories(a: str, b: str, only: dict[str, str | None]) -> "Sides":
    """Each side a run directory."""
    from parallelbench.analysis.merge import merged
    from parallelbench.runs.store import FILE

    if not any((Path(side) / FILE).is_file() for side in (a, b)):
        raise UsageError(
            f"Neither {a!r} nor {b!r} is a run directory. Settings, methods or models of one directory are compared "
            f"with --in DIR, e.g. pb compare {a} {b} --in runs/quick."
        )
    return _limited(merged([Path(a)]), only), _limited(merged([Path(b)]), only)


def _within(a: str, b: str, inside: Sequence[Path], only: dict[str, str | None]) -> "Sides":
    """Each side a value of one column of the same lanes."""
    from parallelbench.analysis.merge import merged

    frame = _limited(merged(inside), only)
    column = next((name for name in NAMED_BY if {a, b} & set(frame[name])), None)
    if column is None:
        raise unknown("setting, method or model", a, {str(value) for name in NAMED_BY for value in frame[name]})
    for side in (a, b):
        if side not in set(frame[column]):
            raise unknown(column, side, set(map(str, frame[column])))
    return frame[frame[column] == a], frame[frame[column] == b]


def _limited(frame: "pd.DataFrame", only: dict[str, str | None]) -> "pd.DataFrame":
    """The lanes that the options leave."""
    for column, value in only.items():
        if value is None:
            continue
        values = frame[column].astype(str)
        fits = (values == value) | (values.str.rpartition("/")[2] == value if column == "task" else False)
        if not fits.any():
            raise unknown(column, value, set(values))
        frame = frame[fits]
    return frame
