"""The figures of a paper: each a chart and the table it draws, in the colours of `palette`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from parallelbench.analysis.curves import natural_key
from parallelbench.analysis.failures import failure_kinds
from parallelbench.analysis.groups import EVERYTHING, group_curves, task_groups
from parallelbench.analysis.oracle import MEAN, oracle_gap
from parallelbench.analysis.orders import order_statistics
from parallelbench.analysis.published import MEAN_TASK
from parallelbench.analysis.taskmap import task_map
from parallelbench.report.palette import BLACK, FONT, style
from parallelbench.settings import format_setting, split_setting

SPEED = {"nfe": "tokens per step", "rows": "tokens per row (canvas in a forward)"}
SCORE = "mean score (%)"
Chart = Any
"""An altair chart; altair is an optional part."""


@dataclass(frozen=True)
class Look:
    """Sizes of a figure in points.

    Attributes:
        width: Of one panel.
        height: Of one panel.
        font: Size of letters.
        mark: Area of a point.
        line: Width of a line.
        against: What a token is paid with, "nfe" or "rows".
    """

    width: int
    height: int
    font: int
    mark: int
    line: float
    against: str = "nfe"


LOOKS: Mapping[str, Look] = {"paper": Look(190, 140, 8, 22, 1.1), "screen": Look(360, 260, 12, 50, 2.0)}
"""`paper`: a panel fits a column of two; `screen`: for slides and pages."""


def curves_figure(
    frame: pd.DataFrame, look: Look, bootstrap: int = 1000, published: pd.DataFrame | None = None
) -> tuple[Chart | None, pd.DataFrame]:
    """Mean score against speed of every method, a panel a model, with 95 % intervals.

    Args:
        frame: Lanes that may be averaged together.
        look: Sizes.
        bootstrap: Resamples of the intervals.
        published: Points of published curves (see `overlay.published_table`): their means get panels too.
    """
    table = group_curves(frame, task_groups(frame), bootstrap, against=look.against)
    if published is not None and len(published):
        means = published[published["task"] == MEAN_TASK].drop(columns="task")
        means = means.assign(model=means["model"] + " (published)", group=EVERYTHING)
        table = pd.concat([table, means.rename(columns={"file": "setting"})], ignore_index=True)
    rows = table[table["group"] == EVERYTHING]
    return _panels(rows, lambda part: _curve(part, look), look), table


def oracle_figure(frame: pd.DataFrame, look: Look) -> tuple[Chart | None, pd.DataFrame]:
    """Each adaptive method's curve and, as a star, its oracle: the cheapest setting that does best, by sample."""
    import altair as alt

    table = oracle_gap(frame, look.against)
    stars = table[(table["task"] == MEAN) & (table["kind"] != "static")]
    curves, _ = _mean_rows(frame, look)
    curves = curves[curves["method"].isin(set(stars["method"]))]
    rows = pd.concat([curves, stars.assign(score=stars["oracle_score"], tps=stars["oracle_tps"], star=True)])

    def panel(part: pd.DataFrame) -> Chart:
        measured, best = part[part["star"].isna()], part[part["star"].notna()]
        x, y = _axes(look)
        shape = "M0,-1L0.3,-0.3L1,-0.3L0.45,0.15L0.65,0.9L0,0.45L-0.65,0.9L-0.45,0.15L-1,-0.3L-0.3,-0.3Z"
        star = alt.Chart(_data(best)).mark_point(
            shape=shape, size=5 * look.mark, filled=True, opacity=1, stroke="black", strokeWidth=0.5
        )
        return _curve(measured, look) + star.encode(x, y, _color(part["method"]))

    return _panels(rows, panel, look, "star: oracle"), table


