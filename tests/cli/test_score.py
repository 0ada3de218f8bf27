import json

import pytest

from parallelbench.tasks import load_task
from parallelbench.tasks.scoring import set_grammar


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="answers.jsonl"):
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    yield write
    set_grammar("harper")


def right_answers(task, count):
    return [{"index": s.index, "prediction": s.answer} for s in load_task(task).samples(0, count)]


@pytest.mark.parametrize("task", ["summarization", "paraphrasing", "words_to_sentence/hard@n=6", "copy", "sudoku"])
def test_right_answers_score_a_hundred(pb, write, task):
    done = pb("score", task, "--predictions", write(*right_answers(task, 8)), "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert (found["n"], found["unscored"], found["score"], found["score_strict"]) == (8, 0, 100, 100)
    assert found["interval"] == [100, 100] and found["why"] == {}
    assert [row["score"] for row in found["samples"]] == [1] * 8


def test_answers_belong_to_an_index_an_id_or_a_line(pb, write):
    samples = load_task("sort").samples(0, 4)
    rows = [{"prediction": sample.answer} for sample in samples]
    by_line = [{"prediction": row["prediction"]} for row in rows]
    by_index = [{**row, "index": at} for at, row in enumerate(rows)][::-1]
    by_id = [{**row, "id": sample.id} for row, sample in zip(rows, samples, strict=True)][::-1]
    for given in (by_line, by_index, by_id):
        assert json.loads(pb("score", "sort", "--predictions", write(*given), "--json").out)["score"] == 100
    turned = json.loads(pb("score", "sort", "--predictions", write(*by_line[::-1]), "--json").out)
    assert turned["score"] == 0


def test_failures_reasons_and_parts_are_summed_up(pb, write):
    path = write({"prediction": "Tom fed the the cat."}, {"prediction": "A an kettle (broke."}, {"prediction": ""})
    found = json.loads(pb("score", "summarization", "--predictions", path, "--json").out)
    assert found["failures"]["doubled word"] == 1
    assert found["failures"]["broken bracket or quote"] == 1
    assert found["parts"]["grammar"] == 0 and 0 < found["parts"]["rouge1"] < 1
    assert found["why"]["empty text"] == 1 and sum(found["why"].values()) == 3
    assert found["signature"].startswith("task:text/summarization.1|n:3|profile:native|grammar:harper-")


def test_the_table_and_the_file_of_judgements(pb, write, tmp_path):
    path = write({"prediction": "Tom fed the the cat."}, "\n", {"prediction": "\u001b[31m"})
    done = pb("score", "summarization", "--predictions", path, "--out", tmp_path / "rows.jsonl")
    assert done.code == 0 and "signature: task:" in done.err
    assert "doubled word" in done.out and "\x1b[31m" not in done.out
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == [0, 1] and rows[0]["why"] == "doubled word 'the'"


def test_without_a_grammar_backend_texts_are_unscored(pb, write):
    path = write(*right_answers("paraphrasing", 2))
    found = json.loads(pb("score", "paraphrasing", "--predictions", path, "--grammar", "none", "--json").out)
    assert (found["unscored"], found["score"], found["interval"]) == (2, None, None)
    assert "grammar" not in found["signature"]
    done = pb("score", "paraphrasing", "--predictions", path, "--grammar", "none")
    assert done.code == 0 and "2 unscored" in done.out


def test_the_train_split_another_seed_and_the_published_profile(pb, write):
    samples = load_task("shuffle").samples(5, 2, "train")
    path = write(*[{"prediction": sample.answer} for sample in samples])
    options = ("--split", "train", "--seed", 5, "--profile", "pb2025", "--json")
    found = json.loads(pb("score", "shuffle", "--predictions", path, *options).out)
    assert found["score"] == 100 and found["samples"][0]["id"] == samples[0].id


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "holds no predictions"),
        (("{\n",), "line 1: not JSON"),
        (("\n", "[1]\n"), "line 2: expected"),
        (({"answer": "x"},), "line 1: expected"),
        (({"prediction": 3},), "line 1: expected"),
        (({"prediction": "x", "index": 100},), "line 1: text/summarization has no sample 100"),
        (({"prediction": "x", "index": -1},), "line 1: text/summarization has no sample -1"),
        (({"prediction": "x", "index": True},), "line 1: text/summarization has no sample True"),
        (({"prediction": "x", "index": [1]},), "line 1: text/summarization has no sample [1]"),
        (({"prediction": "x", "id": "y"},), "line 1: text/summarization has no sample 'y'"),
        (("[" * 100_000,), "line 1: not JSON"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(refused, write, rows, message):
    assert message in refused("score", "summarization", "--predictions", write(*rows))


def test_bad_usage_is_refused(refused, write, tmp_path):
    path = write({"prediction": "x"})
    assert "cannot be read" in refused("score", "copy", "--predictions", tmp_path / "absent.jsonl")
    assert "Did you mean 'copy'" in refused("score", "coppy", "--predictions", path)
    assert "Unknown profile 'old'" in refused("score", "copy", "--predictions", path, "--profile", "old")
    assert "Did you mean 'harper'" in refused("score", "copy", "--predictions", path, "--grammar", "harpr")
    assert "does not write by itself" in refused("score", "copy", "--predictions", path, "--judge", "ideal")
    assert "Unknown split" in refused("score", "copy", "--predictions", path, "--split", "dev")
