"""`pb`: the one door of the package."""

from typing import Annotated

import typer

from parallelbench import __version__
from parallelbench.cli import (
    catalogue,
    compare,
    conformance,
    dependencies,
    export,
    figures,
    frequencies,
    leaderboard,
    models,
    report,
    reproduce,
    run,
    score,
    theory,
    trace,
    train,
)
from parallelbench.cli.output import faults_told

app = typer.Typer(
    name="pb",
    help="Measure what parallel decoding costs: the speed-quality trade-off of diffusion language models.\n\n"
    "Start with: pb run --preset quick",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"parallelbench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(run.run)
app.command("list")(catalogue.list_)
app.command()(catalogue.show)
app.command()(leaderboard.leaderboard)
app.command()(compare.compare)
app.command()(report.report)
app.command()(figures.figures)
app.command()(trace.trace)
app.command()(export.export)
app.command()(score.score)
app.command()(train.train)
app.command()(reproduce.reproduce)
app.command()(frequencies.frequencies)
app.command("inspect-dependencies")(dependencies.inspect_dependencies)
app.command("export-chat")(catalogue.export_chat)
conformance.app.command("model")(models.conform)
app.add_typer(conformance.app, name="conformance")
app.add_typer(theory.app, name="theory")
app.add_typer(models.app, name="models")


def run_app() -> None:
    """Entry point of the command `pb`."""
    with faults_told():
        app()


if __name__ == "__main__":
    run_app()
