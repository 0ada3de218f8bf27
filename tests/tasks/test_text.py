"""The five text tasks and their data files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks.common import SPLITS
from parallelbench.tasks.text import Paraphrasing, Summarization, WordsToSentence, rows

TASKS = [Summarization(), Paraphrasing(), *(WordsToSentence(level) for level in ("easy", "medium", "hard"))]
tasks = st.sampled_from(TASKS)
seeds = st.integers(-(2**40), 2**40)
names = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@given(tasks, seeds, st.integers(1, 10), st.integers(1, 10), st.sampled_from(SPLITS))
def test_samples_are_a_pure_function_with_the_prefix_property(task, seed, few, more, split):
    more = min(few + more, task.available(split))
    few = min(few, more)
    assert task.samples(seed, more, split)[:few] == task.samples(seed, few, split)


@given(tasks, seeds, st.sampled_from(SPLITS))
def test_every_seed_asks_every_text_once(task, seed, split):
    count = task.available(split)
    by_file, by_seed = ([sample.messages[-1]["content"] for sample in task.samples(s, count, split)] for s in (0, seed))
    assert sorted(by_seed) == sorted(by_file)
    assert len(set(by_seed)) == count


@names
def test_seed_zero_keeps_the_order_of_the_file_and_others_do_not(task):
    asked = [task.facts(row) for row in rows(task.data, "test")]
    assert [sample.facts for sample in task.samples(0, task.default_count)] == asked
    assert [sample.facts for sample in task.samples(1, task.default_count)] != asked


@names
def test_test_and_train_share_no_text(task):
    test, train = (
        {sample.messages[-1]["content"] for sample in task.samples(0, task.available(split), split)} for split in SPLITS
    )
    assert len(test) >= 20 and train and not test & train


@names
def test_every_text_has_at_least_three_references_and_no_example_turn(task):
    for split in SPLITS:
        for sample in task.samples(0, task.available(split), split):
            assert len(set(sample.facts["references"])) >= 3
            assert sample.answer in sample.facts["references"]
            assert [turn["role"] for turn in sample.messages] == ["user"]
            assert sample.template is None


@names
def test_more_texts_than_there_are_is_refused_with_their_number(task):
    for split in SPLITS:
        count = task.available(split)
        assert len(task.samples(0, count, split)) == count
        with pytest.raises(UsageError, match=f"{count + 1} samples asked for, the {split} split has {count}"):
            task.samples(0, count + 1, split)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 6, 7])
def test_variants_take_the_first_words_of_the_same_sets(level, n):
    task = WordsToSentence(level, n)
    assert task.name == f"words_to_sentence/{level}" + ("" if n == 4 else f"@n={n}")
    full = WordsToSentence(level, 7).samples(0, task.default_count)
    samples = task.samples(0, task.default_count)
    assert [sample.facts["words"] for sample in samples] == [sample.facts["words"][:n] for sample in full]
    for sample in samples:
        prompt = sample.messages[-1]["content"]
        assert ", ".join(sample.facts["words"]) in prompt
        assert ("this word occurs" in prompt) == (n == 1)


@given(seeds)
def test_every_reference_sentence_begins_with_the_stem_of_its_words(seed):
    """A coarse check of the data; the scorer's inflection rules check it finely."""
    task = WordsToSentence("easy", 7)
    for sample in task.samples(seed, 10):
        for reference in sample.facts["references"]:
            said = re.findall(r"[a-z]+", reference.lower())
            for word in sample.facts["words"]:
                assert any(form[:2] == word[:2] for form in said), (word, reference)


def test_a_dialogue_is_shown_as_lines_with_speakers():
    for sample in Summarization().samples(0, 20):
        lines = sample.facts["dialogue"].split("\n")
        assert len(lines) >= 4 and all(re.match(r"[A-Z][^:]*: \S", line) for line in lines)
        assert sample.facts["dialogue"] in sample.messages[-1]["content"]


@pytest.mark.parametrize("n", [0, 2, 8, "many"])
def test_impossible_numbers_of_words_are_refused(n):
    with pytest.raises(UsageError, match=r"words_to_sentence/easy: n=.* Allowed: 1, 3, 4, 5, 6, 7\."):
        WordsToSentence("easy", n)


def test_an_unknown_level_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'medium'"):
        WordsToSentence("mediun")
