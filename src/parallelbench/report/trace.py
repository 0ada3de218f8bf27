"""A trace in the terminal: the canvas filling forward by forward, one method or several side by side."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from parallelbench.report.palette import RED
from parallelbench.report.plain import plain

Trace = Mapping[str, Any]
Step = Mapping[str, Any]
MASK, END, LINE = "·", "∎", "⏎"
NEW, GONE = ("‹", "›"), ("✗", "✗")
"""Marks around tokens of this step and taken-back ones where there are no colours."""
LONGEST = 40
"""Characters of one token that are shown; none of a model's own is longer."""
LINES = 8
"""Lines of the question that are shown, the last ones: an example stands before them."""
SHOWN = 6
"""Committed tokens told one by one below a step, unless all are asked for."""
_LOW, _HIGH = (0xD5, 0x5E, 0x00), (0x56, 0xB4, 0xE9)  # RED and SKY of the palette
"""From unsure or late to sure or early; told apart with any colour vision, legible on light and dark."""


@dataclass(frozen=True)
class Look:
    """How a trace is drawn.

    Attributes:
        by: What a token's colour tells: "step" (when it was decided) or "confidence".
        marks: Mark tokens by characters as well, where colours do not show.
        everything: Tell every committed token with the likeliest tokens of the model and of the exact marginals.
    """

    by: str = "step"
    marks: bool = False
    everything: bool = False


