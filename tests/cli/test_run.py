import json
import re
import sqlite3

import pytest

from parallelbench.runs.plan import PRESETS
from parallelbench.runs.store import FILE, SCHEMA, Store

RUN = (
    "run",
    "--preset",
    "quick",
    "--model",
    "ideal",
    "--grammar",
    "none",
    "--samples",
    "1",
    "--task",
    "copy",
    "--method",
    "confidence:k=8",
)
POINT = {"setting", "task", "score", "score_strict", "tps", "effective_tps", "nfe", "n", "unscored"}


def test_run_prints_the_leaderboard_and_where_results_lie(pb):
    done = pb(*RUN)
    assert done.code == 0
    assert "PB80" in done.out and "confidence" in done.out
    assert "1 lanes decoded, 0 were there already; 4 forwards executed for 4 counted." in done.err
    assert "signature: models:ideal@" in done.err and "|tasks:waiting_line/copy.1|n:1|seed:0|" in done.err
    assert "results: runs/quick (again: pb leaderboard runs/quick)" in done.err
    again = pb(*RUN)
    assert again.out == done.out and "0 lanes decoded, 1 were there already" in again.err


def test_forwards_of_several_canvases_are_told_as_such(pb):
    done = pb(*RUN[:-1], "freedave:d=4")
    told = re.search(r"(\d+) canvases executed for (\d+) counted, in (\d+) forwards", done.err)
    assert int(told[1]) == int(told[2]) > int(told[3]) > 0


def test_json_is_the_leaderboard_alone(pb):
    done = pb(*RUN, "--json", "--out", "here")
    (entry,) = json.loads(done.out)
    assert {"model", "method", *(f"PB{x}" for x in (90, 80, 75, 70, 60)), "points"} <= set(entry)
    (point,) = entry["points"]
    assert POINT <= set(point)
    assert (point["setting"], point["score"], point["tps"], point["nfe"], point["n"]) == (
        "confidence:k=8",
        100,
        8,
        4,
        1,
    )
    assert json.loads(pb("leaderboard", "here", "--json").out) == [entry]


def test_the_table_is_of_the_lanes_asked_for(pb):
    pb(*RUN, "--profile", "pb2025")
    done = pb(*RUN, "--seed", "3", "--json")
    assert done.code == 0 and json.loads(done.out)[0]["points"][0]["n"] == 1
    assert json.loads(done.out)[0]["profile"] == "native"


def test_progress_is_lines_on_stderr_where_there_is_no_terminal(pb):
    done = pb(*RUN)
    assert done.raw_err.startswith("decoding ideal: 1 of 1 (0 s)\n")
    assert "decoding" not in done.out and "\x1b" not in done.out + done.raw_err


def test_help_has_an_example_and_names_every_preset(pb):
    done = pb("run", "--help")
    assert done.code == 0 and "Example: pb run --preset quick" in done.out
    assert all(name in done.out for name in PRESETS)
    assert all(f"--{name}" in done.out for name in ("model", "task", "method", "samples", "seed", "data", "executor"))
    assert max(map(len, done.out.splitlines())) <= 80


def test_failed_lanes_are_told_with_their_first_error(pb, monkeypatch):
    from parallelbench.models.ideal import IdealDenoiser

    def logits(self, canvas, attention_mask, rows):
        raise ArithmeticError("the model broke")

    with monkeypatch.context() as patch:
        patch.setattr(IdealDenoiser, "logits", logits)
        done = pb(*RUN, "--json")
    assert done.code == 1 and json.loads(done.out)[0]["points"][0]["unscored"] == 1
    assert "1 lanes ended in an error; the same command tries them again." in done.err
    assert "The first error: ArithmeticError: the model broke" in done.err
    healed = pb(*RUN, "--json")
    assert healed.code == 0 and json.loads(healed.out)[0]["points"][0]["score"] == 100


def newer(path):
    Store(path, create=True).close()
    connection = sqlite3.connect(path / FILE)
    connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    connection.close()


def foreign(path):
    path.mkdir()
    connection = sqlite3.connect(path / FILE)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()


def truncated(path):
    Store(path, create=True).close()
    (path / FILE).write_bytes((path / FILE).read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (newer, f"has schema {SCHEMA + 1}, this version reads up to {SCHEMA}: upgrade parallelbench."),
        (foreign, "is not a ParallelBench store. Nothing was changed; give another directory."),
        (truncated, "is damaged"),
    ],
)
def test_a_directory_with_something_else_is_left_alone(refused, tmp_path, spoil, told):
    spoil(tmp_path / "there")
    before = (tmp_path / "there" / FILE).read_bytes()
    for words in ((*RUN, "--out", "there"), ("leaderboard", "there")):
        message = refused(*words)
        assert told in message and f"there/{FILE}" in message
    assert (tmp_path / "there" / FILE).read_bytes() == before


def test_a_directory_in_use_and_one_that_cannot_be_made_are_told(pb, tmp_path):
    with Store(tmp_path / "busy", create=True):
        done = pb(*RUN, "--out", "busy")
    assert (done.code, done.out) == (1, "")
    assert "Error: Another process is writing to busy. Wait until it has ended" in done.err
    (tmp_path / "file").write_text("")
    done = pb(*RUN, "--out", "file")
    assert (done.code, done.out) == (1, "")
    assert "Error: Cannot make the run directory file: File exists. Give another directory." in done.err


def test_ctrl_c_ends_with_a_sentence(pb, monkeypatch):
    def interrupted(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("parallelbench.runs.execute.run", interrupted)
    done = pb(*RUN)
    assert (done.code, done.out) == (1, "")
    assert done.raw_err == "Interrupted. What was finished is stored; the same command goes on from there.\n"


def test_a_run_that_names_no_model_takes_the_built_in_ones_that_fit(pb):
    done = pb("run", "--task", "copy", "--samples", "1", "--method", "confidence:k=16", "--out", "both", "--json")
    assert [entry["model"] for entry in json.loads(done.out)] == ["ideal", "tiny"]
    words = ("run", "--task", "copy", "--task", "words_to_sentence/easy", "--samples", "1", "--grammar", "none")
    done = pb(*words, "--method", "confidence:k=32", "--out", "more")
    assert "3 lanes decoded" in done.err
    for only in (
        ("--task", "words_to_sentence/easy", "--method", "confidence:k=64"),
        ("--task", "copy", "--method", "pc_sampler:k=32"),
    ):
        done = pb("run", *only, "--samples", "1", "--grammar", "none", "--out", "ideal", "--json")
        assert {entry["model"] for entry in json.loads(done.out)} == {"ideal"}
