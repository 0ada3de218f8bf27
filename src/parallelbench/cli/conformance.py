"""`pb conformance`: compare the package with golden files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from parallelbench.cli.output import Json, faults_told, print_json, stdout
from parallelbench.errors import lookup
from parallelbench.report.plain import plain
from parallelbench.tasks.base import PROFILES
from parallelbench.tasks.conformance import conform_scorers

app = typer.Typer(help="Compare the package with golden files.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def scorers(
    golden: Annotated[Path, typer.Argument(help="Scorer rows, .jsonl or .jsonl.gz.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of published files, for rows without an answer.")
    ] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help="Which scorer to check: native or pb2025.")] = "pb2025",
    json: Json = False,
) -> None:
    """Check a scorer against recorded judgements; exits 1 if any row differs.

    Example: pb conformance scorers scorers.jsonl.gz --data reference_data --profile pb2025
    """
    with faults_told():
        lookup(dict.fromkeys(PROFILES), profile, "profile")
        result = conform_scorers(golden, data, profile)  # type: ignore[arg-type]
        if json:
            print_json(result)
        else:
            console = stdout()
            console.print(f"{result['passed']} passed, {result['failed']} failed, {result['skipped']} skipped")
            for failure in result["failures"]:
                console.print(Text(plain(str(failure))))
        if result["failed"]:
            raise typer.Exit(1)
