"""Is a text good English? One backend behind a small protocol, and a few rules of our own on top.

The benchmark counts any finding as a failure (ParallelBench does the same with LanguageTool), so everything
that judges taste is switched off, and names and the words of the prompt are not misspelt.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Protocol

from parallelbench.errors import UsageError, lookup, unknown
from parallelbench.settings import parse_setting
from parallelbench.tasks.scoring.grammar_harper import Harper
from parallelbench.tasks.scoring.grammar_languagetool import LanguageTool
from parallelbench.tasks.scoring.grammar_linkgrammar import LinkGrammar
from parallelbench.tasks.scoring.grammar_rules import WORD, own_faults


class Grammar(Protocol):
    """A grammar checker.

    Attributes:
        name: Its key in `BACKENDS`.
        version: The version of the program that judges; part of every grammar number.
    """

    name: str
    version: str

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """What is wrong with a text, a phrase each; `allowed` words (lower case) are never misspelt.

        Raises:
            JudgeError: the backend failed; the text is neither right nor wrong.
        """
        ...


BACKENDS: Mapping[str, Callable[..., Grammar | None]] = {
    "harper": Harper,
    "languagetool": LanguageTool,
    "linkgrammar": LinkGrammar,
    "none": lambda: None,
}
"""Name to constructor; the parameters of `NAME:key=value` are its keyword arguments."""


def _default() -> Grammar | None:
    try:
        return Harper()
    except ImportError:
        return None


_active = _default()


def set_grammar(text: str) -> None:
    """Choose this process's backend; `none` leaves everything that needs grammar unscored.

    Args:
        text: `harper`, `none`, `linkgrammar`, `languagetool:url=http://127.0.0.1:8010` (or `jar=PATH`;
            `timeout=SECONDS`).

    Raises:
        UsageError: an unknown backend or parameter, or one that is not installed or does not answer.
    """
    global _active
    name, parameters = parse_setting(text)
    build = lookup(BACKENDS, name, "grammar backend")
    known = inspect.signature(build).parameters
    for key in parameters:
        if key not in known:
            raise unknown(f"parameter of grammar backend {name!r}:", key, known)
    try:
        _active = build(**parameters)
    except ImportError as error:
        raise UsageError(f"The grammar backend {name!r} needs: pip install harper-py") from error


def grammar_signature() -> str:
    """Backend and version for a result's signature, e.g. `harper-0.2.0`, or `none`."""
    return f"{_active.name}-{_active.version}" if _active else "none"


def check(text: str, allowed: str = "") -> list[str] | None:
    """What is wrong with an answer's English; empty if nothing, None without a backend.

    Args:
        text: The answer.
        allowed: A text (the prompt) whose words are right by definition.

    Raises:
        JudgeError: the backend failed.
    """
    if _active is None:
        return None
    own = own_faults(text)
    if own:
        return own
    return _active.faults(text, frozenset(word.lower() for word in WORD.findall(allowed)))


def verdict(text: str, allowed: str = "") -> float | None:
    """1 for good English, 0 for faulty or no text, None without a backend."""
    faults = check(text, allowed)
    return None if faults is None else float(not faults)