def map_figure(frame: pd.DataFrame, look: Look) -> tuple[Chart | None, pd.DataFrame]:
    """The task map: parallelizability against order preference, one point a task."""
    import altair as alt

    table = task_map(frame)
    rows = table.dropna(subset=["parallelizability", "order_preference"])
    if rows.empty:
        return None, table
    rows = rows.assign(name=[name.rpartition("/")[2] for name in rows["task"]], category=_category(rows["task"]))
    base = alt.Chart(_data(rows)).encode(
        alt.X("parallelizability:Q", title="parallelizability", scale=alt.Scale(zero=False)),
        alt.Y("order_preference:Q", title="order preference (points a token of block)"),
    )
    dots = base.mark_point(filled=True, size=2 * look.mark, color=BLACK, opacity=1).encode(
        alt.Shape("category:N", title=None)
    )
    names = base.mark_text(align="left", dx=5, fontSize=look.font - 1).encode(alt.Text("name:N"))
    zero = alt.Chart(_data([{"y": 0}])).mark_rule(strokeDash=[2, 2], opacity=0.5).encode(alt.Y("y:Q"))
    return (zero + dots + names).properties(width=1.6 * look.width, height=1.4 * look.height), table


def orders_figure(frame: pd.DataFrame, look: Look) -> tuple[Chart | None, pd.DataFrame]:
    """Kendall's tau of decoding order against reading order, by speed; mean over tasks, text without filler."""
    import altair as alt

    table = order_statistics(frame)
    means = table.groupby(["model", "method", "setting"], sort=True)[["kendall", "kendall_text"]].mean().reset_index()
    _, speeds = _mean_rows(frame, look)
    rows = means.merge(speeds, on=["model", "method", "setting"]).dropna(subset=["kendall_text"])

    def panel(part: pd.DataFrame) -> Chart:
        x, _ = _axes(look)
        y = alt.Y("kendall_text:Q", title="Kendall's tau, left to right", scale=alt.Scale(domain=[-1, 1]))
        return _lines(part, look, x, y)

    return _panels(rows, panel, look), table


def failures_figure(frame: pd.DataFrame, look: Look) -> tuple[Chart | None, pd.DataFrame]:
    """Share of lanes that show each kind of failure, by setting; a panel a model and method."""
    import altair as alt

    table = failure_kinds(frame)
    if table.empty:
        return None, table
    sizes = frame.drop_duplicates("lane_id").groupby(["model", "method", "setting"]).size().rename("all")
    rows = table.groupby(["model", "method", "setting", "failure"])["lanes"].sum().reset_index()
    rows = rows.merge(sizes.reset_index(), on=["model", "method", "setting"])
    rows = rows.assign(share=rows["lanes"] / rows["all"], panel=rows["model"] + ", " + rows["method"])
    rows = rows.assign(setting=[str(s).partition(":")[2] or "default" for s in rows["setting"]])
    order = sorted(set(rows["setting"]), key=natural_key)
    heat = alt.Chart(_data(rows)).mark_rect().encode(
        alt.X("setting:N", title=None, sort=order),
        alt.Y("failure:N", title=None),
        alt.Color("share:Q", title="share of lanes", scale=alt.Scale(scheme="blues", domainMin=0)),
    )  # fmt: skip
    panels = heat.facet(facet=alt.Facet("panel:N", title=None), columns=3).resolve_scale(x="independent")
    return panels, table


FIGURES: Mapping[str, Callable[[pd.DataFrame, Look], tuple[Chart | None, pd.DataFrame]]] = {
    "curves": curves_figure,
    "oracle": oracle_figure,
    "task_map": map_figure,
    "orders": orders_figure,
    "failures": failures_figure,
}
"""Every figure: its name, and what draws it from lanes read with parts, commit steps and revisions."""


def themed(chart: Chart, look: Look) -> Chart:
    """The chart with the letters and lines of a look."""
    small = {"labelFontSize": look.font - 1, "titleFontSize": look.font, "titleFontWeight": "normal"}
    axis = {**small, "gridOpacity": 0.4, "domainColor": BLACK, "tickSize": 3}
    return (
        chart.configure(font=FONT, background="white")
        .configure_axis(**axis)
        .configure_legend(**small, symbolSize=2 * look.mark, symbolStrokeWidth=0, symbolOpacity=1)
        .configure_header(labelFontSize=look.font, titleFontSize=look.font)
        .configure_title(fontSize=look.font, fontWeight="normal")
        .configure_view(strokeOpacity=0.2)
    )


