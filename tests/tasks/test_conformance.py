"""`conform_scorers`: the published golden rows, our own fixture, and every way a file can be wrong."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from parallelbench.errors import UsageError
from parallelbench.tasks.conformance import KINDS, conform_scorers
from shared import shared

FIXTURES = Path(__file__).parent / "fixtures" / "scorers"
GOLDEN = FIXTURES / "rows.jsonl"
"""Our own rows, a correct and a few odd answers for every published task; scores follow from the README's rules."""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path) -> Write:
    def write(*rows: object, name: str = "rows.jsonl") -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def row(**changes: object) -> dict[str, object]:
    base = {"task": "waiting_line/copy", "index": 0, "answer": '["A B"]', "prediction": '["A B"]'}
    return {**base, "score": 1.0, "score_strict": 1.0, **changes}


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in row().items() if name != key}


def test_every_published_row():
    report = conform_scorers(shared("golden/scorers/scorers_public.jsonl.gz"), None, "pb2025")
    assert (report["passed"], report["failed"], report["skipped"]) == (5504, 0, 0), report["failures"]
    assert len(report["by_task"]) == 12


def test_every_published_row_with_answers_from_the_data(write):
    lines = gzip.open(shared("golden/scorers/scorers_public.jsonl.gz"), "rt", encoding="utf-8").read().splitlines()
    bare = [{key: value for key, value in json.loads(line).items() if key != "answer"} for line in lines]
    golden = write(*bare)
    report = conform_scorers(golden, shared("reference_data"), "pb2025")
    assert (report["passed"], report["failed"], report["skipped"]) == (5504, 0, 0), report["failures"]
    report = conform_scorers(golden, None, "pb2025")
    assert (report["passed"], report["failed"], report["skipped"]) == (0, 0, 5504)


def test_native_disagrees_where_the_published_scorer_is_wrong():
    report = conform_scorers(shared("golden/scorers/scorers_public.jsonl.gz"), None, "native")
    assert report["passed"] > 3000 and report["failed"] > 1000
    assert len(report["failures"]) == 20


def test_our_own_rows_cover_every_task():
    report = conform_scorers(GOLDEN, None, "pb2025")
    assert (report["failed"], report["skipped"]) == (0, 0), report["failures"]
    assert set(report["by_task"]) == {task for task in KINDS if not task.startswith("waiting_line_n15/")}
    assert report["passed"] == sum(counts["passed"] for counts in report["by_task"].values()) == len(own_rows())


def own_rows() -> list[dict]:
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def test_our_own_rows_hold_every_pair_of_scores():
    assert {(r["score"], r["score_strict"]) for r in own_rows()} == {(0, 0), (1, 0), (1, 1)}


@pytest.mark.parametrize("score", ["score", "score_strict"])
def test_a_wrong_score_of_any_row_is_a_failure(write, score):
    turned = [{**r, score: 1 - r[score]} for r in own_rows()]
    report = conform_scorers(write(*turned), None, "pb2025")
    assert (report["passed"], report["failed"]) == (0, len(turned))


def test_answers_come_from_the_data_when_a_row_has_none(write, tmp_path):
    data = write('{"answer": "[\\"A B\\"]"}', '{"answer": "[\\"C D\\"]"}', name="waiting_line/copy.jsonl").parents[1]
    no_answer = without("answer")
    rows = [
        no_answer,
        {**no_answer, "index": 1},
        {**no_answer, "index": 1, "prediction": '["C D"]'},
        {**no_answer, "answer": None},
        {**no_answer, "index": 2},
        {**no_answer, "task": "waiting_line/sort"},
        {key: value for key, value in no_answer.items() if key != "index"},
    ]
    report = conform_scorers(write(*rows), data, "pb2025")
    assert (report["passed"], report["failed"], report["skipped"]) == (3, 1, 3)
    assert report["by_task"]["waiting_line/copy"] == {"passed": 3, "failed": 1, "skipped": 2}
    assert report["by_task"]["waiting_line/sort"] == {"passed": 0, "failed": 0, "skipped": 1}
    assert report["failures"] == [
        {
            "line": 2,
            "task": "waiting_line/copy",
            "index": 1,
            "prediction": '["A B"]',
            "expected": [1.0, 1.0],
            "got": [0.0, 0.0],
            "why": "not a correct answer",
        }
    ]
    assert json.loads(json.dumps(report)) == report


def test_the_answer_of_a_row_counts_before_that_of_the_data(write):
    data = write('{"answer": "[\\"X Y\\"]"}', name="waiting_line/copy.jsonl").parents[1]
    assert conform_scorers(write(row()), data, "pb2025")["passed"] == 1


def test_a_gzipped_file_reads_like_a_plain_one(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(GOLDEN.read_bytes()))
    plain, packed = conform_scorers(GOLDEN, None, "pb2025"), conform_scorers(path, None, "pb2025")
    assert plain == packed and plain["passed"] > 0


def test_an_empty_file_has_no_rows(write):
    assert conform_scorers(write(""), None, "pb2025") == {
        "passed": 0,
        "failed": 0,
        "skipped": 0,
        "by_task": {},
        "failures": [],
    }


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(task="waiting_line/coppy"), "Unknown task 'waiting_line/coppy'. Did you mean 'waiting_line/copy'"),
        (row(task=3), "field 'task' is missing or no text"),
        (without("task"), "field 'task' is missing or no text"),
        (without("prediction"), "field 'prediction' is missing or no text"),
        (without("score"), "field 'score' is missing or no number"),
        (row(score_strict="1"), "field 'score_strict' is missing or no number"),
        (row(score=None), "field 'score' is missing or no number"),
        (row(answer={"input": []}), "this is no answer of a list_expected task"),
        (row(task="waiting_line/shuffle"), "this is no answer of a list_shuffle task"),
        (row(task="waiting_line/insert_random", answer={"input": ["A B"]}), "this is no answer of a list_insert"),
        (row(task="puzzle/latin_square_n4"), "this is no answer of a latin_square task"),
        (row(task="puzzle/sudoku_n4_12", answer=["12"]), "this is no answer of a sudoku task"),
        ({**without("answer"), "index": "0"}, "field 'index' is '0', expected a line number from 0"),
        ({**without("answer"), "index": -1}, "field 'index' is -1, expected a line number from 0"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "expected a JSON object, got list"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(write, bad, message):
    path = write(row(), "", bad)
    with pytest.raises(UsageError) as refusal:
        conform_scorers(path, None, "pb2025")
    assert f"{path}, line 3: " in str(refusal.value) and message in str(refusal.value)


def test_bad_json_in_the_data_is_refused_with_file_and_line(write):
    broken = write('{"answer": "x"}', "oops", name="waiting_line/copy.jsonl")
    with pytest.raises(UsageError, match="copy.jsonl, line 2: not JSON"):
        conform_scorers(write(without("answer")), broken.parents[1], "pb2025")


@pytest.mark.parametrize("name", ["absent.jsonl", "bytes.jsonl", "broken.gz", "cut.gz", "folder"])
def test_an_unreadable_file_is_refused_by_name(tmp_path, name):
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe{}")
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(GOLDEN.read_bytes())[:-20])
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=f"{name} cannot be read"):
        conform_scorers(tmp_path / name, None, "pb2025")
