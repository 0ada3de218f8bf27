"""Tables for the terminal: the leaderboard, and the scores of one method."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parallelbench.analysis.curves import natural_key
from parallelbench.analysis.pbx import PBS
from parallelbench.report.plain import plain

Entry = Mapping[str, Any]
COLUMNS = [f"PB{x}" for x in PBS]
SORTED_BY = ("PB80", "PB70", "PB75", "PB60", "PB90")
BESIDE = {"effective": "eff.", "harmonic": "harm."}
UNITS = {"nfe": "step", "rows": "row"}
NONE = "–"


def leaderboard_table(entries: Sequence[Entry]) -> Table:
    """PBx of every method, model by model, best first; the best of a column within a model is bold.

    Below each value stands its 95 % interval, beside them the effective and the harmonic tokens per step at
    PB80, and below the table what is missing from the numbers. Fits 80 columns.

    Args:
        entries: of `analysis.pbx.leaderboard` or `analysis.published.published_leaderboard`.
    """
    beside = [name for name in BESIDE if any(name in entry for entry in entries)]
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, caption_justify="left")
    table.add_column("Model and method", overflow="fold", min_width=16)
    for name in [*COLUMNS, *(f"PB80\n{BESIDE[name]}" for name in beside)]:
        table.add_column(name, justify="right", no_wrap=True)
    for model, group in groupby(sorted(entries, key=_rank), key=lambda entry: entry["model"]):
        rows = list(group)
        best = {c: max((row[c] for row in rows if row[c] is not None), default=0.0) for c in COLUMNS}
        table.add_row(_text(model))
        for row in rows:
            cells = [_pbx_cell(row, column, best[column]) for column in COLUMNS]
            cells += [_number(row.get(name, {}).get("PB80")) for name in beside]
            table.add_row(Padding(_text(row["method"]), (0, 0, 0, 2)), *cells)
        table.add_section()
    table.caption = Text("\n".join(_notes(entries)), "dim")
    return table


def _rank(entry: Entry) -> tuple[Any, ...]:
    return entry["model"], *(-_or_below_zero(entry[column]) for column in SORTED_BY), entry["method"]


def _or_below_zero(value: float | None) -> float:
    return -1.0 if value is None else value


def _pbx_cell(entry: Entry, column: str, best: float) -> Text:
    value = entry[column]
    leads = value is not None and value > 0 and value >= best - 1e-9
    cell = _number(value, "bold" if leads else "")
    bounds = entry.get("intervals", {}).get(column)
    if bounds:
        cell.append(f"\n{_bound(bounds[0])}–{_bound(bounds[1])}", "dim")
    return cell


def _bound(value: float) -> str:
    """Two digits: an end of an interval is no more certain than that."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _number(value: float | None, style: str = "") -> Text:
    """Two decimals; a plain 0 for exactly nothing, a dash for not measured."""
    if value is None:
        return Text(NONE, style)
    return Text("0" if value == 0 else f"{value:.2f}", style)


def _notes(entries: Sequence[Entry]) -> Iterable[str]:
    """What a reader has to know before comparing two numbers of the table."""
    intervals = "; below it the 95 % interval" if any(entry.get("intervals") for entry in entries) else ""
    cost = "row (canvas in a forward)" if any(e.get("against") == "rows" for e in entries) else "step"
    yield f"PBx: tokens per {cost} at a mean score of at least x{intervals}. 0 = never reaches x."
    if any("effective" in entry for entry in entries):
        yield "eff. = without the filler after the end of the text, harm. = harmonic mean over tasks."
    if any(entry[column] is None for entry in entries for column in COLUMNS):
        yield f"{NONE} = not measured: no setting has a score on every task."
    counts = {entry["model"]: entry["tasks"] for entry in entries if entry.get("tasks")}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{plain(model)} {count}" for model, count in counts.items())
        yield f"Means of the tasks each model has ({told}): pb leaderboard --common ranks on those that all have."
    profiles = sorted({entry["profile"] for entry in entries if "profile" in entry})
    if profiles:
        yield f"Profile: {', '.join(map(plain, profiles))}."
    for model, group in groupby(sorted(entries, key=_rank), key=lambda entry: entry["model"]):
        yield from (f"{plain(model)}: {note}" for note in _gaps(list(group)))


def _gaps(rows: Sequence[Entry]) -> Iterable[str]:
    """What one model's numbers leave out."""
    missing = rows[0].get("missing_tasks", [])
    if missing:
        total = len({point["task"] for row in rows for point in row["points"]})
        yield f"{len(missing)} of {total} tasks missing, no sample scored ({', '.join(map(plain, missing))})."
    lanes = sum(point["n"] for row in rows for point in row.get("points", []))
    unscored = sum(point["unscored"] for row in rows for point in row.get("points", []))
    if unscored:
        yield f"{unscored} of {lanes} lanes unscored."
    outside = [setting for row in rows for setting in row.get("outside_curve", [])]
    if outside:
        yield f"not in the mean over tasks, since some task lacks them: {', '.join(map(plain, outside))}."


