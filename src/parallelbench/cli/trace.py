"""`pb trace`: how one sample was decoded, forward by forward."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, stdout, write_text
from parallelbench.errors import UsageError, lookup

if TYPE_CHECKING:
    import pandas as pd

MOST = 4
"""Traces side by side; more do not fit a terminal."""


def trace(
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Run directory with stored lanes.")] = None,
    lane: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Lane of DIR, or how its id begins; repeatable.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="Task, e.g. shuffle.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="See `pb list models`. Default: ideal.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Setting such as confidence:k=4; repeat for side by side.")
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Which sample, from 0. Default: 0.", **WHOLE)] = None,
    seed: Annotated[int, typer.Option(help="Seed of sample and decoding.", **WHOLE)] = 0,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Take tasks from published files instead.")] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help="native or pb2025.")] = "native",
    stored: Annotated[bool, typer.Option("--stored", help="Rebuild lanes from the store; load no model.")] = False,
    color: Annotated[str, typer.Option(metavar="NAME", help="Colour tokens by step or by confidence.")] = "step",
    marginals: Annotated[
        bool, typer.Option("--marginals", help="Tell the likeliest tokens of model and exact marginals beside.")
    ] = False,
    play: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Play in place, so long a step, instead of a list.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a web page that replays the traces instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the canvas of a sample filling step by step; docs/trace.md tells the fields of --json.

    Example: pb trace --task shuffle --method confidence:k=4 --method threshold:tau=0.9 --sample 3
    """
    with faults_told():
        lookup(dict.fromkeys(("step", "confidence")), color, "color")
        if play is not None and not 0 <= play <= 60:
            raise UsageError(f"--play {play:g}: expected seconds a step, from 0 to 60.")
        if directory is not None:
            chosen = {"task": task, "model": model, "sample_index": sample}
            traces = _stored(directory, lane or [], method or [], chosen, stored)
        elif lane:
            raise UsageError("--lane needs the run directory it is in, e.g. pb trace runs/quick --lane 3f9c.")
        else:
            traces = _fresh(task, model or "ideal", method, sample or 0, seed, data, profile)
        if html is not None:
            _write_page(traces, html)
        if json:
            print_json({"traces": traces})
        if html is not None or json:
            return
        _show(traces, color, marginals, play)


def _write_page(traces: list[dict[str, Any]], file: Path) -> None:
    from parallelbench.report.traces import trace_page

    write_text(file, trace_page(traces))
    note(f"{file}: open it in a browser.")


def _fresh(
    task: str | None, model: str, method: list[str] | None, sample: int, seed: int, data: Path | None, profile: str
) -> list[dict[str, Any]]:
    """Traces of a sample decoded now."""
    from parallelbench.runs.plan import RunSettings
    from parallelbench.runs.trace import trace_sample

    if task is None:
        raise UsageError("Give a run directory, or --task NAME, e.g. pb trace --task shuffle --method confidence:k=4.")
    if sample < 0:
        raise UsageError(f"--sample {sample}: samples are counted from 0.")
    methods = tuple(method or ["confidence:k=4"])
    _refuse_many(len(methods))
    asked = RunSettings((model,), (task,), methods, seed=seed, data=data, profile=profile)  # type: ignore[arg-type]
    return trace_sample(asked, sample)


def _stored(
    directory: Path, lanes: list[str], methods: list[str], chosen: dict[str, Any], stored: bool
) -> list[dict[str, Any]]:
    """Traces of lanes of a run directory, named or chosen by their columns."""
    from parallelbench.runs.store import read_frame
    from parallelbench.runs.trace import trace_stored

    if not lanes:
        lanes = _find(read_frame(directory), directory, methods, chosen)
    _refuse_many(len(lanes))
    return [trace_stored(directory, name, not stored) for name in lanes]


def _find(frame: "pd.DataFrame", directory: Path, methods: list[str], chosen: dict[str, Any]) -> list[str]:
    """Ids of the lanes that the options choose."""
    for column, value in chosen.items():
        if value is not None:
            short = frame[column].astype(str).str.rpartition("/")[2] if column == "task" else frame[column]
            frame = frame[(frame[column] == value) | (short == value)]
    if methods:
        frame = frame[frame["setting"].isin(methods) | frame["method"].isin(methods)]
    if 0 < len(frame) <= MOST:
        order = {name: number for number, name in enumerate(methods)}
        return list(frame.assign(place=frame["setting"].map(order)).sort_values(["place", "lane_id"])["lane_id"])
    some = [f"--lane {row.lane_id} ({row.setting}, {row.sample})" for row in frame.head(3).itertuples()]
    told = f": {'; '.join(some)}" if some else ""
    raise UsageError(
        f"{len(frame)} lanes of {directory} fit; choose at most {MOST} with --lane, or with --task, --model, --method "
        f"and --sample{told}."
    )


def _refuse_many(count: int) -> None:
    if count > MOST:
        raise UsageError(f"{count} traces are too many side by side; give at most {MOST}.")


def _show(traces: list[dict[str, Any]], color: str, marginals: bool, play: float | None) -> None:
    """Draw the traces, all steps or one after the other in the same place."""
    from parallelbench.report.trace import Look, trace_view

    console = stdout()
    look = Look(color, marks=console.color_system is None, everything=marginals)
    steps = max(len(one["steps"]) for one in traces)
    if play is None or not steps:
        console.print(trace_view(traces, look))
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for number in range(steps):
            live.update(trace_view(traces, look, number), refresh=True)
            if console.is_terminal:  # a pipe gets the last picture, and need not wait for it
                time.sleep(play)
