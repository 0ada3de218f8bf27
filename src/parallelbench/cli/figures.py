"""`pb figures`: the figures of a paper from run directories, as SVG, PNG and CSV."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json
from parallelbench.errors import RunError, UsageError, lookup


def figures(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories; several are merged.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.")] = Path("figures"),
    style: Annotated[str, typer.Option(metavar="NAME", help="paper (small panels) or screen.")] = "paper",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this figure, e.g. curves; repeatable.")
    ] = None,
    curves: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Published curves (CSV files) to draw beside; repeatable."),
    ] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Only lanes of this profile.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only lanes of this seed.", **WHOLE)] = None,
    against: Annotated[
        str, typer.Option(metavar="NAME", help="What speed counts: nfe, forwards, or rows, canvases in them.")
    ] = "nfe",
    json: Json = False,
) -> None:
    """Draw curves, task map, oracle, decoding orders and failures; each also as the table it is drawn from.

    Example: pb figures runs/quick --style paper -o figures
    """
    with faults_told():
        from parallelbench.report.charts import FIGURES, LOOKS, SPEED, curves_figure
        from parallelbench.report.figures import require_figures
        from parallelbench.report.overlay import published_table

        lookup(SPEED, against, "cost")
        if curves and against != "nfe":
            raise UsageError("Published curves count forwards only; leave out --curves or --against.")
        look = replace(lookup(LOOKS, style, "style"), against=against)
        names = list(dict.fromkeys(only or FIGURES))
        for name in names:
            lookup(FIGURES, name, "figure")
        require_figures()
        drawn_by = {**FIGURES, "curves": partial(curves_figure, published=published_table(curves or []))}
        frame = _lanes(directories, profile, seed)
        try:
            out.mkdir(parents=True, exist_ok=True)
            written = {name: _write(drawn_by[name], frame, look, out / name) for name in names}
        except OSError as error:
            raise RunError(f"Cannot write to {out}: {error.strerror or error}.") from error
        if json:
            print_json({name: list(map(str, paths)) for name, paths in written.items()})
        for name, paths in written.items():
            drawn = len(paths) > 1
            note(f"{name}: {', '.join(map(str, paths))}" + ("" if drawn else f" (not drawn: {EMPTY[name]})"))


EMPTY = {
    "curves": "no setting has a score on every task",
    "oracle": "no adaptive method has two settings and a score on every task",
    "task_map": "no top-k method ran with k = 2 at several block lengths; --preset paper does",
    "orders": "no lane took more than one step",
    "failures": "no lane failed",
}
"""What a run lacks where a figure cannot be drawn."""


def _lanes(directories: list[Path], profile: str | None, seed: int | None) -> Any:
    from parallelbench.analysis.merge import chosen, merged, refuse_mixtures

    frame = chosen(merged(directories, ("parts", "commit_step", "revisions")), profile=profile, seed=seed)
    if frame.empty:
        raise UsageError(f"No lanes yet in {', '.join(map(str, directories))}; `pb run` makes them.")
    refuse_mixtures(frame)
    return frame


def _write(figure: Any, frame: Any, look: Any, stem: Path) -> list[Path]:
    """The files of one figure; the table alone where there is nothing to draw."""
    from parallelbench.report.charts import themed
    from parallelbench.report.figures import save_figure

    chart, table = figure(frame, look)
    path = stem.with_suffix(".csv")
    table.to_csv(path, index=False, lineterminator="\n")
    return [path] if chart is None else [*save_figure(themed(chart, look), stem), path]
