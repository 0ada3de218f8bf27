"""Waiting-line answers, profile `native`: find the one list in a text and judge it.

Which list counts. A bracket group is `[...]` with no bracket inside; an unclosed one runs to the end of the
text. Closed groups that begin with a quote come before unclosed ones that do, these before unquoted groups
with a comma, and these before the rest; among equals the last one is the answer. So `[end]` in the prose
around a list does no harm, and a corrected list replaces an earlier one. An unclosed group may also end
with its first line. Without any `[`, the text up to a `]`, or its last line, is read as a bare list.

How it is read. As JSON, or as items of one quoting style (none, single, double, curly) between commas, with
at most one comma after the last. Blank items, stray quotes and mixed styles make it no list. Blanks around
an item do not count.

Strict: the stripped text is a JSON list of strings and nothing else, in any JSON white space.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence

from parallelbench.tasks.base import Sample, Score

Items = tuple[str, ...]

MAX_ITEMS = 1000
"""No list of a task is near this long; it bounds the work on debris such as a megabyte of commas."""

_GROUP = re.compile(r"\[([^\[\]]*)(\]|\Z)")
_CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_QUOTE = re.compile(r"[\"“”‘`\n]|(?<!\w)['’]|['’](?!\w)")
"""What no item may hold: quotes (but for an apostrophe inside a word) and line ends."""


def parse_list(text: str) -> Items | None:
    """The items of the answer list in a text, read forgivingly; None when there is no such list."""
    groups = _GROUP.findall(text)
    if groups:
        body, closing = max(reversed(groups), key=_rank)
        readings = [body] if closing else [body, *_lines(body)[:1]]
    else:
        bare = text.partition("]")[0]
        readings = [bare, *_lines(bare)[-1:]]
    parsed = (_parse_body(reading) for reading in readings)
    return next((items for items in parsed if items), None)


def parse_strict(text: str) -> Items | None:
    """The items if the stripped text is a JSON list of strings and nothing else, or None."""
    try:
        value = json.loads(text.strip())
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def score_expected(sample: Sample, text: str) -> Score:
    """Judge a task with one correct list, `facts["expected"]`."""
    expected = tuple(sample.facts["expected"])

    def judge(items: Items) -> tuple[str, dict[str, float]]:
        return _difference(items, expected), {}

    return _score(sample, text, judge)


def score_shuffle(sample: Sample, text: str) -> Score:
    """Judge a new order of `facts["items"]`; `parts["choice"]` is the share of people who moved."""
    given = tuple(sample.facts["items"])

    def judge(items: Items) -> tuple[str, dict[str, float]]:
        if sorted(items) != sorted(given):
            return _not_same_people(items, given), {}
        if items == given:
            return "the order has not changed", {}
        return "", {"choice": sum(a != b for a, b in zip(items, given, strict=True)) / len(given)}

    return _score(sample, text, judge)


def score_insert(sample: Sample, text: str) -> Score:
    """Judge `facts["items"]` with `facts["new"]` put in anywhere; `parts["choice"]` is where, 0 to 1."""
    given, new = tuple(sample.facts["items"]), sample.facts["new"]
    correct = [(*given[:i], new, *given[i:]) for i in range(len(given) + 1)]
    return _score_one_of(sample, text, correct, f"the line with {_short(new)} put in once")


def score_remove(sample: Sample, text: str) -> Score:
    """Judge `facts["items"]` with anyone gone; `parts["choice"]` is who, 0 (first) to 1 (last)."""
    given = tuple(sample.facts["items"])
    correct = [(*given[:i], *given[i + 1 :]) for i in range(len(given))]
    return _score_one_of(sample, text, correct, "the line with one person gone")


def score_replace(sample: Sample, text: str) -> Score:
    """Judge `facts["items"]` with `facts["new"]` in anyone's place; `parts["choice"]` is whose, 0 to 1."""
    given, new = tuple(sample.facts["items"]), sample.facts["new"]
    correct = [(*given[:i], new, *given[i + 1 :]) for i in range(len(given))]
    return _score_one_of(sample, text, correct, f"the line with {_short(new)} in one person's place")


def _score_one_of(sample: Sample, text: str, correct: Sequence[Items], asked: str) -> Score:
    def judge(items: Items) -> tuple[str, dict[str, float]]:
        if len(items) != len(correct[0]):
            return f"found {len(items)} items, expected {len(correct[0])}", {}
        if items not in correct:
            return f"not {asked}", {}
        return "", {"choice": correct.index(items) / max(1, len(correct) - 1)}

    return _score(sample, text, judge)


def _score(sample: Sample, text: str, judge: Callable[[Items], tuple[str, Mapping[str, float]]]) -> Score:
    items = parse_list(text)
    if items is None:
        return Score(0.0, 0.0, "no list found")
    fault, measured = judge(items)
    parts = {"copied": float(items == tuple(sample.facts["items"])), **measured}
    if fault:
        return Score(0.0, 0.0, fault, parts)
    if parse_strict(text) == items:
        return Score(1.0, 1.0, "", parts)
    return Score(1.0, 0.0, f"not asked format: {_format_fault(text.strip())}", parts)


def _rank(group: tuple[str, str]) -> int:
    body, closing = group
    if body.lstrip()[:1] in _CLOSING:
        return 3 if closing else 2
    return int("," in body)


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("```")]


def _parse_body(body: str) -> Items | None:
    if body.count(",") > MAX_ITEMS:
        return None
    items = parse_strict(f"[{body}]") or _parse_pieces(body.split(","))
    if items is None:
        return None
    stripped = tuple(item.strip() for item in items)
    return stripped if all(stripped) else None


def _parse_pieces(pieces: list[str]) -> Items | None:
    """Items between commas that are all quoted the same way, or all not at all."""
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces = pieces[:-1]
    read = [_unquote(piece.strip()) for piece in pieces]
    if len({style for style, _ in read}) != 1 or any(_QUOTE.search(item) for _, item in read):
        return None
    return tuple(item for _, item in read)


def _unquote(piece: str) -> tuple[str, str]:
    """The opening quote (or "") and what is inside."""
    if len(piece) > 1 and _CLOSING.get(piece[0]) == piece[-1]:
        return piece[0], piece[1:-1]
    return "", piece


def _difference(items: Items, expected: Items) -> str:
    if len(items) != len(expected):
        return f"found {len(items)} items, expected {len(expected)}"
    for place, (item, wanted) in enumerate(zip(items, expected, strict=True), start=1):
        if item != wanted:
            return f"item {place} is {_short(item)}, expected {_short(wanted)}"
    return ""


def _not_same_people(items: Items, given: Items) -> str:
    missing = [item for item in given if item not in items]
    extra = [item for item in items if item not in given]
    if extra:
        return f"{_short(extra[0])} is not in the line"
    return f"{_short(missing[0])} is missing" if missing else "somebody is in the line twice"


def _short(item: str) -> str:
    # repr: control characters, surrogates and direction marks of a model stay inert where this is shown.
    return repr(item if len(item) <= 40 else item[:39] + "…")


def _format_fault(text: str) -> str:
    whole = text.startswith("[") and text.endswith("]") and text.count("[") == 1
    return "not a plain JSON list of strings" if whole else "text outside the list"
