"""Is a text good English? One backend behind a small protocol, and a few rules of our own on top.

The benchmark counts any finding as a failure (ParallelBench does the same with LanguageTool), so everything
that judges taste is switched off, and names and the words of the prompt are not misspelt.
"""

import json
import re
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version as installed_version
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from parallelbench.errors import UsageError, lookup
from parallelbench.tasks.scoring.words import irregular_forms, irregular_pasts

MAX_CHARACTERS = 2_000
MAX_WORD = 45
_MARKUP = frozenset("<>{}[]|\\^~_=*`")
_DOUBLED = re.compile(r"\b(\w+)\s+\1\b", re.IGNORECASE)
_MAY_DOUBLE = frozenset({"that", "had"})
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_CLOSERS = "\"'”’)"


class Grammar(Protocol):
    """A grammar checker.

    Attributes:
        name: Its key in `BACKENDS`.
        version: The version of the package that judges; part of every grammar number.
    """

    name: str
    version: str

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """What is wrong with a text, a phrase each; `allowed` words (lower case) are never misspelt."""
        ...

    def __hash__(self) -> int: ...


class _Finding(NamedTuple):
    kind: str
    word: str
    note: str
    start: int
    """Of the word, in characters."""


class Harper:
    """The `harper-py` linter without the kinds of lint that judge style.

    A word counts as misspelt only if it is so in American *and* in British English. One linter serves a
    process, built at first use (1 to 2 s); calls are serialised, because it is not thread-safe.
    """

    name = "harper"
    STYLE_KINDS = frozenset("Enhancement Formatting Readability Redundancy Regionalism Style Usage WordChoice".split())
    STYLE_MESSAGES = ("Try expanding this initialism",)

    def __init__(self) -> None:
        self.version = installed_version("harper-py")
        self._lock = threading.Lock()
        self._linters: dict[str, Any] = {}

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """See `Grammar.faults`."""
        with self._lock:
            findings = self._findings("AMERICAN", text)
            if any(finding.kind == "Spelling" for finding in findings):
                british = {finding.word for finding in self._findings("BRITISH", text)}
                findings = [f for f in findings if f.kind != "Spelling" or f.word in british]
        return [f"{f.word!r}: {f.note}" for f in findings if not _is_excused(f, text, allowed)]

    def _findings(self, dialect: str, text: str) -> list[_Finding]:
        if dialect not in self._linters:
            from harper import Dialect, Linter

            self._linters[dialect] = Linter(dialect=getattr(Dialect, dialect))
        lints = (json.loads(lint.to_json()) for lint in self._linters[dialect].lint(text, language="plaintext"))
        findings = (
            _Finding(r["inner"]["lint_kind"], r["problem_text"], r["inner"]["message"], r["span"]["start"])
            for r in lints
        )
        return [
            finding
            for finding in findings
            if finding.kind not in self.STYLE_KINDS
            and not finding.note.startswith(self.STYLE_MESSAGES)
            and not text.startswith("a.m.", finding.start)  # "8 a.m." holds no article
        ]


BACKENDS: dict[str, Callable[[], Grammar | None]] = {"harper": Harper, "none": lambda: None}
_PACKAGES = {"harper": "harper-py"}


def _default() -> Grammar | None:
    try:
        return Harper()
    except ImportError:
        return None


_active = _default()


def set_grammar(name: str) -> None:
    """Choose this process's backend; `none` leaves everything that needs grammar unscored.

    Raises:
        UsageError: an unknown backend, or one whose package is not installed.
    """
    global _active
    build = lookup(BACKENDS, name, "grammar backend")
    try:
        _active = build()
    except ImportError as error:
        raise UsageError(f"The grammar backend {name!r} needs: pip install {_PACKAGES[name]}") from error


def grammar_signature() -> str:
    """Backend and version for a result's signature, e.g. `harper-0.2.0`, or `none`."""
    return f"{_active.name}-{_active.version}" if _active else "none"


def check(text: str, allowed: str = "") -> list[str] | None:
    """What is wrong with an answer's English; empty if nothing, None without a backend.

    Args:
        text: The answer.
        allowed: A text (the prompt) whose words are right by definition.
    """
    if _active is None:
        return None
    own = _own_faults(text)
    if own:
        return own
    return list(_backend_faults(_active, text, allowed))


@lru_cache(maxsize=10_000)
def _backend_faults(backend: Grammar, text: str, allowed: str) -> tuple[str, ...]:
    # A sweep meets the same text under many settings, and a check takes milliseconds.
    return tuple(backend.faults(text, frozenset(word.lower() for word in _WORD.findall(allowed))))


def verdict(text: str, allowed: str = "") -> float | None:
    """1 for good English, 0 for faulty or no text, None without a backend."""
    faults = check(text, allowed)
    return None if faults is None else float(not faults)


def _own_faults(text: str) -> list[str]:
    """Rules that no backend need share: they also keep debris away from it."""
    text = text.strip()
    if not text:
        return ["empty text"]
    if len(text) > MAX_CHARACTERS:
        return [f"text is longer than {MAX_CHARACTERS} characters"]
    strange = next((mark for mark in text if _is_strange(mark)), None)
    if strange:
        return [f"character {strange!a} in prose"]
    words = _WORD.findall(text)
    longest = max(map(len, words), default=0)
    if longest < 2:
        return ["no words"]
    if longest > MAX_WORD:
        return [f"a word of more than {MAX_WORD} letters"]
    faults = []
    if not (text[0].isdigit() or words[0][0].isupper()):
        faults.append("does not start with a capital")
    if not text.rstrip(_CLOSERS).endswith((".", "!", "?", "…")):
        faults.append("does not end with a full stop, question or exclamation mark")
    doubled = next((m for m in _DOUBLED.finditer(text) if m[1].lower() not in _MAY_DOUBLE), None)
    if doubled:
        faults.append(f"doubled word {doubled[1]!r}")
    sentences = re.split(r"(?<=[.!?])\s+", text)
    if any(one == other for one, other in pairwise(sentences)):
        faults.append("the same sentence twice")
    return faults


def _is_strange(mark: str) -> bool:
    if mark.isascii():
        return mark in _MARKUP or (not mark.isprintable() and mark not in "\n\t\r")
    category = unicodedata.category(mark)
    foreign = category[0] == "L" and not unicodedata.name(mark, "").startswith("LATIN")
    return foreign or category[0] == "C"


def _is_excused(finding: _Finding, text: str, allowed: frozenset[str]) -> bool:
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
            return _MAY_DOUBLE.issuperset(word.split())
        case "Agreement":
            return word in irregular_pasts()  # Harper knows some of them only as base forms
        case _:
            return False


def _is_inside(start: int, text: str) -> bool:
    """Whether a place is not the beginning of a sentence."""
    before = text[:start].rstrip(" \t\n\"'“‘(")
    return before != "" and before[-1] not in ".!?"
