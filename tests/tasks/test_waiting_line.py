"""The ten list tasks: what is drawn, what is right, and that nothing but the arguments decides it."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks.base import HOLE
from parallelbench.tasks.common import SPLITS, in_split
from parallelbench.tasks.names import draw_people, last_then_first, name_list
from parallelbench.tasks.waiting_line import KINDS, WaitingLine, expected_list

operations = st.sampled_from(sorted(KINDS))
seeds = st.integers(-(2**40), 2**40)
lengths = st.integers(2, 20)


@given(operations, seeds, st.none() | lengths, st.integers(1, 12), st.integers(1, 12), st.sampled_from(SPLITS))
def test_samples_are_a_pure_function_with_the_prefix_property(operation, seed, n, few, more, split):
    short = WaitingLine(operation, n).samples(seed, few, split)
    assert WaitingLine(operation, n).samples(seed, few + more, split)[:few] == short


@given(operations, seeds, st.none() | lengths)
def test_ids_and_prompts_are_unique(operation, seed, n):
    samples = WaitingLine(operation, n).samples(seed, 30)
    assert [sample.index for sample in samples] == list(range(30))
    assert len({sample.id for sample in samples}) == 30
    assert len({sample.messages[-1]["content"] for sample in samples}) == 30


@given(operations, seeds, seeds, lengths)
def test_test_and_train_share_no_question_and_no_example(operation, seed, other, n):
    task = WaitingLine(operation, n)
    test, train = (
        {turn["content"] for sample in samples for turn in sample.messages if turn["role"] == "user"}
        for samples in (task.samples(seed, 20, "test"), task.samples(other, 20, "train"))
    )
    assert len(test) >= 20 and not test & train


@given(operations, seeds, st.none() | lengths)
def test_every_question_belongs_to_the_split_by_its_content(operation, seed, n):
    task = WaitingLine(operation, n)
    for split in SPLITS:
        assert all(in_split(task.group(sample.facts), split) for sample in task.samples(seed, 8, split))


@given(operations, seeds)
def test_any_four_neighbours_have_the_four_lengths(operation, seed):
    lengths = [len(sample.facts["items"]) for sample in WaitingLine(operation).samples(seed, 100)]
    assert all(sorted(lengths[start : start + 4]) == [3, 4, 5, 6] for start in range(97))
    assert Counter(lengths) == dict.fromkeys((3, 4, 5, 6), 25)


@pytest.mark.parametrize("operation", KINDS)
def test_the_length_of_the_example_does_not_follow_the_length_of_the_question(operation):
    samples = WaitingLine(operation).samples(0, 100)
    shown = {(len(sample.facts["items"]), sample.messages[1]["content"].count(",") + 1) for sample in samples}
    assert len(shown) >= 12, "of the 16 pairs of question and example lengths"


@given(operations, seeds, lengths)
def test_every_list_length_from_2_to_20(operation, seed, n):
    task = WaitingLine(operation, n)
    assert task.name == f"waiting_line/{operation}@n={n}"
    assert task.max_tokens == (32 if n <= 6 else 64 if n <= 10 else 128)
    for sample in task.samples(seed, 3):
        assert len(sample.facts["items"]) == n
        assert [turn["role"] for turn in sample.messages] == ["user", "assistant", "user"]


@given(operations, seeds, st.none() | lengths)
def test_people_are_distinct_in_first_and_in_last_name(operation, seed, n):
    for sample in WaitingLine(operation, n).samples(seed, 4):
        new = sample.facts["new"]
        people = [*sample.facts["items"], *([] if new is None else [new])]
        firsts, lasts = zip(*(person.split(" ") for person in people), strict=True)
        assert len(set(firsts)) == len(set(lasts)) == len(people)


@given(operations, seeds, st.none() | lengths)
def test_answer_and_template_have_the_same_number_of_items(operation, seed, n):
    for sample in WaitingLine(operation, n).samples(seed, 4):
        answer, holes = json.loads(sample.answer), json.loads(sample.template)
        assert holes == [HOLE] * len(answer)
        assert sample.template == sample.template.strip() == json.dumps(holes)


@given(operations, seeds)
def test_the_prompt_says_everything_the_answer_depends_on(operation, seed):
    for sample in WaitingLine(operation).samples(seed, 4):
        prompt = sample.messages[-1]["content"]
        assert json.dumps(sample.facts["items"]) in prompt
        assert '["First Last", "First Last"]' in prompt
        if sample.facts["new"] is not None:
            assert f'"{sample.facts["new"]}"' in prompt
        if sample.facts["position"] is not None:
            assert f"position {sample.facts['position']}" in prompt and "from 0" in prompt


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("copy", ["Cleo Bell", "Abel Cole", "Bea Ames"]),
        ("reverse", ["Bea Ames", "Abel Cole", "Cleo Bell"]),
        ("sort", ["Bea Ames", "Cleo Bell", "Abel Cole"]),
        ("shuffle", None),
        ("insert_random", None),
    ],
)
def test_what_the_whole_list_operations_expect(operation, expected):
    assert expected_list(operation, ["Cleo Bell", "Abel Cole", "Bea Ames"], None, None) == expected


@pytest.mark.parametrize(
    ("operation", "new", "position", "expected"),
    [
        ("insert_index", "N N", 0, ["N N", "A A", "B B"]),
        ("insert_index", "N N", 2, ["A A", "B B", "N N"]),
        ("remove_index", None, 1, ["A A"]),
        ("replace_index", "N N", 1, ["A A", "N N"]),
    ],
)
def test_positions_count_from_zero(operation, new, position, expected):
    assert expected_list(operation, ["A A", "B B"], new, position) == expected


def test_sorting_goes_by_last_name_then_by_first():
    assert sorted(["Ann Zorn", "Zed Adams", "Abe Zorn"], key=last_then_first) == [
        "Zed Adams",
        "Abe Zorn",
        "Ann Zorn",
    ]


def test_positions_reach_both_ends():
    inserted = {(len(s.facts["items"]), s.facts["position"]) for s in WaitingLine("insert_index").samples(0, 400)}
    removed = {(len(s.facts["items"]), s.facts["position"]) for s in WaitingLine("remove_index").samples(0, 400)}
    assert inserted == {(n, position) for n in (3, 4, 5, 6) for position in range(n + 1)}
    assert removed == {(n, position) for n in (3, 4, 5, 6) for position in range(n)}


@given(seeds, st.none() | lengths)
def test_a_copy_never_passes_for_sorting(seed, n):
    for sample in WaitingLine("sort", n).samples(seed, 8):
        assert sample.facts["items"] != sample.facts["expected"]


def test_random_tasks_show_different_answers():
    places = Counter(
        json.loads(sample.answer).index(sample.facts["new"])
        for sample in WaitingLine("insert_random", 4).samples(0, 200)
    )
    assert set(places) == {0, 1, 2, 3, 4} and min(places.values()) >= 20


def test_the_random_operations_are_not_parallel_and_the_others_are():
    assert {operation for operation in KINDS if not WaitingLine(operation).parallel} == {
        "shuffle",
        "insert_random",
        "remove_random",
        "replace_random",
    }


@pytest.mark.parametrize("which", ["first_names", "last_names"])
def test_name_lists_are_long_and_hold_plain_single_words(which):
    names = name_list(which)
    assert len(names) >= 120 and len(set(names)) == len(names)
    assert all(name.isascii() and name.isalpha() and name.istitle() for name in names)


def test_no_first_name_is_a_last_name():
    assert not set(name_list("first_names")) & set(name_list("last_names"))


@given(st.randoms(use_true_random=False), st.integers(1, 21))
def test_drawn_people_are_full_names(random, count):
    people = draw_people(random, count)
    assert len(set(people)) == count and all(len(person.split(" ")) == 2 for person in people)


@pytest.mark.parametrize("n", [1, 21, 0, -3, 4.0, "four", True])
def test_impossible_lengths_are_refused(n):
    with pytest.raises(UsageError, match=r"waiting_line/copy: n=.* is not possible\..*Allowed: 2, 3, .*, 20"):
        WaitingLine("copy", n)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "from 1, got 0"),
        ((0, -5), "from 1, got -5"),
        ((0, 2.0), "from 1, got 2.0"),
        ((0, True), "from 1, got True"),
        (("0", 1), "seed must be a whole number, got '0'"),
        ((0.5, 1), "seed must be a whole number, got 0.5"),
        ((0, 1, "tset"), "Unknown split 'tset'. Did you mean 'test'"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        WaitingLine("copy").samples(*arguments)


def test_an_unknown_operation_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'shuffle'"):
        WaitingLine("shufle")
