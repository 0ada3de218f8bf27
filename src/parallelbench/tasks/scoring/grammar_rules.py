"""Our own rules of good English: no backend need share them, and they keep debris away from it."""

import re
import unicodedata
from itertools import pairwise

from parallelbench.tasks.scoring.failures import find_failures

MAX_CHARACTERS = 2_000
MAX_WORD = 45
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MARKUP = frozenset("<>{}[]|\\^~_=*`")
_TWICE = ("doubled word", "repeated words")
_FINDINGS = {
    "truncated sentence": "does not end with a full stop, question or exclamation mark",
    "doubled word": "doubled word",
    "repeated span": "repeated words",
    "a/an mismatch": "wrong article {!r}",
    "agreement error": "wrong agreement {!r}",
    "broken bracket or quote": "a bracket or quotation mark without its partner",
    "word clash": "{!r} never stand side by side",
}


def own_faults(text: str) -> list[str]:
    """What our rules find in a text, a phrase each; debris is reported alone."""
    text = text.strip()
    debris = _debris(text)
    if debris:
        return [debris]
    first = next(iter(WORD.findall(text)))
    faults = [] if text[0].isdigit() or first[0].isupper() else ["does not start with a capital"]
    found = find_failures(text)
    faults += [_told(phrase, text[slice(*found[kind][0])]) for kind, phrase in _FINDINGS.items() if kind in found]
    sentences = re.split(r"(?<=[.!?])\s+", text)
    if any(one == other for one, other in pairwise(sentences)):
        faults.append("the same sentence twice")
    return faults


def _told(phrase: str, words: str) -> str:
    """The phrase with what it is about; of words that come twice, once."""
    half = words.split()[: (len(words.split()) + 1) // 2]
    return f"{phrase} {' '.join(half)!r}" if phrase in _TWICE else phrase.format(words)


def _debris(text: str) -> str:
    """Why a text is not prose at all, or nothing."""
    if not text:
        return "empty text"
    if len(text) > MAX_CHARACTERS:
        return f"text is longer than {MAX_CHARACTERS} characters"
    strange = next((mark for mark in text if _is_strange(mark)), None)
    if strange:
        return f"character {strange!a} in prose"
    longest = max(map(len, WORD.findall(text)), default=0)
    if longest < 2:
        return "no words"
    return f"a word of more than {MAX_WORD} letters" if longest > MAX_WORD else ""


def _is_strange(mark: str) -> bool:
    if mark.isascii():
        return mark in _MARKUP or (not mark.isprintable() and mark not in "\n\t\r")
    category = unicodedata.category(mark)
    foreign = category[0] == "L" and not unicodedata.name(mark, "").startswith("LATIN")
    return foreign or category[0] == "C"
