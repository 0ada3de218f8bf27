"""Published curves: our own small folder, the real ones where present, and files that can't be read."""

import json

import pytest

from parallelbench.analysis.pbx import PBS
from parallelbench.analysis.published import published_leaderboard, read_curves
from parallelbench.errors import UsageError
from shared import shared

TOPK = "task,tps,accuracy\ncopy,1.0,100\ncopy,2.0,60\navg,1.0,90.0\navg,2.0,70.0\n"
THRESHOLD = "task,tps,accuracy\navg,4.0,70.0\navg,2.0,90.0\n"


@pytest.fixture
def folder(tmp_path):
    one = tmp_path / "small-model"
    one.mkdir()
    (one / "confidence-topk.csv").write_text(TOPK)
    (one / "confidence-threshold.csv").write_text(THRESHOLD)
    return one


def test_small_folder(folder):
    threshold, topk = published_leaderboard(folder)
    assert topk == {
        **{"model": "small-model", "method": "confidence-topk", "kind": "static"},
        **{"PB90": 1.0, "PB80": 1.0, "PB75": 1.0, "PB70": 2.0, "PB60": 2.0},
    }
    assert (threshold["method"], threshold["kind"]) == ("confidence-threshold", "adaptive")
    assert [threshold[f"PB{x}"] for x in PBS] == [2.0, 3.0, 3.5, 4.0, 4.0]


def test_a_folder_of_models(folder):
    assert published_leaderboard(folder.parent) == published_leaderboard(folder)
    (folder.parent / "notes").mkdir()
    other = folder.parent / "another"
    other.mkdir()
    (other / "random.csv").write_text(THRESHOLD)
    entries = published_leaderboard(folder.parent)
    assert [(e["model"], e["method"]) for e in entries][0] == ("another", "random")
    assert len(entries) == 3


def test_rows_are_read_as_they_are(folder):
    table = read_curves(folder)
    assert len(table) == 6
    assert table.iloc[2].to_dict() == {
        **{"model": "small-model", "method": "confidence-topk", "task": "copy", "tps": 1.0, "score": 100.0}
    }


@pytest.mark.parametrize("model", ["dream", "llada15"])
def test_the_published_boards_come_out(model):
    """Every number, `dus` included: its two points at 2.0 tokens a step count as the better one."""
    path = shared(f"published/{model}")
    board = json.loads((path / "leaderboard.json").read_text())["results"]
    ours = {entry["method"]: entry for entry in published_leaderboard(path)}
    assert ours.keys() == board.keys()
    for method, values in board.items():
        for x, value in values.items():
            assert ours[method][f"PB{x}"] == pytest.approx(value, abs=1e-6), (method, x)


def test_both_published_boards_at_once():
    assert {entry["model"] for entry in published_leaderboard(shared("published"))} == {"dream", "llada15"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: expected the header task,tps,accuracy"),
        (b"task,accuracy\n", "line 1: expected the header"),
        (b"task,tps,accuracy\navg,1.0\n", "line 2: expected 3 fields"),
        (
            b"task,tps,accuracy\navg,1,90\n\navg,fast,90\n",
            "line 4: expected tps as a positive number, got 'avg,fast,90'",
        ),
        (b"task,tps,accuracy\navg,0,90\n", "line 2: expected tps"),
        (b"task,tps,accuracy\navg,inf,90\n", "line 2: expected tps"),
        (b"task,tps,accuracy\navg,1,nan\n", "line 2: expected accuracy"),
        (b"task,tps,accuracy\navg,1,101\n", "line 2: expected accuracy"),
        (b"task,tps,accuracy\n,1,10\n", "line 2: expected a task name"),
        (b"task,tps,accuracy\ncopy,1,10\n", "no rows of task 'avg'"),
        (b"task,tps,accuracy\navg,1,\xff\n", "can't be read as CSV"),
        (b'task,tps,accuracy\n"avg,1,10\n', "can't be read as CSV"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(folder, content, message):
    (folder / "klass.csv").write_bytes(content)
    with pytest.raises(UsageError, match="klass.csv") as refusal:
        published_leaderboard(folder)
    assert message in str(refusal.value)


def test_folders_without_curves_are_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no published curves"):
        published_leaderboard(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        published_leaderboard(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is not a folder"):
        read_curves(tmp_path / "nowhere")
