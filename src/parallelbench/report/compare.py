"""The terminal view of a paired comparison."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from parallelbench.report.plain import plain

FLIPS_SHOWN = 10


def comparison_view(result: Mapping[str, Any]) -> Group:
    """Overall difference, the tasks, and the samples that flipped.

    Args:
        result: Of `analysis.compare.compare`, with the names of the sides as `a` and `b`.
    """
    names = {side: plain(str(result[side])) for side in "ab"}
    moved = set(result["moved"])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    table.add_column("Task", overflow="fold")
    for name in ("n", "A", "B", "B - A", "95 %", "gained", "lost", "t/s A", "t/s B"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result["tasks"]:
        style = "bold" if row["task"] in moved else ""
        numbers = [str(row["n"]), f"{row['a']:.1f}", f"{row['b']:.1f}", f"{row['difference']:+.1f}"]
        numbers += [_interval(row["interval"], 0), str(row["gained"]), str(row["lost"])]
        numbers += [f"{row['tps_a']:.2f}", f"{row['tps_b']:.2f}"]
        table.add_row(Text(plain(row["task"]), style), *(Text(number, style) for number in numbers))
    table.caption = Text("\n".join(_notes(result)), "dim")
    return Group(*_overall(result, names), table, *_flips(result))


def _interval(bounds: Any, decimals: int) -> str:
    return f"{bounds[0]:+.{decimals}f} to {bounds[1]:+.{decimals}f}"


def _overall(result: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Text]:
    """Score and speed over all tasks."""
    for side in "ab":
        yield Text(f"{side.upper()}: ", "bold").append(names[side], "not bold")
    for measure, unit, decimals in (("score", "points", 1), ("tps", "tokens a step", 2)):
        found = result[measure]
        text = Text(f"{measure}: {found['a']:.{decimals}f} to {found['b']:.{decimals}f}, ")
        text.append(f"difference {found['difference']:+.{decimals}f} {unit}", "bold")
        yield text.append(f", 95 % from {_interval(found['interval'], decimals)}")


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What a reader has to know before believing a difference."""
    told = f"{len(result['moved'])} of {len(result['tasks'])} tasks moved (bold: the interval leaves out 0"
    yield f"{told}; 1 in 20 does so by chance)."
    yield "Scores in percent; gained and lost: samples that moved by half the scale or more."
    yield f"Paired by sample{''.join(f' and {name}' for name in result['shared'])}: {result['n']} samples."
    for letter in "ab":
        if result[f"only_{letter}"]:
            yield f"{result[f'only_{letter}']} lanes of {letter.upper()} without a scored partner are left out."
    for column, (a, b) in result["differ"].items():
        yield f"{column}: A {_list(a)}; B {_list(b)}"


def _list(values: list[str]) -> str:
    more = f" and {len(values) - 4} more" if len(values) > 4 else ""
    return plain(", ".join(values[:4])) + more


def _flips(result: Mapping[str, Any]) -> Iterator[Text]:
    """The first samples that flipped."""
    flipped = result["flipped"]
    if flipped:
        yield Text(f"{len(flipped)} samples flipped:", "bold")
    for row in flipped[:FLIPS_SHOWN]:
        yield Text(f"  {plain(row['sample'])}  {row['a']:.0f} to {row['b']:.0f}")
    if len(flipped) > FLIPS_SHOWN:
        yield Text(f"  and {len(flipped) - FLIPS_SHOWN} more; --json lists all.", "dim")
