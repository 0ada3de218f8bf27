import gzip
import json

import pytest

from shared import shared

ROW = {"task": "waiting_line/copy", "answer": '["A B", "C D"]', "score": 1.0, "score_strict": 1.0}
GOOD = {**ROW, "prediction": '["A B", "C D"]'}
WRONG = {**ROW, "prediction": '["A B"]'}
OPEN = {key: value for key, value in GOOD.items() if key != "answer"} | {"index": 0}


@pytest.fixture
def golden(tmp_path):
    def write(*rows, name="rows.jsonl"):
        text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_agreement_is_counted(pb, golden, name):
    done = pb("conformance", "scorers", golden(GOOD, GOOD, name=name), "--json")
    result = json.loads(done.out)
    assert done.code == 0
    assert (result["passed"], result["failed"], result["skipped"]) == (2, 0, 0)


def test_disagreement_exits_1_and_shows_the_row(pb, golden):
    path = golden(GOOD, WRONG)
    done = pb("conformance", "scorers", path, "--json")
    result = json.loads(done.out)
    assert done.code == 1
    assert (result["passed"], result["failed"], result["failures"][0]["line"]) == (1, 1, 2)
    assert "1 passed, 1 failed, 0 skipped" in pb("conformance", "scorers", path).out


def test_a_row_without_an_answer_is_skipped(pb, golden):
    done = pb("conformance", "scorers", golden(OPEN), "--json")
    assert done.code == 0 and json.loads(done.out)["skipped"] == 1


def test_bad_files_are_told(refused, golden, tmp_path):
    command = ("conformance", "scorers")
    assert "missing.jsonl cannot be read" in refused(*command, "missing.jsonl", "--json")
    assert "rows.jsonl, line 2: not JSON" in refused(*command, golden(GOOD, "{"))
    assert "line 1: field 'prediction' is missing" in refused(*command, golden(ROW))
    assert "Did you mean 'waiting_line/copy'" in refused(*command, golden({**GOOD, "task": "waiting_line/copi"}))
    assert "Unknown profile 'pb25'" in refused(*command, golden(GOOD), "--profile", "pb25")
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-20])
    assert "half.jsonl.gz cannot be read" in refused(*command, "half.jsonl.gz")


def test_no_published_judgement_differs(pb):
    rows = shared("golden/scorers/scorers_public.jsonl.gz")
    data = shared("reference_data")
    done = pb("conformance", "scorers", rows, "--data", data, "--profile", "pb2025", "--json")
    result = json.loads(done.out)
    assert (done.code, result["failed"], result["passed"] + result["skipped"]) == (0, 0, 5504)
    assert result["skipped"] == 0
