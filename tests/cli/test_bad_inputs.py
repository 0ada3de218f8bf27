import json
from pathlib import Path

import pytest

from shared import shared

RUN = ("run", "--preset", "quick", "--out", "new")

REFUSED = {
    "unknown task": (("--task", "shufle"), "Unknown task 'shufle'. Did you mean 'shuffle'? Known: all, copy,"),
    "unknown option of a task": (("--task", "shuffle@m=5"), "Unknown option of task 'waiting_line/shuffle': 'm'"),
    "impossible length": (("--task", "shuffle@n=99"), "n=99 is not possible. The nearest is 20. Allowed: 2, 3,"),
    "unknown method": (("--method", "confidense"), "Unknown method 'confidense'. Did you mean 'confidence'? Known:"),
    "unknown model": (("--model", "idael"), "Unknown model 'idael'. Did you mean 'ideal'? Known:"),
    "unknown parameter": (
        ("--method", "threshold:tua=0.9"),
        "Unknown parameter of threshold 'tua'. Did you mean 'tau'?",
    ),
    "unknown parameter of a model": (
        ("--model", "ideal:nose=0"),
        "Unknown parameter of ideal 'nose'. Did you mean 'noise'?",
    ),
    "value out of range of a model": (
        ("--model", "ideal:noise=-1"),
        "noise=-1 is not allowed; noise is a number from 0",
    ),
    "not a parameter": (
        ("--method", "confidence:4"),
        "'confidence:4': expected key=value after 'confidence:', got '4'",
    ),
    "parameter given twice": (("--method", "confidence:k=1,k=2"), "'k' is given twice"),
    "unknown preset": (
        ("--preset", "papr"),
        "Unknown preset 'papr'. Did you mean 'paper'? Known: paper, quick, standard.",
    ),
    "unknown profile": (
        ("--profile", "pb2026"),
        "Unknown profile 'pb2026'. Did you mean 'pb2025'? Known: native, pb2025.",
    ),
    "unknown grammar": (
        ("--grammar", "harpr"),
        "Unknown grammar backend 'harpr'. Did you mean 'harper'? Known: harper, ",
    ),
    "unknown executor": (("--executor", "rey"), "Unknown executor 'rey'. Did you mean 'ray'? Known: local, ray."),
    "k that does not divide": (
        ("--method", "confidence:k=3"),
        "k=3 does not divide the block of 32; allowed: 1, 2, 4, 8, 16, 32.",
    ),
    "k larger than the block": (
        ("--method", "confidence:k=8,block=4"),
        "'confidence:k=8,block=4': k=8 does not divide the block of 4; allowed: 1, 2, 4.",
    ),
    "block that does not divide": (
        ("--method", "threshold:tau=0.9,block=5"),
        "block=5 does not divide max_tokens 32; allowed: 1, 2, 4, 8, 16, 32.",
    ),
    "k below 1": (("--method", "confidence:k=0"), "confidence: k=0 is not allowed; k is a whole number of at least 1."),
    "k that is not whole": (("--method", "confidence:k=1.5"), "confidence: k=1.5 is not allowed"),
    "tau above 1": (
        ("--method", "threshold:tau=1.5"),
        "threshold: tau=1.5 is not allowed; tau is a number from 0 to 1.",
    ),
    "tau below 0": (
        ("--method", "threshold:tau=-0.1"),
        "threshold: tau=-0.1 is not allowed; tau is a number from 0 to 1.",
    ),
    "tau that is no number": (("--method", "threshold:tau=nan"), "threshold: tau=nan is not allowed"),
    "no samples": (("--samples", "0"), "samples=0 is not allowed; samples is a whole number of at least 1."),
    "negative samples": (("--samples", "-3"), "samples=-3 is not allowed"),
    "samples in letters": (("--samples", "ten"), "Invalid value for '--samples': 'ten' is not a whole number."),
    "seed in letters": (("--seed", "lucky"), "Invalid value for '--seed': 'lucky' is not a whole number."),
    "seed with a fraction": (("--seed", "1.5"), "Invalid value for '--seed': '1.5' is not a whole number."),
    "batch size 0": (("--batch-size", "0"), "batch_size=0 is not allowed; it is a whole number of at least 1."),
    "missing data": (("--data", "nowhere"), "nowhere: no such folder of published data."),
    "wrong flag": (("--sampels", "3"), "No such option: --sampels"),
    "flag without a value": (("--task",), "Option '--task' requires an argument."),
    "stray word": (("copy",), "Got unexpected extra argument"),
}


