"""A task's content is frozen with its version: prompts, data, drawing and scorer."""

import os
import subprocess
import sys

import pytest

from parallelbench.tasks import TASKS, expand_tasks

# Never edit a row once released, only add: a changed task gets a new version.
FROZEN = {
    ("waiting_line/copy", 1): "63a0a2dcff76",
    ("waiting_line/reverse", 1): "b524d87a8f67",
    ("waiting_line/sort", 1): "eccbc4a00273",
    ("waiting_line/shuffle", 1): "81826f2ec95c",
    ("waiting_line/insert_index", 1): "3fb4a93c065f",
    ("waiting_line/insert_random", 1): "dde39a46d0f3",
    ("waiting_line/remove_index", 1): "8d57a01b55d2",
    ("waiting_line/remove_random", 1): "2c5e4706c697",
    ("waiting_line/replace_index", 1): "2deff7b543fa",
    ("waiting_line/replace_random", 1): "c7fa05e7d7f5",
    ("puzzle/latin_square", 1): "3f73d7d4af14",
    ("puzzle/sudoku", 1): "5e31d4f2f629",
    ("text/summarization", 1): "5fa9f628a937",
    ("text/paraphrasing", 1): "b0312b51b83a",
    ("words_to_sentence/easy", 1): "51752a0a28e9",
    ("words_to_sentence/medium", 1): "4ea3b5820c1c",
    ("words_to_sentence/hard", 1): "010f88cbd906",
}


@pytest.mark.parametrize("name", TASKS)
def test_task_content_matches_its_version(name):
    task = TASKS[name]()
    assert FROZEN.get((name, task.version)) == task.digest(), (
        f"{name} changed: raise its version and add the row ({name!r}, VERSION): {task.digest()!r}"
    )


def test_every_frozen_row_has_a_task():
    assert {name for name, _ in FROZEN} == set(TASKS)


def test_digests_do_not_depend_on_the_process():
    """Pythons with other hash seeds, as on other machines, see the same samples."""
    script = "from parallelbench.tasks import expand_tasks; print([t.digest() for t in expand_tasks(['all'])])"
    here = str([task.digest() for task in expand_tasks(["all"])])
    for hash_seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        there = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == here
