"""Support and score check each other: what is listed is right, and nothing else is."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks import TASKS, expand_tasks, load_task
from parallelbench.tasks.base import Answers, Orderings
from parallelbench.tasks.support import draw_answer, support_of

EXACT = expand_tasks(["waiting_line", "puzzle", "shuffle@n=2", "remove_random@n=2", "sudoku@blanks=12"])
exact = st.sampled_from(EXACT)
seeds = st.integers(0, 2**40)


def assert_right(task, sample, text):
    score = task.score(sample, text)
    assert (score.lenient, score.strict, score.why) == (1.0, 1.0, ""), (task.name, text, score)


@pytest.mark.parametrize("task", EXACT, ids=lambda task: task.name)
def test_every_correct_answer_scores_one(task):
    for sample in task.samples(1, 2 if task.kind == "list_shuffle" else 6):
        for text, weight in task.support(sample):
            assert weight > 0
            assert_right(task, sample, text)


@given(exact, seeds)
def test_the_answer_of_a_sample_is_one_of_the_correct_ones(task, seed):
    (sample,) = task.samples(seed, 1)
    assert sample.answer in dict(task.support(sample))
    assert_right(task, sample, sample.answer)


lists = st.sampled_from([task for task in EXACT if task.name.startswith("waiting_line")])


@settings(max_examples=200)
@given(lists, seeds, st.data())
def test_a_list_is_right_exactly_when_it_is_in_the_support(task, seed, data):
    (sample,) = task.samples(seed, 1)
    people = [*sample.facts["items"], sample.facts["new"] or "Somebody Else"]
    answer = json.loads(sample.answer)
    change = data.draw(st.sampled_from(["swap", "drop", "double", "replace", "any order", "input"]))
    place = data.draw(st.integers(0, len(answer) - 1))
    if change == "swap":
        answer[place], answer[0] = answer[0], answer[place]
    elif change == "drop":
        del answer[place]
    elif change == "double":
        answer.insert(data.draw(st.integers(0, len(answer))), answer[place])
    elif change == "replace":
        answer[place] = data.draw(st.sampled_from(people))
    elif change == "any order":
        answer = data.draw(st.permutations(people))[: data.draw(st.integers(0, len(people)))]
    else:
        answer = sample.facts["items"]
    text = json.dumps(answer)
    right = float(text in dict(task.support(sample)))
    score = task.score(sample, text)
    assert (score.lenient, score.strict) == (right, right), (task.name, text, score)
    assert bool(score.why) == (right == 0)


@settings(max_examples=200)
@given(st.sampled_from([task for task in EXACT if task.name.startswith("puzzle")]), seeds, st.data())
def test_a_grid_is_right_exactly_when_it_is_in_the_support(task, seed, data):
    (sample,) = task.samples(seed, 1)
    lines = sample.answer.split("\n")
    change = data.draw(st.sampled_from(["swap rows", "swap cells", "cell", "drop", "double"]))
    one, two = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    if change == "swap rows":
        lines[one], lines[two] = lines[two], lines[one]
    elif change in ("swap cells", "cell"):
        symbols = [cell for cell in lines[0] if cell != ","]
        step = 2 if "," in lines[0] else 1
        row = list(lines[one])
        row[two * step] = row[0] if change == "swap cells" else data.draw(st.sampled_from(symbols))
        lines[one] = "".join(row)
    elif change == "drop":
        del lines[one]
    else:
        lines.insert(one, lines[two])
    text = "\n".join(lines)
    right = float(text in dict(task.support(sample)))
    score = task.score(sample, text)
    assert (score.lenient, score.strict) == (right, right), (task.name, text, score)


@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith(("text", "words"))])
def test_every_reference_scores_one(name):
    task = load_task(name)
    for sample in task.samples(0, task.available("test")):
        for text, _ in task.support(sample):
            assert_right(task, sample, text)
    for sample in task.samples(0, task.available("train"), "train"):
        assert_right(task, sample, sample.answer)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("copy@n=5", 1),
        ("sort@n=20", 1),
        ("shuffle@n=2", 1),
        ("shuffle@n=5", 119),
        ("shuffle@n=20", 2432902008176639999),
        ("insert_random@n=5", 6),
        ("remove_random@n=5", 5),
        ("replace_random@n=20", 20),
        ("insert_index@n=5", 1),
        ("latin_square", 576),
        ("sudoku@blanks=12", 1),
    ],
)
def test_how_many_answers_are_correct(name, size):
    task = load_task(name)
    for sample in task.samples(0, 3):
        assert len(task.support(sample)) == size


def test_the_orders_of_a_shuffle_are_all_but_the_given_one():
    task = load_task("shuffle@n=4")
    (sample,) = task.samples(0, 1)
    texts = [text for text, _ in task.support(sample)]
    assert len(set(texts)) == 23 and json.dumps(sample.facts["items"]) not in texts
    assert all(sorted(json.loads(text)) == sorted(sample.facts["items"]) for text in texts)


@given(st.integers(0, 2**32), st.integers(2, 6))
def test_a_drawn_answer_is_in_the_support(seed, size):
    orders = Orderings(tuple("ABCDEF"[:size]))
    assert draw_answer(orders, Random(seed)) in dict(orders)
    assert draw_answer(Answers.of("x", "y"), Random(seed)) in ("x", "y")


def test_unknown_references_are_no_support():
    assert support_of("words", {"words": ["moss"]}) is None
    assert support_of("words", {"words": ["moss"], "references": []}) is None


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'sudoku'"):
        support_of("sudokus", {})