@pytest.mark.parametrize(("words", "told"), REFUSED.values(), ids=REFUSED)
def test_a_bad_request_is_refused_before_anything_is_written(refused, tmp_path, words, told):
    assert told in refused(*RUN, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_flag_brings_the_near_ones(refused):
    assert "--samples" in refused(*RUN, "--sampels", "3")


def test_json_changes_nothing_about_a_refusal(refused):
    assert "Did you mean 'copy'" in refused(*RUN, "--task", "copi", "--json")


def test_an_unknown_command_brings_the_near_one(refused):
    told = refused("leaderbord")
    assert "No such command 'leaderbord'." in told and "Did you mean 'leaderboard'?" in told


def test_an_unknown_subcommand_brings_the_near_one(refused):
    assert "Did you mean 'scorers'?" in refused("conformance", "scorer")


@pytest.fixture
def data(tmp_path):
    """A folder of published files with one good task."""
    folder = tmp_path / "data" / "waiting_line"
    folder.mkdir(parents=True)
    (folder / "task_config.yaml").write_text(
        "waiting_line/copy:\n  prompt: 'Repeat: {context}'\n  metric: list_match_score\n"
    )
    record = {"input": {"context": '["A B", "C D"]'}, "answer": '["A B", "C D"]'}
    (folder / "copy.jsonl").write_text(json.dumps(record) + "\n")
    return folder / "copy.jsonl"


def run_data(*words):
    return (*RUN, "--data", "data", "--method", "confidence:k=8", "--samples", "1", *words)


def test_published_files_run(pb, data):
    done = pb(*run_data("--json"))
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["points"][0]["task"] == "waiting_line/copy"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "copy.jsonl: the file is empty; expected one JSON record a line."),
        ("\n\n", "copy.jsonl: the file is empty"),
        ('{"input": {"context"', "copy.jsonl, line 1: not valid JSON"),
        ("[1, 2]\n", "copy.jsonl, line 1: the record is not of the form that waiting_line/copy needs"),
        ('{"answer": "[]"}\n', "copy.jsonl, line 1: the record has no field 'input'."),
        ("\x00\x01\x02", "copy.jsonl, line 1: not valid JSON"),
        ("[" * 100_000, "copy.jsonl, line 1: "),
    ],
    ids=["empty", "blank", "half a record", "a list", "no field", "bytes", "brackets"],
)
def test_a_corrupt_file_is_told_with_its_line(refused, data, text, told):
    data.write_text(text)
    assert told in refused(*run_data())
    assert not Path("new").exists()


def test_a_later_corrupt_line_is_told_with_its_number(refused, data):
    data.write_text(data.read_text() + '{"input": 5')
    assert "copy.jsonl, line 2: not valid JSON" in refused(*run_data())


def test_a_file_of_other_bytes_is_told(refused, data):
    data.write_bytes(b"\xff\xfe\xff")
    assert "copy.jsonl: cannot be read" in refused(*run_data())


def test_a_folder_without_tasks_is_told(refused, tmp_path):
    (tmp_path / "data").mkdir()
    assert "data: no tasks inside; expected <folder>/<name>.jsonl" in refused(*run_data())


def test_reference_data_is_listed(pb):
    done = pb("list", "tasks", "--data", shared("reference_data"), "--json")
    assert done.code == 0 and len(json.loads(done.out)) >= 17
