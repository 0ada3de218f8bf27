import json
import subprocess
import sys

import pytest

from parallelbench.decoding import METHODS
from parallelbench.models.registry import MODELS
from parallelbench.tasks import TASKS


def test_help_and_lists_of_tasks_need_no_torch():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom parallelbench.cli.main import app\n"
        "for words in (['--help'], ['run', '--help'], ['list', 'tasks'], ['show', 'copy'], ['--version']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0, words\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("what", "known"), [("tasks", TASKS), ("methods", METHODS), ("models", MODELS)])
def test_lists_name_everything(pb, what, known):
    done = pb("list", what)
    assert done.code == 0 and done.raw_err == ""
    assert max(map(len, done.out.splitlines())) <= 100
    assert [row["name"] for row in json.loads(pb("list", what, "--json").out)] == list(known)


def test_a_method_tells_its_parameters_and_its_sweep(pb):
    rows = {row["name"]: row for row in json.loads(pb("list", "methods", "--json").out)}
    tau = rows["threshold"]["parameters"]["tau"]
    assert (tau["default"], tau["allowed"]) == (0.9, "a number from 0 to 1")
    assert rows["confidence"]["sweep"] == [{"k": k} for k in (1, 2, 4, 8, 16, 32)]


def test_a_sample_shows_its_prompt_and_answers(pb):
    done = pb("show", "shuffle@n=3")
    assert done.code == 0
    assert "user:" in done.out and "correct answers: 5" in done.out and "more" not in done.out.split("correct")[1]
    shown = json.loads(pb("show", "shuffle@n=6", "--sample", "3", "--json").out)
    assert (shown["sample"], shown["answers"], len(shown["shown"])) == ("waiting_line/shuffle@n=6.1/test/0/3", 719, 5)
    assert shown["messages"][-1]["role"] == "user"


def test_a_sample_that_is_not_there_is_told(refused):
    assert "no sample -1; the test split has any number, counted from 0" in refused("show", "copy", "--sample", "-1")
    assert "no sample 9999; the test split has" in refused("show", "easy", "--sample", "9999")
    assert "Unknown split 'tst'. Did you mean 'test'?" in refused("show", "copy", "--split", "tst")
    assert "Unknown task 'copi'" in refused("show", "copi", "--json")
    assert "Task 'easyy'" in refused("show", "easyy") or "Unknown task 'easyy'" in refused("show", "easyy")


def test_an_unknown_list_is_told(refused):
    assert "Unknown list 'task'. Did you mean 'tasks'? Known: methods, models, tasks." in refused("list", "task")


def test_chats_are_exported_to_a_file_or_to_stdout(pb, tmp_path):
    done = pb("export-chat", "copy", "--samples", "3", "--out", "train.jsonl")
    assert (done.code, done.out) == (0, "") and "3 samples written to train.jsonl" in done.err
    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    piped = pb("export-chat", "copy", "--samples", "3")
    assert piped.out.splitlines() == lines and len(lines) == 3
    assert json.loads(lines[0])["messages"][-1]["role"] == "assistant"


def test_an_export_that_cannot_be_written_is_told(pb, refused):
    done = pb("export-chat", "copy", "--samples", "3", "--out", "missing/train.jsonl")
    assert (done.code, done.out) == (1, "") and "Cannot write missing/train.jsonl: No such file" in done.err
    assert "the number of samples must be a whole number from 1, got 0" in refused(
        "export-chat", "copy", "--samples", "0"
    )


def test_the_version_is_told(pb):
    from parallelbench import __version__

    assert pb("--version").out == f"parallelbench {__version__}\n"
