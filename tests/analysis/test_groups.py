"""Mean curves of groups of tasks, recomputed by hand."""

import numpy as np
import pytest

from analysis.frames import frame, lane
from parallelbench.analysis.bootstrap import draw
from parallelbench.analysis.groups import COMMON, EVERYTHING, common_tasks, group_curves, task_groups


def test_groups_are_all_tasks_and_the_categories():
    table = frame(*(lane(task, "confidence:k=4", 0, 1.0) for task in ("b/z", "a/x10", "a/x9")))
    assert list(task_groups(table).items()) == [
        (EVERYTHING, ["a/x9", "a/x10", "b/z"]), ("a", ["a/x9", "a/x10"]), ("b", ["b/z"])
    ]  # fmt: skip
    assert task_groups(table.iloc[:0]) == {}


def test_tasks_that_every_model_has_are_a_group_where_some_model_has_more():
    both = [lane(task, "confidence:k=4", 0, 1.0, model=model) for task in ("b/z", "a/x10", "a/x9") for model in "mn"]
    more = lane("a/y", "confidence:k=4", 0, 1.0, model="n")
    assert common_tasks(frame(*both)) == common_tasks(frame(*both, more)) == ["a/x9", "a/x10", "b/z"]
    assert common_tasks(frame(more, lane("a/x9", "confidence:k=4", 0, 1.0, model="m"))) == []
    assert common_tasks(frame(more).iloc[:0]) == []
    assert list(task_groups(frame(*both))) == [EVERYTHING, "a", "b"]
    assert list(task_groups(frame(*both, more)).items()) == [
        (EVERYTHING, ["a/x9", "a/x10", "a/y", "b/z"]), (COMMON, ["a/x9", "a/x10", "b/z"]),
        ("a", ["a/x9", "a/x10", "a/y"]), ("b", ["b/z"]),
    ]  # fmt: skip


def lanes_of(scores):
    return [
        lane(task, "confidence:k=4", number, score) for task, row in scores.items() for number, score in enumerate(row)
    ]


SCORES = {"a/x": [1.0, 0.0, 1.0, 1.0], "a/y": [0.0, 0.0, 1.0], "b/z": [1.0, 1.0]}


def test_means_and_intervals_of_a_group_are_those_of_its_tasks():
    table = frame(*lanes_of(SCORES))
    found = group_curves(table, task_groups(table), bootstrap=200, seed=3).set_index("group")
    assert found["score"].to_dict() == pytest.approx(
        {EVERYTHING: (75 + 100 / 3 + 100) / 3, "a": (75 + 100 / 3) / 2, "b": 100.0}
    )
    drawn = {task: draw(len(row), 200, 3, task) @ (100 * np.array(row)) / len(row) for task, row in SCORES.items()}
    expected = np.quantile((drawn["a/x"] + drawn["a/y"]) / 2, [0.025, 0.975])
    assert found.loc["a", ["low", "high"]].to_numpy(dtype=float) == pytest.approx(expected)
    assert found.loc["b", ["low", "high"]].tolist() == [100, 100]


def test_without_resamples_or_lanes_there_are_no_intervals():
    table = frame(*lanes_of(SCORES))
    found = group_curves(table, task_groups(table), bootstrap=0)
    assert found[["low", "high"]].isna().all(axis=None) and len(found) == 3
    assert group_curves(table, {}, bootstrap=0).empty
