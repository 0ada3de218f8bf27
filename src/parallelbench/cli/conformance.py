"""`pb conformance`: compare the package with golden files."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from parallelbench.cli.output import Json, faults_told, print_json, stdout
from parallelbench.errors import lookup
from parallelbench.report.plain import plain

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
        from parallelbench.tasks.base import PROFILES  # takes a while, which the other commands do without
        from parallelbench.tasks.conformance import conform_scorers

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


@app.command()
def decoders(
    golden: Annotated[Path, typer.Argument(help="Decoder traces, .json or .json.gz.")],
    tables: Annotated[Path, typer.Option(metavar="NPZ", help="Weights of the stub model they were made with.")],
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One golden method; NAME=FILE.py:function checks your port against it."),
    ] = None,
    json: Json = False,
) -> None:
    """Check unmasking methods against traces of published code: tokens, forwards, every state; exits 1 if one differs.

    Example: pb conformance decoders decoders.json.gz --tables tables.npz --method klass_upstream=mine.py:klass
    """
    with faults_told():
        from parallelbench.runs.conformance import Golden, conform_decoders, ported  # brings torch along

        only, _, port = (method or "").partition("=")
        result = conform_decoders(Golden.read(golden, tables), only or None, ported(port) if port else None)
        if json:
            print_json(result)
        else:
            _show_decoders(result)
        if result["failed"]:
            raise typer.Exit(1)


def _show_decoders(result: dict[str, Any]) -> None:
    table = Table("method", "passed", "failed", "skipped", box=None, pad_edge=False)
    total = {key: result[key] for key in ("passed", "failed", "skipped")}
    for name, counts in {**result["by_method"], "all": total}.items():
        table.add_row(Text(plain(name)), *(str(counts[key]) for key in ("passed", "failed", "skipped")))
    console = stdout()
    console.print(table)
    for failure in result["failures"]:
        console.print(Text(plain(str(failure))))
