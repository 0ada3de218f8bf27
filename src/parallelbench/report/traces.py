"""Traces (docs/trace.md) as the page replays them: step by step, only what changes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallelbench.report.contents import contents
from parallelbench.report.packing import short, told
from parallelbench.report.page import page

Entry = dict[str, Any]
Piece = Callable[[int], str]
BELIEFS = ("model", "ideal")


def shown_trace(trace: Mapping[str, Any], undecided: bool = False) -> Entry:
    """A trace as the page replays it.

    A token taken back in the forward in which its place was filled anew was taken back before it.

    Args:
        trace: As docs/trace.md describes it.
        undecided: Also tell what was believed about positions that a step left masked.

    Returns:
        What is known of the lane; length; given ([position, piece]); and steps, each with `set` ([position,
        piece, confidence]), `before` and `again` (positions masked before and after the forward), `beliefs` (by
        position: the most probable tokens, [[piece, probability], ...]) and `distance`.
    """
    lane, piece = trace["lane"], _piece(trace["texts"])
    names = ("id", "model", "method", "setting", "task", "sample", "profile")
    return {
        **{name: told(lane[name]) for name in names},
        **{name: told(trace[name] or "") for name in ("text", "why", "error", "note")},
        "score": short(trace["score"]),
        "length": len(trace["tokens"]),
        "given": [[place, piece(trace["tokens"][place])] for place in trace["given"]],
        "steps": [_step(step, piece, undecided) for step in trace["steps"]],
    }


def _piece(texts: Mapping[Any, str]) -> Piece:
    """A token's text; its number where none is known."""
    known = {int(token): told(text) for token, text in texts.items()}
    return lambda token: known.get(token, f"#{token}")


def _step(step: Mapping[str, Any], piece: Piece, undecided: bool) -> Entry:
    committed = set(step["committed"])
    sure = step["confidence"]
    places = range(len(step["tokens"])) if undecided else sorted(committed)
    return {
        "set": [
            [place, piece(step["tokens"][place]), None if sure is None else short(sure[place])]
            for place in sorted(committed)
        ],
        "before": sorted(committed & {*step["remasked"], *step["replaced"]}),
        "again": sorted({*step["remasked"]} - committed),
        "beliefs": {str(place): found for place in places if (found := _beliefs(step, place, piece))},
        "distance": step["distance"],
    }


def _beliefs(step: Mapping[str, Any], place: int, piece: Piece) -> Entry:
    """What model and ideal denoiser thought likely at a position."""
    return {
        name: [[piece(token), short(float(share))] for token, share in step[name][place]]
        for name in BELIEFS
        if step[name] is not None and step[name][place]
    }


def trace_view(traces: Sequence[Mapping[str, Any]], undecided: bool = False) -> Entry:
    """The page's block about traces: the lanes, and the question of each sample.

    Args:
        traces: As docs/trace.md describes them.
        undecided: As for `shown_trace`.
    """
    questions = {
        told(trace["lane"]["sample"]): told(
            "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in trace["messages"])
        )
        for trace in traces
    }
    return {
        "lanes": [shown_trace(trace, undecided) for trace in traces],
        "samples": {name: {"prompt": text} for name, text in questions.items() if text},
    }


def trace_page(traces: Sequence[Mapping[str, Any]], title: str = "How it was decoded") -> str:
    """One self-contained web page that replays traces, two side by side.

    Args:
        traces: As docs/trace.md describes them, at least one.
        title: Heading of the page.
    """
    lanes = [trace["lane"] for trace in traces]
    subtitle = ", ".join(dict.fromkeys(f"{lane['task']}, {lane['sample']}" for lane in lanes))
    methods = sorted({str(lane["method"]) for lane in lanes})
    view = trace_view(traces, undecided=True)
    return page(contents((), title=title, subtitle=subtitle, methods=methods, traces=view, tabs=("traces",)))
