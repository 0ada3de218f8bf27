"""A task's content is frozen with its version: prompts, data, drawing and scorer."""

import os
import subprocess
import sys

import pytest

from parallelbench.tasks import TASKS, expand_tasks

# Never edit a row once released, only add: a changed task gets a new version.
FROZEN = {
    ("waiting_line/copy", 1): "7823de4ac677",
    ("waiting_line/reverse", 1): "f7afaea5aeec",
    ("waiting_line/sort", 1): "75b652824a0e",
    ("waiting_line/shuffle", 1): "4eee61fbb825",
    ("waiting_line/insert_index", 1): "160dd601c052",
    ("waiting_line/insert_random", 1): "7aeef9eee428",
    ("waiting_line/remove_index", 1): "7dae31cb1ef0",
    ("waiting_line/remove_random", 1): "e52c550f7f2f",
    ("waiting_line/replace_index", 1): "25d06e7dc2ec",
    ("waiting_line/replace_random", 1): "df815b5ca2cb",
    ("puzzle/latin_square", 1): "0380311292b0",
    ("puzzle/sudoku", 1): "2f2e48e72817",
    ("text/summarization", 1): "2bb7653435d3",
    ("text/paraphrasing", 1): "90f0d65cbbc8",
    ("words_to_sentence/easy", 1): "1657a4459a7d",
    ("words_to_sentence/medium", 1): "c23a0a02a7fb",
    ("words_to_sentence/hard", 1): "042767f6c264",
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
    script = (
        "from parallelbench.tasks import expand_tasks; print([t.digest() for t in expand_tasks(['all'])])"
    )
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
