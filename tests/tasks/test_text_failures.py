"""Failure kinds of parallel decoding: each is found where it stands, and ordinary English shows none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.tasks.base import Sample
from parallelbench.tasks.common import SPLITS
from parallelbench.tasks.scoring import score
from parallelbench.tasks.scoring.failures import FINDERS, failure_parts, find_failures
from parallelbench.tasks.text import rows

PROMPT = "Maria Lopez: Is Chen Wei late?\nTom: No."


@pytest.mark.parametrize(
    ("kind", "text", "where"),
    [
        ("doubled word", "He drinks Drinks water.", ["drinks Drinks"]),
        ("doubled word", "It's it's late and and dark.", ["It's it's", "and and"]),
        ("a/an mismatch", "She ate a apple and an pear.", ["a apple", "an pear"]),
        ("a/an mismatch", "An hour later a honest man bought a 8-seat car.", ["a honest", "a 8"]),
        ("a/an mismatch", "An European sold an unicorn and a umbrella.", ["An European", "an unicorn", "a umbrella"]),
        ("swapped name", "Lopez Maria asks Tom.", ["Lopez Maria"]),
        ("broken bracket or quote", "He left (early.", ["("]),
        ("broken bracket or quote", 'He said "go.', ['"']),
        ("broken bracket or quote", "He left) early] (now}.", [")", "]", "}", "("]),
        ("leftover mask", "The [MASK] sat on a <|mdm_mask|> mat <mask>.", ["[MASK]", "<|mdm_mask|>", "<mask>"]),
        ("repeated span", "He went to the shop to the shop.", ["to the shop to the shop"]),
        ("truncated sentence", "The dog ran after", ["r"]),
        ("truncated sentence", "The dog ran and the. He slept.", ["the."]),
        ("truncated sentence", "In the, a dog slept.", ["the,"]),
        ("agreement error", "He have it, they is late, these dogs was wet.", ["He have", "they is", "these dogs was"]),
        ("word clash", "He gave the of it to the is.", ["the of", "the is"]),
        ("word clash", "Bread, , and milk.. Good.", [", ,", ".."]),
    ],
)  # fmt: skip
def test_a_failure_is_found_where_it_stands(kind, text, where):
    assert [text[start:end] for start, end in find_failures(text, PROMPT)[kind]] == where


@pytest.mark.parametrize(
    "text",
    [
        "She knows that that is wrong, and he had had enough.",
        "An hour ago a university and an FBI agent met a one-eyed man in a U-boat.",
        "A European uncle used an umbrella for a use only he knew.",
        "Maria Lopez asks Chen Wei whether it is late (it is not).",
        'He said "go", and "now" too.',
        "The dogs' bowl isn't empty…",
        "At 8 a.m. he and she are here; did he have time?",
        "Grade A eggs and vitamin A are sold here.",
        "The translator, the translator's wife and 11 11 are here.",
    ],
)
def test_ordinary_english_shows_no_failure(text):
    assert find_failures(text, PROMPT) == {}


def test_a_swap_of_listed_names_needs_no_prompt():
    assert find_failures("Then Kowalski Maria left.").keys() <= {"swapped name"}
    assert find_failures("Maria Kowalski left.") == {}


def test_references_show_next_to_none():
    """The detectors' own false alarms, kind by kind, on every text the package ships."""
    texts = [
        reference
        for data in ("summarization", "paraphrasing", "words_easy", "words_medium", "words_hard")
        for split in SPLITS
        for row in rows(data, split)
        for reference in row["references"]
    ]
    alarms = {text: found for text in texts if (found := find_failures(text))}
    assert len(texts) >= 1500 and alarms == {}


@given(st.text(max_size=300) | st.text("ab \"()[].,'aan", max_size=200), st.text(max_size=80))
def test_spans_lie_in_any_text_and_parts_count_them(text, prompt):
    found = find_failures(text, prompt)
    assert set(found) <= set(FINDERS)
    assert all(0 <= start < end <= len(text) for spans in found.values() for start, end in spans)
    assert failure_parts(text, prompt) == {f"failure: {kind}": len(spans) for kind, spans in found.items()}


@given(st.lists(st.sampled_from("red green blue seven".split()), min_size=1, max_size=30))
def test_doubled_words_are_counted_like_by_hand(words):
    """Runs of one word: a run of r holds r // 2 pairs that do not overlap."""
    runs, count = 1, 0
    for one, two in zip(words, [*words[1:], ""], strict=True):
        runs = runs + 1 if one == two else 1
        count += one == two and runs % 2 == 0
    assert len(find_failures(" ".join(words)).get("doubled word", [])) == count


def test_scores_of_texts_carry_the_counts():
    facts = {"dialogue": PROMPT, "references": ["Chen Wei is not late."]}
    got = score("summary", Sample("s", 0, (), facts, ""), "Lopez Maria asks an friend if if Wei is late")
    kinds = {name: count for name, count in got.parts.items() if name.startswith("failure: ")}
    assert kinds == {
        "failure: doubled word": 1.0,
        "failure: a/an mismatch": 1.0,
        "failure: swapped name": 1.0,
        "failure: truncated sentence": 1.0,
    }
    assert json.loads(json.dumps(dict(got.parts))) == dict(got.parts)