def _mean_rows(frame: pd.DataFrame, look: Look) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mean curve over all tasks, and the speed of every setting over the tasks it has."""
    tasks = sorted(set(map(str, frame["task"])))
    curve = group_curves(frame, {EVERYTHING: tasks}, bootstrap=0, against=look.against)
    done = frame[frame["error"].isna() & (frame["nfe"] > 0)].drop_duplicates("lane_id")
    done = done.assign(tps=done["max_tokens"] / done[look.against])
    by_task = done.groupby(["model", "method", "setting", "task"])["tps"].mean()
    return curve, by_task.groupby(["model", "method", "setting"]).mean().reset_index()


def _panels(rows: pd.DataFrame, panel: Callable[[pd.DataFrame], Chart], look: Look, more: str = "") -> Chart | None:
    """One panel a model, side by side; how many tasks its means are over where the models differ in that."""
    import altair as alt

    if rows.empty:
        return None
    models = sorted(set(rows["model"]), key=natural_key)
    counts = rows.groupby("model")["tasks"].max().dropna() if "tasks" in rows else pd.Series()
    named = {model: "1 task" if count == 1 else f"{count:.0f} tasks" for model, count in counts.items()}
    over = named if counts.nunique() > 1 else {}
    titles = [", ".join(filter(None, [str(model), over.get(model), more])) for model in models]
    drawn = [
        panel(rows[rows["model"] == model]).properties(width=look.width, height=look.height, title=title)
        for model, title in zip(models, titles, strict=True)
    ]
    return alt.concat(*drawn, columns=3).resolve_scale(color="shared", shape="shared", strokeDash="shared")


def _curve(part: pd.DataFrame, look: Look) -> Chart:
    """Points, lines and intervals of the methods of one panel."""
    import altair as alt

    x, y = _axes(look)
    lines = _lines(part, look, x, y)
    known = part[part["low"].notna()]
    if known.empty:
        return lines
    bars = alt.Chart(_data(known)).mark_rule(strokeWidth=look.line / 2, opacity=0.6)
    return bars.encode(x, alt.Y("low:Q", title=SCORE), alt.Y2("high:Q"), _color(part["method"])) + lines


def _lines(part: pd.DataFrame, look: Look, x: Any, y: Any) -> Chart:
    """One line with marks a method; a method has one look in all figures."""
    import altair as alt

    names = sorted(set(map(str, part["method"])), key=natural_key)
    styles = [style(name) for name in names]
    dash = alt.StrokeDash("method:N", title=None, scale=alt.Scale(domain=names, range=[list(s.dash) for s in styles]))
    mark = alt.Shape("method:N", title=None, scale=alt.Scale(domain=names, range=[s.mark for s in styles]))
    base = alt.Chart(_data(part.assign(kin=[_kin(str(setting)) for setting in part["setting"]])))
    line = base.mark_line(strokeWidth=look.line).encode(
        x, y, _color(names), dash, alt.Order("tps:Q"), alt.Detail("kin:N")
    )  # fmt: skip
    return line + base.mark_point(filled=True, size=look.mark, opacity=1).encode(x, y, _color(names), mark)


def _kin(setting: str) -> str:
    """What settings on one line share: all but the leading parameter, which is the sweep's."""
    name, given = split_setting(setting)
    return format_setting(name, dict(list(given.items())[1:]))


def _color(methods: Iterable[str]) -> Any:
    import altair as alt

    names = sorted(set(map(str, methods)), key=natural_key)
    return alt.Color("method:N", title=None, scale=alt.Scale(domain=names, range=[style(n).color for n in names]))


def _axes(look: Look) -> tuple[Any, Any]:
    import altair as alt

    x = alt.X("tps:Q", title=SPEED[look.against], scale=alt.Scale(type="log", base=2), axis=alt.Axis(format="~g"))
    return x, alt.Y("score:Q", title=SCORE, scale=alt.Scale(domain=[0, 100]))


def _category(tasks: Iterable[str]) -> list[str]:
    return [str(name).partition("/")[0].replace("_", " ") for name in tasks]


def _data(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Any:
    """Rows inside the chart; NaN becomes null, and a model's or task's name stays text."""
    import altair as alt

    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    values = [
        {str(name): None if cell is None or cell != cell else cell for name, cell in row.items()}
        for row in table.to_dict("records")
    ]
    return alt.InlineData(values=values)
