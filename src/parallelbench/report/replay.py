"""From what the store keeps of a lane to steps the page can replay."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallelbench.report.packing import short, told

Entry = dict[str, Any]
Piece = Callable[[int], str]
"""A token id as the text that is shown for it."""
PREFILLED = -1
"""Commit step of a token that was given (decoding.proposal)."""


def replay(lane: Mapping[str, Any], piece: Piece) -> Entry:
    """A stored lane as a trace of the page.

    The commit steps of the final tokens and the revisions tell everything but how sure the model was. A token
    taken back in the very step in which its place was filled anew was taken back before that step's forward.

    Args:
        lane: As `Store.lane` gives it.
        piece: Shows a token.

    Returns:
        id, model, method, setting, task, sample, score (in [0, 1]), why, error, text, length, given
        ([position, piece]) and steps, each {"set": [[position, piece, confidence]], "before": positions masked
        again before its forward, "again": after it}; confidence is None.
    """
    tokens, since = lane["tokens"] or [], lane["commit_step"] or []
    count = max([int(lane["nfe"] or 0), *(step + 1 for step in since)], default=0)
    steps: list[Entry] = [{"set": [], "before": [], "again": []} for _ in range(count)]
    filled = {(place, step) for place, step in enumerate(since) if step >= 0}
    filled |= {(place, committed) for place, _, committed, _ in lane["revisions"] or ()}
    for place, (token, step) in enumerate(zip(tokens, since, strict=True)):
        if step >= 0:
            steps[step]["set"].append([place, told(piece(token)), None])
    for place, token, committed, removed in lane["revisions"] or ():
        steps[committed]["set"].append([place, told(piece(token)), None])
        steps[removed]["before" if (place, removed) in filled else "again"].append(place)
    names = ("model", "method", "setting", "task", "sample", "why", "error", "text")
    return {
        **{name: told(lane[name] or "") for name in names},
        "id": lane["lane_id"],
        "score": short(lane["score"]),
        "length": len(tokens),
        "given": [[place, told(piece(tokens[place]))] for place, step in enumerate(since) if step == PREFILLED],
        "steps": steps,
    }


def trace_view(traces: Sequence[Entry], prompts: Mapping[str, str]) -> Entry:
    """The page's block about traces.

    Args:
        traces: Of `replay`.
        prompts: Prompt of each sample, by its id.
    """
    return {"lanes": list(traces), "samples": {told(name): {"prompt": told(text)} for name, text in prompts.items()}}

