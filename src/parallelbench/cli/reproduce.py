"""`pb reproduce`: an experiment of the paper, with its figure and table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, progress_bar, stdout
from parallelbench.errors import RunError, lookup

COLUMNS = ("model", "panel", "series", "x", "y", "low", "high", "n")
THEORY = "fig2"


def reproduce(
    name: Annotated[str, typer.Argument(help="fig2 ... fig8, fig13, fig20, table5, table6 or table7.")],
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Repeatable. Default: the built-in models.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Samples a task. Default: the experiment's.", **WHOLE)] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples and decoding.", **WHOLE)] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Runs, tables and figures.")] = Path("runs/reproduce"),
    json: Json = False,
) -> None:
    """Run an experiment of the paper on given models, and draw its figure.

    Example: pb reproduce fig8 --model tiny --samples 20
    """
    with faults_told():
        from parallelbench.report.figures import require_figures

        require_figures()
        if name == THEORY:
            told = _theory(model, samples, seed, out / name)
        else:
            told = _decoded(name, model, samples, seed, out / name)
        if json:
            print_json(told)
            return
        stdout().print(Text(told["text"]), soft_wrap=True)
        note(f"{name}: {told['title']}. The paper: {told['finding']}.")
        note(f"saved: {', '.join(told['files'])}")


def _theory(model: list[str] | None, samples: int | None, seed: int, folder: Path) -> dict[str, Any]:
    from parallelbench.cli.theory_validate import save, summary, validation

    (chosen,) = model if model and len(model) == 1 else ("ideal",)
    with progress_bar("decoding") as show:
        points = validation(chosen, samples or 100, 12, seed, lambda done, of, what: show(done, of, what))
    title, finding = "Closed forms of list operations", "measured accuracies lie on the formulas"
    return {
        "name": THEORY, "title": title, "finding": finding, "text": summary(points, chosen)["text"], "rows": points,
        "files": [str(file) for file in save(points, folder, chosen, THEORY)],
    }  # fmt: skip


def _decoded(name: str, model: list[str] | None, samples: int | None, seed: int, folder: Path) -> dict[str, Any]:
    from parallelbench.cli.reproduce_plans import EXPERIMENTS
    from parallelbench.models.registry import MODELS
    from parallelbench.report.figures import experiment_figure, map_figure, save_figure
    from parallelbench.report.tables import experiment_table
    from parallelbench.runs.execute import run
    from parallelbench.runs.plan import RunSettings
    from parallelbench.runs.store import read_frame

    lookup(dict.fromkeys((THEORY, *EXPERIMENTS)), name, "experiment")
    plan = EXPERIMENTS[name]
    held = [one for one in plan.models if one.partition(":")[0] in MODELS]
    settings = RunSettings(
        models=tuple(model or held), tasks=plan.tasks, methods=plan.methods, seed=seed, samples=samples or plan.samples
    )
    with progress_bar("decoding") as show:
        result = run(settings, folder, listen=lambda p: show(p.done, p.total, p.model))
    frame = read_frame(folder)
    rows = plan.rows(frame[frame["lane_id"].isin(result.lanes)])
    files = [_table(rows, folder / f"{name}.csv")]
    if plan.is_map:
        figure = map_figure(rows, plan.title, plan.axes)
    else:
        figure = experiment_figure(rows, plan.title, plan.axes, plan.log_x)
    files += save_figure(figure, folder / name)
    note(f"signature: {result.signature}")
    if result.failed:
        raise RunError(f"{result.failed} lanes ended in an error; the first: {result.error}")
    return {
        "name": name, "title": plan.title, "finding": plan.finding, "rows": rows, "files": [str(f) for f in files],
        "signature": result.signature, "text": experiment_table(rows, plan.axes),
    }  # fmt: skip


def _table(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    try:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise RunError(f"Cannot write {path}: {error.strerror}.") from error
    return path
