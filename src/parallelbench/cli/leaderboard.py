"""`pb leaderboard`: PBx of run directories or of published curves."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, stdout
from parallelbench.errors import UsageError, lookup, unknown

if TYPE_CHECKING:
    import pandas as pd


def leaderboard(
    directories: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Run directories; several are merged.")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of published curves (CSV files) instead.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only lanes of this profile: native or pb2025.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Only lanes of this seed.", **WHOLE)] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Only tasks that every model has, so that models can be compared.")
    ] = False,
    scores: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Also show this method's score on every task.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples for the 95 % intervals; 0 leaves them out.", **WHOLE)
    ] = 1000,
    ceiling: Annotated[
        bool, typer.Option("--ceiling", help="Also show the best score any decoder could reach in as many steps.")
    ] = False,
    against: Annotated[
        str,
        typer.Option(metavar="NAME", help="What a step costs: nfe, one a forward, or rows, one a canvas in it."),
    ] = "nfe",
    json: Json = False,
) -> None:
    """Rank methods by PBx: the most tokens a step at which the mean score is still at least x percent.

    Example: pb leaderboard runs/quick --scores confidence
    """
    with faults_told():
        from parallelbench.analysis.pbx import leaderboard as rank
        from parallelbench.analysis.published import published_leaderboard
        from parallelbench.report.tables import leaderboard_table
        from parallelbench.runs.signature import frame_signature

        if bool(directories) == (curves is not None):
            raise UsageError("Give either run directories or --curves DIR, e.g. pb leaderboard runs/quick.")
        if curves is not None and (common or against != "nfe"):
            raise UsageError(
                "Published curves are means against forwards; --common and --against need run directories."
            )
        frame = _lanes(directories, profile, seed, common, ceiling) if directories else None
        entries = published_leaderboard(curves) if curves is not None else rank(frame, bootstrap, against=against)  # type: ignore[arg-type]
        shown = [] if scores is None else _of_method(entries, scores)
        if ceiling:
            _add_ceilings(entries, frame)
        if json:
            print_json(entries)
            return
        stdout().print(leaderboard_table(entries))
        if ceiling:
            _print_ceilings(entries)
        _print_scores(shown)
        if frame is not None:
            note(f"signature: {frame_signature(frame)}")


def _lanes(
    directories: list[Path], profile: str | None, seed: int | None, common: bool, ceiling: bool
) -> "pd.DataFrame":
    from parallelbench.analysis.curves import READ
    from parallelbench.analysis.merge import merged

    frame = merged(directories, only=(*READ, "sample_index") if ceiling else READ)
    if profile is not None:
        from parallelbench.tasks.base import PROFILES

        lookup(dict.fromkeys(PROFILES), profile, "profile")
        frame = frame[frame["profile"] == profile]
    if seed is not None:
        frame = frame[frame["seed"] == seed]
    if frame.empty:
        which = "" if profile is None else f" of profile {profile}"
        which += "" if seed is None else f" of seed {seed}"
        raise UsageError(f"No lanes{which} yet in {', '.join(map(str, directories))}; `pb run` makes them.")
    return _of_all_models(frame) if common else frame


def _of_all_models(frame: "pd.DataFrame") -> "pd.DataFrame":
    from parallelbench.analysis.groups import common_tasks

    tasks = common_tasks(frame)
    if not tasks:
        raise UsageError(f"No task has lanes of every model ({', '.join(sorted(set(map(str, frame['model']))))}).")
    return frame[frame["task"].isin(tasks)]


def _add_ceilings(entries: list[dict[str, object]], frame: "pd.DataFrame | None") -> None:
    from parallelbench.cli.theory_ceilings import attach_ceilings

    if frame is None:
        raise UsageError("Published curves hold no samples; --ceiling needs run directories.")
    for missing in attach_ceilings(entries, frame):
        note(missing)


def _print_ceilings(entries: list[dict[str, object]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from parallelbench.cli.theory_ceilings import ceiling_rows
    from parallelbench.report.plain import plain

    table = Table(box=None, pad_edge=False)
    for name in ("model", "setting", "tasks", "tokens/step", "score", "best possible"):
        table.add_column(name, justify="left" if name in ("model", "setting") else "right")
    for row in ceiling_rows(entries):
        numbers = (f"{row[key]:.2f}" for key in ("tps", "score", "ceiling"))
        table.add_row(Text(plain(row["model"])), Text(plain(row["setting"])), str(row["tasks"]), *numbers)
    stdout().print(table)


def _of_method(entries: list[dict[str, object]], method: str) -> list[dict[str, object]]:
    shown = [entry for entry in entries if entry["method"] == method]
    if not shown:
        raise unknown("method", method, {str(entry["method"]) for entry in entries})
    if "points" not in shown[0]:
        raise UsageError("Published curves hold no scores by task; --scores needs run directories.")
    return shown


def _print_scores(entries: list[dict[str, object]]) -> None:
    if entries:
        from parallelbench.report.tables import score_table

        for entry in entries:
            title, against = f"{entry['model']}, {entry['method']}", str(entry["against"])
            stdout().print(score_table(entry["points"], title, against=against))  # type: ignore[arg-type]
