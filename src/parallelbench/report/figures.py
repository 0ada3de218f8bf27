"""Figures as SVG and PNG (extra "figures": altair and vl-convert-python)."""

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from parallelbench.errors import UsageError
from parallelbench.report import palette

TICKS = 12
"""Values of x up to which each has a mark of its own on the axis."""
NEAR = 0.13
"""Share of an axis within which the dots of a map count as one place."""
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


def map_figure(rows: Sequence[Mapping[str, Any]], title: str, axes: tuple[str, str]) -> Any:
    """A dot with its name for each mark, a panel beside the other; dots in one place share a label.

    Args:
        rows: With panel, series, x and y.
        title: Above the figure.
        axes: Titles of x and y.
    """
    import altair as alt

    known = [row for row in rows if row["x"] is not None and row["y"] is not None]
    ends = {key: (min(row[key] for row in known), max(row[key] for row in known)) for key in "xy"} if known else {}
    near = {key: NEAR * (high - low) for key, (low, high) in ends.items()}
    x, y = (alt.X("x:Q", title=axes[0]), alt.Y("y:Q", title=axes[1], scale=alt.Scale(padding=55)))

    def panel(name: str) -> Any:
        mine = [dict(row) for row in known if row["panel"] == name]
        dots = alt.Chart(alt.InlineData(values=mine)).mark_point(filled=True, size=44).encode(x, y)
        groups: list[list[dict[str, Any]]] = []
        for row in mine:
            close = (g for g in groups if all(abs(g[0][key] - row[key]) <= near[key] for key in "xy"))
            found = next(close, None)
            groups.append([row]) if found is None else found.append(row)
        layers = [dots]
        sides: dict[bool, Literal["left", "right"]] = {True: "right", False: "left"}
        for side, align in sides.items():
            labels = [
                {"x": g[0]["x"], "y": g[0]["y"], "label": _stacked([row["series"] for row in g])}
                for g in groups
                if (g[0]["x"] > sum(ends["x"]) / 2) == side
            ]
            text = alt.Chart(alt.InlineData(values=labels)).mark_text(
                align=align, baseline="top", dx=-8 if side else 8, dy=-5, lineBreak="\n"
            )
            layers.append(text.encode(x, y, alt.Text("label:N")))
        return alt.layer(*layers).properties(width=420, height=300, title=name)

    return alt.concat(*map(panel, dict.fromkeys(row["panel"] for row in known)), columns=2).properties(title=title)


def _stacked(names: Sequence[str]) -> str:
    """Names that share a place on the map, two a line."""
    told = [name.replace("_", " ") for name in names]
    return "\n".join(", ".join(told[place : place + 2]) for place in range(0, len(told), 2))


def experiment_figure(rows: Sequence[Mapping[str, Any]], title: str, axes: tuple[str, str], log_x: bool) -> Any:
    """Marks of an experiment, a panel beside the other, with intervals where there are some.

    Args:
        rows: With panel, series, x, y, and perhaps low and high.
        title: Above the figure.
        axes: Titles of x and y.
        log_x: Whether x is drawn in doublings.
    """
    import altair as alt

    known = [row for row in rows if row["x"] is not None and row["y"] is not None]
    named = bool(known) and isinstance(known[0]["x"], str)
    x, y = _axis_x(known, axes[0], log_x, named), _axis_y(axes[1])
    legend = alt.Legend(columns=2, orient="bottom", labelLimit=320)
    order = list(dict.fromkeys(row["series"] for row in known))
    hues = alt.Scale(domain=order, range=palette.colors(order))
    color = alt.Color("series:N", title=None, legend=legend, sort=order, scale=hues)
    marks = alt.Scale(domain=order, range=[palette.MARKS[n % len(palette.MARKS)] for n in range(len(order))])
    shape = alt.Shape("series:N", legend=None, sort=order, scale=marks)
    beside = {"xOffset": alt.XOffset("series:N", sort=order)} if named else {}
    panels = list(dict.fromkeys(str(row["panel"]) for row in known))

    def panel(name: str) -> Any:
        base = alt.Chart(alt.InlineData(values=[dict(row) for row in known if row["panel"] == name]))
        layers = [base.mark_point(filled=True, size=44, opacity=0.8).encode(x, y, color, shape, **beside)]
        if not named:
            layers.insert(0, base.mark_line(opacity=0.7).encode(x, y, color, alt.Order("x:Q")))
        if any(row.get("low") is not None for row in known):
            ends = y.copy()
            ends.shorthand = "low:Q"
            layers.insert(0, base.mark_rule(opacity=0.5).encode(x, ends, alt.Y2("high:Q"), color, **beside))
        width = max(420, 56 * len({row["x"] for row in known})) if named else 420 if len(panels) == 1 else 230
        return alt.layer(*layers).properties(width=width, height=180, title=name.replace("_", " "))

    return alt.concat(*map(panel, panels), columns=3).properties(title=title)


def _axis_x(rows: Sequence[Mapping[str, Any]], title: str, log: bool, named: bool) -> Any:
    """Names in the order of the rows, numbers marked where they occur, or a plain scale."""
    import altair as alt

    if named:
        return alt.X("x:N", title=title or None, sort=None, axis=alt.Axis(labelAngle=-30))
    values = sorted({row["x"] for row in rows})
    if log:
        ends = [math.floor(math.log2(values[0])), math.ceil(math.log2(values[-1]))]
        marks = [2.0**power for power in range(ends[0], ends[1] + 1)]
        scale = alt.Scale(type="log", base=2, domain=[marks[0], marks[-1]])
        return alt.X("x:Q", title=title, scale=scale, axis=alt.Axis(values=marks, format="~g"))
    whole = all(float(value).is_integer() for value in values)
    axis = alt.Axis(values=values, format="d") if whole and len(values) <= TICKS else alt.Axis()
    return alt.X("x:Q", title=title, scale=alt.Scale(zero=False, padding=12), axis=axis)


def _axis_y(title: str) -> Any:
    """Percentages from 0 to 100, whatever was measured."""
    import altair as alt

    scale = alt.Scale(domain=[0, 100]) if title.endswith("percent") else alt.Scale(zero=False, padding=12)
    return alt.Y("y:Q", title=title, scale=scale)
