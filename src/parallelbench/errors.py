"""How the package refuses: what was given, what is allowed, what is near."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class UsageError(ValueError):
    """The caller asked for something that does not exist or cannot be; the command line exits 2."""


class RunError(RuntimeError):
    """The work itself went wrong (a full disk, an unreadable store); the command line exits 1."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UsageError:
    """The error for a name outside a closed set, with the nearest name and the whole set."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UsageError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """`table[name]`, or a UsageError that names the nearest key."""
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


class JudgeError(RuntimeError):
    """Something outside that judges texts failed (a server, a program): the sample is unscored, not wrong."""
