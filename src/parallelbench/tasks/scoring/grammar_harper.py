"""Grammar backend `harper`: the `harper-py` linter, offline, with a documented choice of its rules."""

import json
import re
import threading
from functools import lru_cache
from importlib.metadata import version as installed_version
from typing import Any, NamedTuple

from parallelbench.tasks.scoring.failures import MAY_DOUBLE
from parallelbench.tasks.scoring.words import irregular_forms, irregular_pasts

GROUPS = (
    "Capitalization and Case",
    "Compounds and Hyphenation",
    "Grammar and Agreement",
    "Miscellaneous",
    "Pronouns and Possession",
    "Punctuation and Spacing",
    "Spelling and Orthography",
)
"""Harper's rule groups that judge English; the others judge brands, initialisms, regions, wording and style."""
STYLE_KINDS = frozenset("Enhancement Formatting Readability Redundancy Regionalism Style Usage WordChoice".split())
"""Kinds of finding within those groups that are a matter of taste."""
STYLE_MESSAGES = ("Try expanding this initialism", "Use the single word `awhile`")
MEMORY = 16_384
"""Texts whose findings are kept: settings of a run often decode to the same text."""


class Finding(NamedTuple):
    """One remark of the linter; `start` counts characters."""

    kind: str
    word: str
    note: str
    start: int


class Harper:
    """The linter behind the protocol `Grammar`.

    A word counts as misspelt only if it is so in American *and* in British English; names, the prompt's words
    and irregular forms are never misspelt.

    Raises:
        ImportError: harper-py is not installed.
    """

    name = "harper"

    def __init__(self) -> None:
        self.version = installed_version("harper-py")

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """What is wrong with a text, a phrase each; `allowed` words (lower case) are never misspelt."""
        return [f"{f.word!r}: {f.note}" for f in findings(text) if not is_excused(f, text, allowed)]


@lru_cache(MEMORY)
def findings(text: str) -> tuple[Finding, ...]:
    """What the linter finds in either dialect, matters of taste left out."""
    found = _in_dialect("AMERICAN", text)
    if any(finding.kind == "Spelling" for finding in found):
        british = {finding.word for finding in _in_dialect("BRITISH", text)}
        found = [f for f in found if f.kind != "Spelling" or f.word in british]
    return tuple(found)


def _in_dialect(dialect: str, text: str) -> list[Finding]:
    lints = (json.loads(lint.to_json()) for lint in _linter(dialect).lint(text, language="plaintext"))
    found = (
        Finding(r["inner"]["lint_kind"], r["problem_text"], r["inner"]["message"], r["span"]["start"]) for r in lints
    )
    return [
        finding
        for finding in found
        if finding.kind not in STYLE_KINDS
        and not finding.note.startswith(STYLE_MESSAGES)
        and not text.startswith("a.m.", finding.start)  # "8 a.m." holds no article
    ]


_local = threading.local()


def _linter(dialect: str) -> Any:
    """This thread's linter of a dialect, built at first use (1 to 2 s): a linter is not thread-safe."""
    linters = _local.__dict__
    if dialect not in linters:
        from harper import Dialect, Linter

        linters[dialect] = Linter(dialect=getattr(Dialect, dialect))
        _restrict(linters[dialect])
    return linters[dialect]


def _restrict(linter: Any) -> None:
    """Switch off every rule outside `GROUPS`."""
    config = dict(linter.get_lint_config())
    structured = linter.get_structured_lint_config()
    groups = json.loads(structured) if isinstance(structured, str) else structured
    for entry in groups["settings"]:
        group = entry.get("Group")
        if group is None or group["label"] not in GROUPS:
            config.update(dict.fromkeys(_rules(entry), False))
    linter.set_lint_config(config)


def _rules(entry: Any) -> list[str]:
    """Names of the rules in an entry of the linter's structured settings."""
    if "Group" in entry:
        return [rule for inner in entry["Group"]["child"]["settings"] for rule in _rules(inner)]
    (body,) = entry.values()
    return list(body["names"]) if "names" in body else [body["name"]]


def is_excused(finding: Finding, text: str, allowed: frozenset[str]) -> bool:
    """Whether a finding is a known kind of false alarm: a name, a word of the prompt, `she fed`, `had had`."""
    word = finding.word.lower()
    known = bool({word, re.sub(r"['’]s?$", "", word)} & allowed)
    capital = finding.word[:1].isupper()
    match finding.kind:
        case "Spelling":
            return known or word in irregular_forms() or (capital and _is_inside(finding.start, text))
        case "Capitalization":
            return known and capital
        case "Repetition":
            return MAY_DOUBLE.issuperset(word.split())
        case "Agreement":
            return word in irregular_pasts()  # Harper knows some of them only as base forms
        case _:
            return False


def _is_inside(start: int, text: str) -> bool:
    """Whether a place is not the beginning of a sentence."""
    before = text[:start].rstrip(" \t\n\"'“‘(")
    return before != "" and before[-1] not in ".!?"
