"""Words as a reader sees them: whole, in any case, in any regular or common irregular inflection."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*")
_VOWELS = "aeiou"
_BREAK = re.compile(r"(?<=[.!?])\s+(?=[\"'“‘(]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Mt|Jr|Sr|No|vs|etc|approx)|\b[A-Za-z]|\b[a-z]\.[a-z])\.$")


@cache
def _lines(name: str) -> tuple[str, ...]:
    """Lines of a word list beside this module."""
    return tuple(Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines())


@cache
def _irregular() -> dict[str, frozenset[str]]:
    """Base form -> its irregular forms, from lines `base form form ...` (of a verb: past tense first)."""
    table: dict[str, frozenset[str]] = {}
    for line in _lines("irregular.txt"):
        base, *forms = line.split()
        table[base] = table.get(base, frozenset()).union(forms)
    return table


@cache
def irregular_pasts() -> frozenset[str]:
    """First irregular forms, among them every past tense: `fed`, `threw`, `cut`."""
    return frozenset(line.split()[1] for line in _lines("irregular.txt"))


@cache
def irregular_forms() -> frozenset[str]:
    """Every irregular form of any word: `fed`, `thrown`, `mice`."""
    return frozenset().union(*_irregular().values())


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case; an apostrophe inside a word stays, hyphens and underscores part."""
    return [token.lower().replace("’", "'") for token in _TOKEN.findall(text)]


@cache
def forms(word: str) -> frozenset[str]:
    """A lower-case word and its inflections: plural, verb forms, and comparison of common adjectives.

    A word formed from another one is a different word: `farmer` is no form of `farm`.
    """
    found = {word} | _irregular().get(word, frozenset())
    if len(word) > 1 and word.isalpha():
        found |= _s_forms(word) | {stem + end for stem in _stems(word) for end in ("ed", "ing")}
        if word.endswith("ie"):
            found.add(word[:-2] + "ying")
        if word in _lines("gradable.txt"):
            found |= {stem + end for stem in _stems(word) for end in ("er", "est")}
    return frozenset(found)


def _s_forms(word: str) -> set[str]:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return {word[:-1] + "ies"}
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return {word + "es"}
    return {word + "s", word + "es"} if word.endswith("o") else {word + "s"}


def _stems(word: str) -> set[str]:
    """What `-ed`, `-ing`, `-er` and `-est` are put to, in regular spelling."""
    if word.endswith("e"):
        return {word[:-1]} | ({word} if word.endswith(("ee", "oe", "ye")) else set())
    if word.endswith("y") and word[-2] not in _VOWELS:
        return {word, word[:-1] + "i"}
    if word.endswith("c"):
        return {word, word + "k"}
    before = word.replace("qu", "qw")  # the u of qu is no vowel: quit, quitting
    closed = len(word) > 2 and word[-1] not in _VOWELS + "wxy" and before[-2] in _VOWELS and before[-3] not in _VOWELS
    if not closed:
        return {word}
    one_syllable = len(re.findall(r"[aeiouy]+", word)) == 1
    return {word + word[-1]} if one_syllable else {word, word + word[-1]}


def missing(words: Iterable[str], text: str) -> list[str]:
    """The words that do not stand in a text as whole words, in any case or inflection.

    A word of several parts (`ice_cream`) stands there when its parts follow each other, the last one in any
    inflection.
    """
    found = [token.removesuffix("'s").removesuffix("'") for token in tokens(text)]
    literal = tokens(text)
    return [word for word in words if not (_stands(word, found) or _stands(word, literal))]


def _stands(word: str, found: list[str]) -> bool:
    *head, last = tokens(word) or [word]
    size = len(head)
    return any(
        found[at : at + size] == head and at + size < len(found) and found[at + size] in forms(last)
        for at in range(len(found))
    )


def is_echo(words: Iterable[str], text: str) -> bool:
    """Whether a text is nothing but the given words in their order, at most joined by `and`."""
    given = [token for word in words for token in tokens(word)]
    return [token for token in tokens(text) if token != "and" or token in given] == given


def sentence_count(text: str) -> int:
    """How many sentences: breaks are `.`, `!` or `?`, a blank and a capital, but for abbreviations."""
    pieces = _BREAK.split(text.strip())
    return len(pieces) - sum(bool(_ABBREVIATION.search(piece)) for piece in pieces[:-1])
