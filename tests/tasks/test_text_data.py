"""The quality of the texts that the package ships: counts, variety, grammar, inclusion."""

import re
from collections import Counter, defaultdict

import pytest

from parallelbench.tasks.scoring import grammar, set_grammar, words
from parallelbench.tasks.text import rows

FILES = {"summarization": 3, "paraphrasing": 5, "words_easy": 3, "words_medium": 3, "words_hard": 3}
"""References a sample."""
PATTERN_SHARE = 0.02
RUN = 6
FUNCTION_WORDS = frozenset(
    "a an the and or but nor so of to in on at by for from with into over under up down out off as if when while "
    "because although until before after since than that which who whom whose what where why how i you he she it we "
    "they me him her us them my your his its our their this these those is are was were be been being has have had do "
    "does did will would can could shall should may might must not no every each some any all both one".split()
)
files = pytest.mark.parametrize("data", FILES)


def all_rows(data):
    return [*rows(data, "test"), *rows(data, "train")]


def references(data):
    return [reference for row in all_rows(data) for reference in row["references"]]


def prompt_words(row):
    dialogue = " ".join(f"{speaker} {line}" for speaker, line in row.get("dialogue", []))
    return " ".join([dialogue, row.get("sentence", ""), *row.get("words", [])])


@files
def test_splits_have_their_size_and_ids_are_unique(data):
    assert (len(rows(data, "test")), len(rows(data, "train"))) == (100, 50)
    assert len({row["id"] for row in all_rows(data)}) == 150
    assert {len(row["references"]) for row in all_rows(data)} == {FILES[data]}


def test_no_two_references_share_a_run_of_six_words():
    texts = [text for data in FILES for text in references(data)]
    assert len(set(texts)) == len(texts) >= 2500
    holders = defaultdict(set)
    for at, text in enumerate(texts):
        said = words.tokens(text)
        for start in range(len(said) - RUN + 1):
            holders[tuple(said[start : start + RUN])].add(at)
    assert {" ".join(run): len(found) for run, found in holders.items() if len(found) > 1} == {}


def opening(text):
    """The first three words."""
    return " ".join(words.tokens(text)[:3])


def skeleton(text):
    """The first six words with every content word blanked."""
    return " ".join(word if word in FUNCTION_WORDS else "_" for word in words.tokens(text)[:6])


def shape(text):
    """The whole text with every content word blanked: the template it could come from."""
    return " ".join(word if word in FUNCTION_WORDS else "_" for word in words.tokens(text))


@files
@pytest.mark.parametrize("pattern", [opening, skeleton, shape])
def test_no_pattern_makes_up_more_than_two_percent(data, pattern):
    texts = references(data)
    (most, count), *_ = Counter(map(pattern, texts)).most_common(1)
    assert count <= PATTERN_SHARE * len(texts), f"{count} of {len(texts)} references are {most!r}"


@files
def test_every_reference_and_source_is_good_english(data):
    set_grammar("harper")
    faults = {
        text: found
        for row in all_rows(data)
        for text in [*row["references"], *filter(None, [row.get("sentence")])]
        if (found := grammar.check(text, prompt_words(row)))
    }
    assert faults == {}


@pytest.mark.parametrize("data", ["words_easy", "words_medium", "words_hard"])
def test_every_reference_is_one_sentence_with_all_seven_words(data):
    for row in all_rows(data):
        assert len(row["words"]) == len(set(row["words"])) == 7
        assert not any(words.missing([one], two) == [] for one in row["words"] for two in row["words"] if one != two)
        for text in row["references"]:
            assert words.missing(row["words"], text) == [], text
            assert words.sentence_count(text) == 1, text


def test_word_sets_begin_with_different_words():
    for data in ("words_easy", "words_medium", "words_hard"):
        assert len({row["words"][0] for row in all_rows(data)}) == 150
        assert len({frozenset(row["words"][:4]) for row in all_rows(data)}) == 150


def test_paraphrases_differ_from_their_source_and_from_each_other():
    for row in all_rows("paraphrasing"):
        said = [words.tokens(text) for text in (row["sentence"], *row["references"])]
        assert len(set(map(tuple, said))) == 6, row["id"]


def test_dialogues_have_four_to_twelve_turns_of_at_least_two_speakers():
    for row in all_rows("summarization"):
        assert 4 <= len(row["dialogue"]) <= 12, row["id"]
        assert len({speaker for speaker, _ in row["dialogue"]}) >= 2, row["id"]
        assert all(line.strip() for _, line in row["dialogue"])


def test_summaries_name_nobody_who_is_not_in_the_dialogue():
    """A coarse check of faithfulness: every capitalised word inside a sentence stands in the dialogue too."""
    strange = {
        (row["id"], name)
        for row in all_rows("summarization")
        for text in row["references"]
        for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)
        if name.lower() not in prompt_words(row).lower()
    }
    assert strange == set()


def test_numbers_in_summaries_stand_in_the_dialogue():
    for row in all_rows("summarization"):
        for text in row["references"]:
            for number in re.findall(r"\d+", text):
                assert number in prompt_words(row), (row["id"], number)
