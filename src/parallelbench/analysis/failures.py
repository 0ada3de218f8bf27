"""Which kinds of failure a method shows, and at how many tokens a step."""

import re
from collections.abc import Collection, Mapping

import pandas as pd

from parallelbench.analysis.settings import tokens_a_step
from parallelbench.errors import UsageError

NEEDS = ("parts",)
"""Columns beyond the usual ones: read the frame with `extra=failures.NEEDS`."""
DETECTED = "failure: "
"""How the scorers name what they find in a text (`Score.parts`)."""
KEYS = ["model", "method", "setting", "k", "task"]
COLUMNS = [*KEYS, "failure", "lanes", "share", "n"]

_KINDS: Mapping[str, str] = {
    "not decoded": r"not decoded: ",
    "unscored": r"unscored: |the scorer failed: ",
    "format": r"not asked format: ",
    "no list or grid": r"no (?:list|rows) found",
    "wrong length": r"found \d+ (?:items|rows), expected |row \d+ has \d+ cells",
    "wrong item": r"item \d+ is .*, expected |not the line with |row \d+ is '.*', expected ",
    "invented item": r".* is not in the line$|row \d+ holds .*, which is no symbol$",
    "lost item": r".* is missing$|missing: ",
    "repeated item": r"somebody is in the line twice|(?:row|column) \d+ repeats symbol ",
    "nothing changed": r"the order has not changed|copies the sentence|only lists the words",
    "several sentences": r"more than one sentence",
}
_PATTERNS = {kind: re.compile(pattern, re.DOTALL) for kind, pattern in _KINDS.items()}
GRAMMAR = "grammar"
OTHER = "other"


def kind_of(why: str, grammatical: float | None = None) -> str:
    """The kind of failure that a scorer's remark tells of.

    Args:
        why: `Score.why`, not empty.
        grammatical: The part "grammar" of the score: 0 says that the remark is a grammar fault.
    """
    for kind, pattern in _PATTERNS.items():
        if pattern.match(why):
            return kind
    return GRAMMAR if grammatical == 0 else OTHER


def kinds_of(why: str | None, parts: Mapping[str, float | None] | None) -> set[str]:
    """Every kind that a lane shows: what its remark tells, and what the scorer detected in its text."""
    parts = parts or {}
    found = {name.removeprefix(DETECTED) for name, count in parts.items() if name.startswith(DETECTED) and count}
    return found | ({kind_of(why, parts.get("grammar"))} if why else set())


def failure_kinds(frame: pd.DataFrame, tasks: Collection[str] | None = None) -> pd.DataFrame:
    """How often each (model, method, setting, task) shows each kind of failure.

    Columns: model, method, setting, k (tokens a step where the method fixes them, else NaN), task, failure (the
    kind), lanes (that show it), share (of the n lanes of this setting and task), n. A lane may show several
    kinds, so shares do not add up to 1; a kind that does not occur has no row. "format" is a right answer that
    is not in exactly the form asked for.

    Args:
        frame: lanes from the store, read with `extra=failures.NEEDS`.
        tasks: Only these.

    Raises:
        UsageError: the frame lacks a column.
    """
    if "parts" not in frame:
        raise UsageError(f"The lanes have no parts; read them with extra={NEEDS!r}.")
    frame = frame.drop_duplicates("lane_id")
    if tasks is not None:
        frame = frame[frame["task"].isin(tasks)]
    keys = ["model", "method", "setting", "task"]
    sizes = frame.groupby(keys, sort=True).agg(n=("lane_id", "size"), length=("max_tokens", "max"))
    kinds = [sorted(kinds_of(why, parts)) for why, parts in zip(frame["why"], frame["parts"], strict=True)]
    shown = frame[keys].assign(failure=pd.Series(kinds, index=frame.index, dtype=object)).explode("failure")
    counts = shown.groupby([*keys, "failure"], sort=True).size().rename("lanes").reset_index()
    table = counts.merge(sizes.reset_index(), on=keys)
    table["k"] = [tokens_a_step(s, int(length)) for s, length in zip(table["setting"], table["length"], strict=True)]
    return table.assign(k=table["k"].astype(float), share=table["lanes"] / table["n"])[COLUMNS]
