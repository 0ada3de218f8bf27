"""`pb models` and `pb conformance model`: checkpoints before a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from parallelbench.cli.output import Json, faults_told, note, print_json, stdout
from parallelbench.report.plain import plain

if TYPE_CHECKING:  # commands import at use what brings torch along, so that `pb --help` is quick
    from parallelbench.models.base import Denoiser

app = typer.Typer(help="Look at models before a run.", no_args_is_help=True)
BYTES = ("bytes_stored", "bytes_needed", "bytes_free")


@app.callback()
def _group() -> None:
    pass


@app.command()
def families(json: Json = False) -> None:
    """List the families of checkpoints that load.

    Example: pb models families
    """
    with faults_told():
        from parallelbench.models.families.table import FAMILIES

        rows = [
            {"name": family.name, "checkpoints": family.summary, "computed by": family.architecture or "own module"}
            for family in FAMILIES.values()
        ]
        if json:
            print_json(rows)
            return
        table = Table(box=None, pad_edge=False)
        for column in rows[0]:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row.values())
        stdout().print(table)


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="Directory or hub id, with parameters as in `pb run --model`.")],
    json: Json = False,
) -> None:
    """Tell what a checkpoint is, what it needs and whether it decodes; exits 1 if anything is missing.

    Example: pb models check checkpoints/LLaDA-8B-Instruct:dtype=bfloat16
    """
    with faults_told():
        from parallelbench.models.families.check import check_model

        note(f"checking {model} ...")
        report = check_model(model, _decode)
        if json:
            print_json(report)
        else:
            _print(report)
        if not report["ok"]:
            raise typer.Exit(1)


def _decode(denoiser: "Denoiser", prompt: list[int], length: int) -> list[int]:
    from parallelbench.decoding import Lane, decode, parse_method

    lane = Lane("check", tuple(prompt), length, parse_method("confidence:k=2"))
    (trajectory,) = decode(denoiser, [lane], 1)
    return list(trajectory.tokens)


def _print(report: dict[str, Any]) -> None:
    console = stdout()
    for key, value in report.items():
        if key in ("missing", "ok"):
            continue
        shown = f"{value / 1e9:.3f} GB" if key in BYTES else str(value)
        console.print(Text(f"{key.replace('_', ' '):>16}  {plain(shown)}"), soft_wrap=True)
    for sentence in report["missing"]:
        console.print(Text(f"missing: {plain(sentence)}", style="bold red"), soft_wrap=True)
    console.print("ready to run" if report["ok"] else "not ready")


def conform(
    directory: Annotated[Path, typer.Argument(help="Checkpoint with golden.npz beside it.")],
    family: Annotated[str | None, typer.Option(help="Force a family instead of recognising it.")] = None,
    json: Json = False,
) -> None:
    """Compare a checkpoint's outputs with recorded reference outputs; exits 1 if any differs.

    Example: pb conformance model checkpoints/tiny-llada
    """
    with faults_told():
        from parallelbench.models.families.conformance import conform_model

        result = conform_model(directory, family)
        if json:
            print_json(result)
        else:
            console = stdout()
            console.print(f"family {result['family']}")
            for name, value in result["max_abs_diff"].items():
                verdict = "ok" if value <= result["tolerance"][name] else "DIFFERS"
                console.print(f"{name:>20}  {value:.2e}  (at most {result['tolerance'][name]:g})  {verdict}")
        if not result["ok"]:
            raise typer.Exit(1)
