"""Figures as SVG and PNG (extra "figures": altair and vl-convert-python)."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError

SCALE = 2.0
"""Pixels of a PNG to a point of the figure."""


def require_figures() -> None:
    """Refuse at the start where the plotting packages are missing.

    Raises:
        UsageError: with the command that installs them.
    """
    missing = [name for name in ("altair", "vl_convert") if find_spec(name) is None]
    if missing:
        raise UsageError(f"Figures need {' and '.join(missing)}: pip install 'parallelbench[figures]'.")


def save_figure(chart: Any, stem: Path) -> list[Path]:
    """Write a chart as `stem`.svg and `stem`.png and return the two paths."""
    files = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    for file in files:
        chart.save(str(file), scale_factor=SCALE)
    return files


def validation_figure(points: Sequence[Mapping[str, Any]], title: str) -> Any:
    """Accuracy against list length (top-k) and against the threshold: closed forms as lines, measured as points.

    Args:
        points: Rows with operation, sweep ("n" or "tau"), k, tau, temperature, n, expected, measured, low, high.
        title: Above the figure.
    """
    import altair as alt

    def panel(operation: str, sweep: str, temperature: int) -> Any:
        rows = [
            {**p, "method": f"k = {p['k']}" if sweep == "n" else "threshold"}
            for p in points
            if (p["operation"], p["sweep"], p["temperature"]) == (operation, sweep, temperature)
        ]
        axis = alt.X(f"{sweep}:Q", title="items n" if sweep == "n" else "threshold at n = 10")
        color = alt.Color("method:N", title=None, scale=alt.Scale(domain=["k = 1", "k = 2", "k = n", "threshold"]))
        base = alt.Chart(alt.InlineData(values=rows))
        value = alt.Y("expected:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]))
        line = base.mark_line(opacity=0.6).encode(axis, value, color)
        bars = base.mark_rule().encode(axis, alt.Y("low:Q", title="accuracy"), alt.Y2("high:Q"), color)
        dots = base.mark_point(filled=True, size=26).encode(axis, alt.Y("measured:Q"), color)
        name = f"{operation.replace('_', ' ')}, temperature {temperature}"
        return (line + bars + dots).properties(width=230, height=150, title=name)

    operations = list(dict.fromkeys(p["operation"] for p in points))
    grid = [
        alt.hconcat(*(panel(operation, sweep, t) for operation in operations for t in (0, 1))) for sweep in ("n", "tau")
    ]
    return alt.vconcat(*grid).properties(title=title)


def dependency_figure(found: Mapping[str, Any]) -> Any:
    """Two heat maps side by side: the model's attention between masks, and their exact mutual information.

    Args:
        found: model, task, sample, auc, and [m, m] "attention" and "information".
    """
    import altair as alt

    def panel(name: str, title: str) -> Any:
        cells = [
            {"i": i, "j": j, "value": value}
            for i, row in enumerate(found[name])
            for j, value in enumerate(row)
            if i != j
        ]
        return (
            alt.Chart(alt.InlineData(values=cells))
            .mark_rect()
            .encode(
                alt.X("j:O", title="mask", axis=alt.Axis(labelOverlap=True)),
                alt.Y("i:O", title="mask", axis=alt.Axis(labelOverlap=True)),
                alt.Color("value:Q", title=None, scale=alt.Scale(scheme="viridis")),
            )
            .properties(width=280, height=280, title=title)
        )

    auc = "not defined" if found["auc"] is None else f"{found['auc']:.2f}"
    charts = alt.hconcat(panel("attention", "attention"), panel("information", "mutual information, bits"))
    title = f"{found['model']}, {found['task']}, {found['sample']}: AUC {auc}"
    return charts.resolve_scale(color="independent").properties(title=title)


def experiment_figure(
    rows: Sequence[Mapping[str, Any]], title: str, axes: tuple[str, str], log_x: bool, lines: bool
) -> Any:
    """Marks of an experiment, a panel beside the other, with intervals where there are some.

    Args:
        rows: With panel, series, x, y, and perhaps low and high.
        title: Above the figure.
        axes: Titles of x and y.
        log_x: Whether x is drawn in doublings.
        lines: Whether the marks of a series are joined.
    """
    import altair as alt

    known = [row for row in rows if row["x"] is not None and row["y"] is not None]
    named = bool(known) and isinstance(known[0]["x"], str)
    scale = alt.Scale(type="log", base=2) if log_x else alt.Scale(zero=False)
    x = alt.X("x:N", title=axes[0] or None) if named else alt.X("x:Q", title=axes[0], scale=scale)
    legend = alt.Legend(columns=2, orient="bottom", labelLimit=320)
    color, shape = alt.Color("series:N", title=None, legend=legend), alt.Shape("series:N", legend=None)
    panels = list(dict.fromkeys(str(row["panel"]) for row in known))

    def panel(name: str) -> Any:
        base = alt.Chart(alt.InlineData(values=[dict(row) for row in known if row["panel"] == name]))
        y = alt.Y("y:Q", title=axes[1])
        marks = base.mark_point(filled=True, size=36).encode(x, y, color, shape)
        layers = [marks]
        if lines and not named:
            layers.insert(0, base.mark_line(opacity=0.7).encode(x, y, color, alt.Order("x:Q")))
        if any(row.get("low") is not None for row in known):
            layers.insert(
                0, base.mark_rule(opacity=0.5).encode(x, alt.Y("low:Q", title=axes[1]), alt.Y2("high:Q"), color)
            )
        return alt.layer(*layers).properties(width=420 if named or len(panels) == 1 else 230, height=180, title=name)

    return alt.concat(*map(panel, panels), columns=3).properties(title=title)