def score_table(points: Sequence[Entry], title: str = "", width: int = 100, against: str = "nfe") -> Table:
    """Score per task (rows) and setting (columns) of one method, then the mean, the speed and what it cost.

    Labels leave out what all settings share. Where not all settings fit into `width`, evenly spread ones
    stand for the rest, the first and last among them, and the caption says how many are shown.

    Args:
        points: the `points` of one leaderboard entry.
        title: shown above the table.
        width: terminal columns.
        against: what the points' speed counts, "nfe" or "rows".
    """
    every = list(dict.fromkeys(str(point["setting"]) for point in points))
    tasks = sorted({str(point["task"]) for point in points}, key=natural_key)
    scored = [task for task in tasks if any(p["task"] == task and p["score"] is not None for p in points)]
    at = {(point["task"], point["setting"]): point for point in points}
    labels = dict(zip(every, _labels(every), strict=True))
    task_width = min(30, max((len(plain(task)) for task in [*tasks, "tokens per step"]), default=0))
    settings = _spread(every, max(1, (width - task_width - 3) // (2 + _cell_width(labels.values()))))
    table = Table(title=_text(title) if title else None, box=box.SIMPLE_HEAD, caption_justify="left", width=None)
    table.add_column("Task", width=task_width, overflow="ellipsis", no_wrap=True)
    for setting in settings:
        table.add_column(_text(labels[setting], "\n"), justify="right", overflow="fold", max_width=_LABEL)
    for task in tasks:
        table.add_row(_text(task), *(_score_cell(at.get((task, setting))) for setting in settings))
    table.add_section()
    lines = [(f"mean of {len(scored)} tasks", "score", 1), (f"tokens per {UNITS[against]}", "tps", 2)]
    if any(point.get("rows") != point.get("nfe") for point in points):
        lines += [("forwards a sample", "nfe", 1), ("rows a sample", "rows", 1)]
    for name, field, decimals in lines:
        table.add_row(name, *(_mean_cell(at, scored, setting, field, decimals) for setting in settings))
    table.caption = Text(_score_notes(points, len(settings), len(every)), "dim")
    return table


_LABEL = 12


MANY = 8
"""Values of x beyond which an experiment's table has a line a mark, as it has for means over tasks."""


def experiment_table(rows: Sequence[Entry], axes: tuple[str, str]) -> str:
    """The marks of an experiment in Markdown: a line a series and a column an x; names go down, means line by line.

    Args:
        rows: With panel, series, x, y, and perhaps low and high.
        axes: Titles of x and y.
    """
    values = list(dict.fromkeys(row["x"] for row in rows))
    named = any(isinstance(value, str) for value in values)
    lines = list(dict.fromkeys((row["panel"], row["series"]) for row in rows))
    at = {(row["panel"], row["series"], row["x"]): _range(row) for row in rows}
    if named:
        cells = [[axes[1], *(series for _, series in lines)]]
        cells += [[value, *(at.get((*line, value), NONE) for line in lines)] for value in values]
    elif len(values) > MANY or all(row.get("low") is None for row in rows):
        cells = [["", "", *axes]]
        cells += [[row["panel"], row["series"], _value(row["x"]), _range(row)] for row in rows]
    else:
        values.sort()
        cells = [["", f"{axes[1]}; {axes[0]}:", *map(_value, values)]]
        cells += [[*line, *(at.get((*line, value), NONE) for value in values)] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join("| " + " | ".join(plain(str(cell)).replace("|", "\\|") for cell in row) + " |" for row in cells)


def _value(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def _range(row: Entry) -> str:
    """A percentage with its interval, e.g. `37 (28-47)`."""
    if row["y"] is None:
        return NONE
    if row.get("low") is None:
        return f"{round(row['y'], 2) + 0:g}"
    return f"{row['y']:.0f} ({row['low']:.0f}-{row['high']:.0f})"


def _cell_width(labels: Iterable[str]) -> int:
    longest = max((len(line) for label in labels for line in plain(label, "\n").split("\n")), default=0)
    return min(_LABEL, max(6, longest))


def _labels(settings: Sequence[str]) -> list[str]:
    """`k=4` for `confidence:k=4,block=8` where every setting has block=8; one parameter a line."""
    parts = [setting.partition(":")[2].split(",") for setting in settings]
    shared = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set()
    short = ["\n".join(part for part in mine if part not in shared) for mine in parts]
    return [label or setting for label, setting in zip(short, settings, strict=True)]


def _spread(settings: Sequence[str], room: int) -> list[str]:
    """At most `room` settings, evenly spread from the first to the last."""
    if len(settings) <= room:
        return list(settings)
    last = len(settings) - 1
    return [settings[round(i * last / max(1, room - 1))] for i in range(room)]


def _score_cell(point: Entry | None) -> Text:
    if point is None or point["score"] is None:
        return Text(NONE)
    return Text(f"{point['score']:.1f}" + ("*" if point["unscored"] else ""))


def _mean_cell(at: Mapping[Any, Entry], tasks: Sequence[str], setting: str, field: str, decimals: int) -> Text:
    """The mean over tasks, only where every task has the value."""
    values = [at.get((task, setting), {}).get(field) for task in tasks]
    known = [value for value in values if value is not None]
    return Text(f"{sum(known) / len(known):.{decimals}f}" if known and len(known) == len(values) else NONE, "bold")


def _score_notes(points: Sequence[Entry], shown: int, total: int) -> str:
    notes = ["Scores in percent."]
    if any(point["unscored"] and point["score"] is not None for point in points):
        notes.append("* = some samples unscored.")
    if any(point["score"] is None for point in points):
        notes.append(f"{NONE} = no sample scored or setting not run.")
    if shown < total:
        notes.append(f"{shown} of {total} settings shown.")
    return " ".join(notes)


def _text(text: str, keep: str = "") -> Text:
    """Untrusted text as a cell: a Text object is never parsed for markup, links or emoji codes."""
    return Text(plain(str(text), keep))
