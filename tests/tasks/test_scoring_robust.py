"""No text whatever makes a scorer raise, hang or give credit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.tasks.base import Sample
from parallelbench.tasks.scoring import MAX_CHARACTERS, SCORERS, score

FACTS = {
    "operation": "",
    "items": ["Ann Lee", "Bo Ray", "Cy Fox"],
    "expected": ["Ann Lee", "Bo Ray", "Cy Fox"],
    "new": "Di May",
    "position": 0,
    "symbols": ["A", "B", "C", "D"],
    "grid": "0042\n2031\n4023\n3214",
    "solution": "1342\n2431\n4123\n3214",
    "dialogue": "Ann: Hi there.",
    "references": ["Ann says hi."],
    "sentence": "Ann says hi to Bo.",
    "words": ["dog", "park"],
}
SAMPLE = Sample("s", 0, (), FACTS, "")
EVERY_SCORER = [(profile, kind) for profile in SCORERS for kind in SCORERS[profile]]
UNITS = ["[", "]", "[]", '["', '["A", ', "[{", '[{"a":', '"', "'", "“", ",", "a,", "{", "|", " ", "\n", "\r\n"]
UNITS += ["\0", "\ud800", "\u202eשלום ", "\x1b[31m", "😀", "A\u0301", "9", "[9", "1234\n", "A,B\n", "```\n"]
UNITS += ["</s>", "<|a|>", "the dog ", "The dog runs. ", "Row 1: ", "here ", "Here\n", "X. "]


@pytest.mark.timeout(100)  # anything quadratic in the length takes hours on a megabyte
@pytest.mark.parametrize("size", [1_000_000, MAX_CHARACTERS, 1_990])
@pytest.mark.parametrize(("profile", "kind"), EVERY_SCORER)
def test_debris_scores_nothing_in_linear_time(profile, kind, size):
    for unit in UNITS:
        text = unit * (size // len(unit))
        got = score(kind, SAMPLE, text, profile)
        unscored = (profile, kind) == ("pb2025", "paraphrase")
        assert (got.lenient, got.strict) == ((None, None) if unscored else (0.0, 0.0)), (unit, got)
        assert got.why.isprintable() and got.why, (unit, got.why)


@pytest.mark.parametrize(("profile", "kind"), EVERY_SCORER)
@given(
    text=st.text(st.characters(), max_size=60)
    | st.text(st.sampled_from("[]\"',\n AnLe134BCD|:;`“”‘’\ud800\0"), max_size=80)
)
def test_any_text_gets_a_score_that_can_be_stored(profile, kind, text):
    got = score(kind, SAMPLE, text, profile)
    for value in (got.lenient, got.strict, *got.parts.values()):
        assert value is None or value >= 0
    if got.lenient is not None:
        assert got.strict <= got.lenient <= 1
    got.why.encode()


def test_native_reads_no_text_longer_than_its_limit():
    right = '["Ann Lee", "Bo Ray", "Cy Fox"]'
    assert score("list_expected", SAMPLE, right + " " * (MAX_CHARACTERS - len(right))).lenient == 1.0
    too_long = score("list_expected", SAMPLE, right + " " * MAX_CHARACTERS)
    assert (too_long.lenient, too_long.why) == (0.0, "text is longer than 100,000 characters")
