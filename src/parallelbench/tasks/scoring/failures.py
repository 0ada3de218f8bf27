"""What parallel decoding does to a text, told by kind: every detector is a pure function of the text.

Tokens committed in one step do not see each other, so each is plausible where it stands and together they clash:
a word comes twice, an article misses its noun, two endings meet. Detectors are careful rather than complete: what
they find is wrong with near certainty, what they miss is more than they find (docs/metrics.md has the rates).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from parallelbench.tasks.names import name_list

Span = tuple[int, int]
"""First character and the one after the last."""
Finder = Callable[[str, str], Iterator[Span]]
"""(text, prompt) -> where the failure stands."""

MAX_CHARACTERS = 5_000
"""Longer texts are judged by their beginning."""
MAY_DOUBLE = frozenset({"that", "had"})
_DOUBLED = re.compile(r"\b([^\W_]+(?:['’][^\W\d_]+)*)\s+\1\b(?!['’-]\w)", re.IGNORECASE)
_REPEATED = re.compile(r"\b([^\W_]+(?:\s+[^\W_]+){1,9})\s+\1\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?)\s+[\"“'‘(]?([^\W_]+)", re.IGNORECASE)
_MASK = re.compile(r"\[MASK\]|<\|?(?:mdm_|text_)?mask\|?>", re.IGNORECASE)
_FULL_NAME = re.compile(r"\b([A-Z][a-z]+)\s+([A-Z][a-z]+)\b")
_LABEL = re.compile(r"(?<=[a-z] )A\b")
"""`Vitamin A` and `Platform A` hold no article."""
_CLOSERS = "\"'”’)"
_STOPS = (".", "!", "?", "…")

_VOWEL_SOUND = re.compile(
    r"(?:hour|hono|heir|honest)|(?!uni(?!m|n[^i])|us[aeu]|ut[ei]|eu|ew|on[ce]e?(?![a-z])|one-|u[bfkr][aiou])[aeiou]"
)
_LETTER_WORDS = re.compile(r"[A-Z]{2,}s?|[A-Z]|[A-Z]\d+")
_NUMBERS = re.compile(r"8\d*|1[18](?:\d{3})?")


def _doubled_word(text: str, prompt: str) -> Iterator[Span]:
    return (m.span() for m in _DOUBLED.finditer(text) if m[1].lower() not in MAY_DOUBLE and not m[1].isdigit())


def _repeated_span(text: str, prompt: str) -> Iterator[Span]:
    """Two to ten words that come at once again."""
    return (m.span() for m in _REPEATED.finditer(text))


def _article(text: str, prompt: str) -> Iterator[Span]:
    for match in _ARTICLE.finditer(text):
        article, word = match[1].lower(), match[2]
        known = _begins_with_vowel(word)
        if known is not None and known != (article == "an"):
            yield match.span()


def _begins_with_vowel(word: str) -> bool | None:
    """Whether a word sounds like it; None for what is read out letter by letter or not at all."""
    if word[0].isdigit():
        return bool(_NUMBERS.fullmatch(word))
    if _LETTER_WORDS.fullmatch(word) or not word.isascii():
        return None
    return bool(_VOWEL_SOUND.match(word.lower()))


def _swapped_name(text: str, prompt: str) -> Iterator[Span]:
    """`Lopez Maria` where the prompt says `Maria Lopez`, or where only that order is one of our names."""
    given = {match.groups() for match in _FULL_NAME.finditer(prompt)}
    first, last = _name_sets()
    for match in _FULL_NAME.finditer(text):
        one, two = match.groups()
        listed = one in last and one not in first and two in first and two not in last
        if (one, two) not in given and ((two, one) in given or listed):
            yield match.span()


@cache
def _name_sets() -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(name_list("first_names")), frozenset(name_list("last_names"))


def _broken_pair(text: str, prompt: str) -> Iterator[Span]:
    """A bracket or quotation mark without its partner; apostrophes are no quotation marks."""
    waiting: list[tuple[str, int]] = []
    partner = {")": "(", "]": "[", "}": "{", "”": "“"}
    for at, mark in enumerate(text):
        if mark in partner.values():
            waiting.append((mark, at))
        elif mark in partner:
            if waiting and waiting[-1][0] == partner[mark]:
                waiting.pop()
            else:
                yield at, at + 1
    yield from ((at, at + 1) for _, at in waiting)
    straight = [match.start() for match in re.finditer('"', text)]
    if len(straight) % 2:
        yield straight[-1], straight[-1] + 1


def _leftover_mask(text: str, prompt: str) -> Iterator[Span]:
    return (match.span() for match in _MASK.finditer(text))


def _truncated(text: str, prompt: str) -> Iterator[Span]:
    """An end without a full stop, or with one after a word that nothing ends with."""
    text = text.rstrip()
    if text and not text.rstrip(_CLOSERS).endswith(_STOPS):
        yield len(text) - 1, len(text)
    yield from (match.span() for match in _CUT_OFF.finditer(text))


def _agreement(text: str, prompt: str) -> Iterator[Span]:
    return (match.span() for match in _DISAGREE.finditer(text))


def _clash(text: str, prompt: str) -> Iterator[Span]:
    """Function words or marks that never stand side by side."""
    return (match.span() for match in _CLASH.finditer(text))


def _words(*words: str) -> str:
    return rf"(?:{'|'.join(' '.join(words).split())})"


_DETERMINER = _words("a an the my your our their every")
_SUBJECT = _words("he she we they")
_AND = _words("and or but nor")
_BE = _words("is are was were")
_NO_NOUN = _words(
    "of to from with for by at in on into", "and or but nor because although than",
    "is are was were has have had be been does did would could should", "a an the my your our their every his",
    "he she we they him them us who which",
)  # fmt: skip
_CUT_OFF = re.compile(
    rf"\b(?:an|the|my|your|our|every|{_AND}|because|although|(?<![.\w])a)[.!?](?=\s|[{_CLOSERS}]|$)"
    rf"|\b{_DETERMINER}\s*[,;:](?=\s|$)",
    re.IGNORECASE,
)
_CLASH = re.compile(
    rf"\b{_DETERMINER}\s+{_NO_NOUN}\b(?!['’-]\w)"
    rf"|\b(?:of|at|with|from|into|during)\s+(?:of|to|{_SUBJECT})\b(?!['’-]\w)"
    rf"|\b{_SUBJECT}\s+(?:of|{_SUBJECT}|an?|the|my|your|our|their)\b(?!['’-]\w)"
    rf"|\b{_AND}\s+{_AND}\b"
    rf"|\b{_BE}\s+{_BE}\b"
    rf"|\b(?:would|could|should|must|will|can)\s+(?:{_BE}|has|had|does|did)\b"
    r"|[,;:]\s*[,;:.!?]|(?<!\.)\.\s?\.(?!\.)",
    re.IGNORECASE,
)
_AUXILIARIES = "and or did does do can could will would should must may might let make made help saw hear".split()
_DISAGREE = re.compile(
    "".join(rf"(?<!\b{word} )" for word in _AUXILIARIES)
    + r"\b(?:he|she|it)\s+(?:are|have|do|don['’]t|haven['’]t|aren['’]t)\b"
    r"|\b(?:we|they)\s+(?:is|was|has|does|doesn['’]t|isn['’]t|wasn['’]t|hasn['’]t)\b"
    r"|\bI\s+(?:is|are|has|does|isn['’]t|aren['’]t|doesn['’]t|hasn['’]t)\b"
    r"|\b(?:these|those)\s+\w+s\s+(?:is|was|has|does)\b"
    r"|\b(?:this|every|each)\s+\w*[^\Ws]\s+(?:are|were)\b",
    re.IGNORECASE,
)

FINDERS: Mapping[str, Finder] = {
    "doubled word": _doubled_word,
    "a/an mismatch": _article,
    "swapped name": _swapped_name,
    "broken bracket or quote": _broken_pair,
    "leftover mask": _leftover_mask,
    "repeated span": _repeated_span,
    "truncated sentence": _truncated,
    "agreement error": _agreement,
    "word clash": _clash,
}
"""Every kind of failure and who finds it."""


def find_failures(text: str, prompt: str = "") -> dict[str, list[Span]]:
    """Where a text shows which kind of failure; kinds that it does not show are left out.

    Args:
        text: The answer, of any content.
        prompt: What was asked; it tells which order of a name is right.
    """
    text = _LABEL.sub("Z", text[:MAX_CHARACTERS])
    found = {kind: list(finder(text, prompt)) for kind, finder in FINDERS.items()}
    return {kind: spans for kind, spans in found.items() if spans}


def failure_parts(text: str, prompt: str = "") -> dict[str, float | None]:
    """Counts for `Score.parts`, `failure: KIND` each; kinds that do not occur are left out."""
    return {f"failure: {kind}": float(len(spans)) for kind, spans in find_failures(text, prompt).items()}