def trace_view(traces: Sequence[Trace], look: Look, upto: int | None = None) -> Group:
    """All steps of the traces as one table, a row a forward and a column a trace.

    Args:
        traces: As docs/trace.md tells, at least one.
        look: How to draw them.
        upto: Draw only this step, for an animation; None for all.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False, show_lines=False)
    table.add_column("step", justify="right", no_wrap=True)
    for trace in traces:
        table.add_column(Text(_title(trace)), overflow="fold", ratio=1)
    drawn = [list(_cells(trace, look)) for trace in traces]
    rows = list(zip_longest(*drawn, fillvalue=Text("")))
    shown = range(len(rows)) if upto is None else range(min(upto, len(rows) - 1), min(upto, len(rows) - 1) + 1)
    for number in shown:
        table.add_row(str(number), *rows[number])
    return Group(*_question(traces), table, *(_result(trace) for trace in traces), _legend(traces, look))


def _title(trace: Trace) -> str:
    lane = trace["lane"]
    return plain(f"{lane['model']}  {lane['setting']}")


def _question(traces: Sequence[Trace]) -> Iterator[Text]:
    """Sample and question, once."""
    yield Text(plain(str(traces[0]["lane"]["sample"])), "bold")
    for message in traces[0]["messages"][-1:]:
        lines = plain(_cut(str(message["content"])), "\n").strip().split("\n")
        yield Text("\n".join(lines[-LINES:]), "dim")


def _cells(trace: Trace, look: Look) -> Iterator[Text]:
    """One cell a step: the canvas, and what was decided."""
    since: dict[int, tuple[int, float | None]] = {}
    before: list[int | None] = [None] * len(trace["tokens"])
    for step in trace["steps"]:
        for j in step["committed"]:
            since[j] = step["step"], None if step["confidence"] is None else step["confidence"][j]
        cell = _canvas(trace, step, before, since, look)
        told = _told(trace, step, look)
        yield cell if not told else Text("\n").join([cell, *told])
        before = step["tokens"]


def _canvas(
    trace: Trace,
    step: Step,
    before: Sequence[int | None],
    since: Mapping[int, tuple[int, float | None]],
    look: Look,
) -> Text:
    """The canvas after one forward."""
    canvas, new, gone = Text(), set(step["committed"]), set(step["remasked"])
    for j, token in enumerate(step["tokens"]):
        if token is not None:
            style = ("bold reverse " if j in new else "") + _color(trace, since.get(j), look)
            canvas.append(_marked(_word(trace, token), j, new, NEW, look), style)
        elif j in gone and before[j] is not None:
            canvas.append(_marked(_word(trace, before[j]), j, gone, GONE, look), f"strike {RED}")
        else:
            canvas.append(MASK, "dim")
    return canvas


def _marked(text: str, j: int, among: Collection[int], marks: tuple[str, str], look: Look) -> str:
    """The text between marks if `j` is among the positions; neighbours share their marks."""
    if not look.marks or j not in among:
        return text
    return ("" if j - 1 in among else marks[0]) + text + ("" if j + 1 in among else marks[1])


def _word(trace: Trace, token: int | None) -> str:
    """A token as it may be shown: harmless, on one line, and not longer than any honest one."""
    special = trace["special"] or {}
    if token is not None and token in (special.get("eos"), special.get("pad")):
        return END
    text = trace["texts"].get(str(token))
    if text is None:
        return f" #{token}"
    text = plain(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…", "\n").replace("\n", LINE)
    return text or f" #{token}"


def _color(trace: Trace, since: tuple[int, float | None] | None, look: Look) -> str:
    """Style of a decided token."""
    if since is None:  # it was given
        return "dim"
    step, confidence = since
    if look.by == "confidence":
        share = confidence
    else:
        share = 1 - step / max(1, len(trace["steps"]) - 1)
    if share is None:
        return ""
    return _mixed(share)


def _mixed(share: float) -> str:
    """Colour from unsure or late (0) to sure or early (1)."""
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in zip(_LOW, _HIGH, strict=True))


def _told(trace: Trace, step: Step, look: Look) -> list[Text]:
    """How sure the model and the exact marginals were of what was committed, the least sure first."""
    if step["confidence"] is None or not step["committed"]:
        return []
    sure = step["confidence"]
    ends = {(trace["special"] or {}).get(name) for name in ("eos", "pad")}
    told = [j for j in step["committed"] if look.everything or step["tokens"][j] not in ends]
    order = sorted(told, key=lambda j: (2.0 if sure[j] is None else sure[j], j))
    if look.everything:
        return [_all_of(trace, step, j) for j in order]
    parts = [_both(trace, step, j) for j in order[:SHOWN]]
    if not parts:
        return []
    more = f"  and {len(order) - SHOWN} surer" if len(order) > SHOWN else ""
    return [Text("  ".join(parts) + more, "dim")]


def _both(trace: Trace, step: Step, j: int) -> str:
    exact = step["ideal_confidence"]
    beside = "" if exact is None or exact[j] is None else f" (exact {exact[j]:.2f})"
    sure = step["confidence"][j]
    return f"{_word(trace, step['tokens'][j]).strip() or '␣'} {'–' if sure is None else format(sure, '.2f')}{beside}"


def _all_of(trace: Trace, step: Step, j: int) -> Text:
    """One committed token with the likeliest tokens of both."""
    line = f"{j:>4} {_both(trace, step, j)}"
    for name in ("model", "ideal"):
        best = step[name] and step[name][j]
        if best:
            told = ", ".join(f"{_word(trace, token).strip() or '␣'} {p:.2f}" for token, p in best)
            line += f"  {'exact' if name == 'ideal' else name}: {told}"
    return Text(line, "dim")


def _result(trace: Trace) -> Text:
    """What came out."""
    score = "unscored" if trace["score"] is None else f"score {100 * trace['score']:.0f}"
    speed = "" if trace["tps"] is None else f", {trace['tps']:.2f} tokens a step"
    text = Text(f"{_title(trace)}: ", "bold").append(f"{trace['nfe'] or 0} forwards{speed}, {score}", "not bold")
    if trace["error"]:
        text.append(f", error: {plain(str(trace['error']))}", RED)
    elif trace["why"]:
        text.append(f" ({plain(str(trace['why']))})", "not bold")
    taken = len(trace["revisions"])
    text.append(f", {taken} taken back or replaced" if taken else "", "not bold")
    if trace["note"]:
        text.append(f"\n{plain(str(trace['note']))}", "not bold italic")
    return text.append(f"\n{plain(_cut(trace['text'] or ''), chr(10))}", "not bold dim")


def _cut(text: str, characters: int = 2000) -> str:
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text):,} characters)"


def _legend(traces: Sequence[Trace], look: Look) -> Text:
    hues = {"step": ("early", "late"), "confidence": ("sure", "unsure")}[look.by]
    marks = f"{NEW[0]}new{NEW[1]} and {GONE[0]}masked again{GONE[1]}" if look.marks else "new tokens stand out"
    legend = Text(f"{MASK} masked  {END} end of text  {marks}", "dim")
    if not look.marks:
        legend.append("  colour: ").append(hues[0], _mixed(1)).append(" to ")
        legend.append(hues[1], _mixed(0))
    if any(step["confidence"] is not None for trace in traces for step in trace["steps"][:1]):
        legend.append("\nBelow a step: what it decided, with the model's probability", "dim")
        legend.append(" (and the exact one).", "dim")
    return legend
