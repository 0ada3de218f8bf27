"""Tables as columns of short numbers, and text made harmless: how data travels inside the page."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from parallelbench.report.plain import plain

DIGITS = 4
"""Decimals of a number on the page."""
TEXTS = frozenset({"group", "model", "method", "setting", "kind", "task", "failure", "file"})
"""Columns that hold names; all others hold numbers."""
LONGEST = 4000
"""Characters of a text on the page."""


def told(text: object) -> str:
    """Text as the page shows it: no control or direction characters but line breaks, and of bounded length."""
    shown = plain(str(text)[: LONGEST + 1], keep="\n")
    if len(str(text)) <= LONGEST:
        return shown
    return f"{shown[:LONGEST]} … ({len(str(text)) - LONGEST:,} more characters)"


def short(value: Any) -> Any:
    """A number of few digits; None for what is not known."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        # Seconds and shares may be small: four significant digits then, four decimals otherwise.
        rounded = round(value, DIGITS) if abs(value) >= 1 else float(f"{value:.{DIGITS}g}")
        return int(rounded) if rounded == int(rounded) else rounded
    return told(value) if isinstance(value, str) else value


def pack(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """A table by columns; those of texts as places in a list of the different ones (`levels`)."""
    packed: dict[str, list[Any]] = {}
    levels: dict[str, list[str]] = {}
    for name in columns:
        values = table[name] if name in table else pd.Series([None] * len(table), dtype=object)
        if name not in TEXTS:
            packed[name] = [short(value) for value in values.tolist()]
            continue
        codes, names = pd.factorize(values)
        packed[name] = [None if code < 0 else int(code) for code in codes]
        levels[name] = [told(text) for text in names]
    return {"columns": packed, "levels": levels}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A small table row by row."""
    return [{str(key): short(value) for key, value in row.items()} for row in table.to_dict("records")]
