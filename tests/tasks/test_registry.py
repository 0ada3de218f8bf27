"""The task table and how names are read."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks import TASKS, describe, expand_tasks, load_task, task_names

CATEGORIES = {"waiting_line": 10, "puzzle": 2, "text": 2, "words_to_sentence": 3}


def names(texts):
    return [task.name for task in expand_tasks(texts)]


def test_there_are_17_tasks_and_each_is_called_what_the_table_calls_it():
    assert len(TASKS) == 17
    assert task_names() == [make().name for make in TASKS.values()] == list(TASKS)


@given(st.sampled_from(sorted(TASKS)))
def test_full_and_short_names_find_the_same_task(name):
    assert load_task(name) == load_task(name.split("/")[1]) == TASKS[name]()


def test_options_follow_the_name():
    assert load_task("shuffle@n=5") == load_task("waiting_line/shuffle@n=5")
    assert load_task("shuffle@n=5").name == "waiting_line/shuffle@n=5"
    assert load_task("sudoku@blanks=4").name == "puzzle/sudoku"
    assert load_task(load_task("easy@n=7").name) == load_task("easy@n=7")


@pytest.mark.parametrize(("category", "count"), CATEGORIES.items())
def test_a_category_names_its_members(category, count):
    assert names([category]) == [name for name in TASKS if name.startswith(category + "/")]
    assert len(names([category])) == count


def test_all_names_the_17_and_nothing_comes_twice():
    assert names(["all"]) == list(TASKS)
    assert names(["sort", "all", "waiting_line", "waiting_line/sort"]) == [
        "waiting_line/sort",
        *(name for name in TASKS if name != "waiting_line/sort"),
    ]
    assert names(["copy", "copy@n=5"]) == ["waiting_line/copy", "waiting_line/copy@n=5"]


def test_options_of_a_category_go_to_every_member():
    assert names(["waiting_line@n=15"]) == [f"{name}@n=15" for name in TASKS if name.startswith("waiting")]
    with pytest.raises(UsageError, match="Unknown option of task 'puzzle/latin_square': 'n'. Known: none"):
        expand_tasks(["all@n=5"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shufle", "Unknown task 'shufle'. Did you mean 'shuffle'"),
        ("waiting_line/shufle", "Did you mean 'waiting_line/shuffle'"),
        ("", "Unknown task ''"),
        ("shuffle@m=3", "Unknown option of task 'waiting_line/shuffle': 'm'. Known: n"),
        ("shuffle@n", "expected key=value"),
        ("shuffle@n=3,n=4", "'n' is given twice"),
        ("shuffle@n=21", "n=21 is not possible. The nearest is 20. Allowed: 2, "),
        ("shuffle@n=2.4", "n=2.4 is not possible. The nearest is 2. "),
        ("shuffle@n=nan", "n=nan is not possible. Allowed"),
        ("shuffle@n=many", "n=many is not possible. Allowed"),
        ("shuffle@n=true", "n=True is not possible"),
        ("sudoku@blanks=13", "The nearest is 12"),
        ("latin_square@n=4", "Known: none"),
        ("easy@n=2", "n=2 is not possible. The nearest is 1. Allowed: 1, 3, 4, 5, 6, 7"),
        ("easy@operation=copy", "Unknown option"),
    ],
)
def test_bad_names_are_refused_with_what_is_near(text, message):
    for ask in (load_task, lambda name: expand_tasks([name])):
        with pytest.raises(UsageError) as refusal:
            ask(text)
        assert message in str(refusal.value)


def test_a_category_is_no_task_but_is_near_one():
    with pytest.raises(UsageError, match="Unknown task 'waiting_line'"):
        load_task("waiting_line")
    with pytest.raises(UsageError, match="Did you mean 'waiting_line'"):
        expand_tasks(["waiting_lin"])


@pytest.mark.parametrize("name", TASKS)
def test_a_description_is_json_and_tells_the_options(name):
    told = json.loads(json.dumps(describe(load_task(name))))
    assert told["name"] == name and told["category"] == name.split("/")[0] and told["version"] >= 1
    assert told["max_tokens"] == (32 if name.startswith("waiting_line") else 64)
    for key, option in told["options"].items():
        assert load_task(f"{name}@{key}={option['allowed'][-1]}").name.endswith(f"={option['allowed'][-1]}")
    assert set(told["samples"]) == {"test", "train"}


def test_what_can_be_decoded_in_parallel_without_loss():
    lossless = {name for name in TASKS if describe(load_task(name))["parallel"]}
    assert {name.split("/")[1] for name in lossless} == {
        "copy",
        "reverse",
        "sort",
        "insert_index",
        "remove_index",
        "replace_index",
        "sudoku",
    }


@pytest.mark.parametrize("name", ["waiting_line/shuffle@n=15", "puzzle/sudoku@blanks=6", "text/paraphrasing"])
def test_tasks_survive_pickling(name):
    task = load_task(name)
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task and copy.samples(3, 2) == task.samples(3, 2)
