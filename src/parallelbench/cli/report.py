"""`pb report`: everything that run directories show, on one web page."""

from pathlib import Path
from typing import Annotated

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, write_text
from parallelbench.errors import UsageError, lookup

CEILINGS = ("lists", "all", "none")


def report(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories; several are merged.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")] = Path(
        "report.html"
    ),
    curves: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Published curves (CSV files) to draw beside; repeatable."),
    ] = None,
    ceilings: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Best possible scores: lists (Waiting Line and Sudoku, seconds), all (Latin squares too, about a "
            "second a sample) or none.",
        ),
    ] = "lists",
    traces: Annotated[int, typer.Option(help="Samples a task whose decoding the page replays.", **WHOLE)] = 1,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples for the 95 % intervals; 0 leaves them out.", **WHOLE)
    ] = 1000,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Speed and quality of parallel decoding",
    json: Json = False,
) -> None:
    """Write one self-contained web page: curves, leaderboard, oracle, task map, failures, orders, cost, traces, runs.

    It is one file, opens without a network and fetches nothing.

    Example: pb report runs/quick -o report.html
    """
    with faults_told():
        lookup(dict.fromkeys(CEILINGS), ceilings, "kind of ceilings")
        if traces < 0:
            raise UsageError(f"traces={traces}: expected how many samples a task, 0 for none.")
        from parallelbench.cli.report_page import Wanted, make_page

        text, notes = make_page(Wanted(directories, curves or [], ceilings, traces, bootstrap, title))
        write_text(output, text)
        if json:
            print_json({"file": str(output), "bytes": len(text.encode()), "notes": notes})
        else:
            for line in notes:
                note(line)
            note(f"{output}: {len(text.encode()) / 1e6:.1f} MB; open it in a browser.")
