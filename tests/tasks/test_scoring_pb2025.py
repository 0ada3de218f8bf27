"""Profile pb2025: its own readings, the published metric rows, and where it agrees with native."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.tasks.base import Sample
from parallelbench.tasks.scoring import measures, score
from parallelbench.tasks.scoring.pb2025 import parse_list, parse_list_strict
from shared import shared

KINDS = ("list_expected", "list_shuffle", "list_insert", "list_remove", "list_replace")


@pytest.mark.parametrize(
    ("text", "lenient", "strict"),
    [
        ('["A B", "C D"]', ["A B", "C D"], ["A B", "C D"]),
        ("", [], None),
        ("[]", [], None),
        ('x] ["A"] ["B", "C"] y] z', ["B", "C"], ["B", "C"]),
        ('"A","B"', ["A", "B"], None),
        ('["A","B"]', ["A", "B"], None),
        ('["A", "B"', ["A", "B"], None),
        ('["A" , "B"]', ["A", "B"], None),
        ('["A",\n"B"]', ["A", '\n"B'], None),
        ('["A",,"", "B"]', ["A", "", "B"], None),
        ('["A, B"]', ["A", "B"], None),
        ('["]', [""], [""]),
        ("['A']", ["'A'"], None),
    ],
)
def test_the_published_readings_of_a_list(text, lenient, strict):
    assert (parse_list(text), parse_list_strict(text)) == (lenient, strict)


names = st.sampled_from([f"{a} {b}" for a in ("Al", "Bea", "Cy", "Di") for b in ("Fox", "Hu", "Ray", "Lund")])


@pytest.mark.parametrize("kind", KINDS)
@given(people=st.lists(names, min_size=4, max_size=6, unique=True), data=st.data())
def test_both_profiles_agree_on_clean_lists(kind, people, data):
    items, new = people[:-1], people[-1]
    answer = data.draw(st.lists(st.sampled_from(people), min_size=1, max_size=6) | st.permutations(people[:-1]))
    facts = {"operation": "", "items": items, "expected": items, "new": new, "position": None}
    sample = Sample("s", 0, (), facts, "")
    native, published = (score(kind, sample, json.dumps(answer), p) for p in ("native", "pb2025"))
    assert (native.lenient, native.strict) == (published.lenient, published.strict)


@given(st.lists(st.permutations("K7BQ").map(",".join), min_size=4, max_size=4))
def test_both_profiles_agree_on_clean_latin_rows(rows):
    sample = Sample("s", 0, (), {"symbols": list("K7BQ")}, "")
    native, published = (score("latin_square", sample, "\n".join(rows), p) for p in ("native", "pb2025"))
    assert (native.lenient, native.strict) == (published.lenient, published.strict)


@given(st.lists(st.text("01234", min_size=4, max_size=4), min_size=4, max_size=4) | st.just(["12"]))
def test_both_profiles_agree_on_clean_sudoku_rows(rows):
    facts = {"grid": "0000\n0000\n0000\n0000", "solution": "1234\n3412\n2143\n4321"}
    sample = Sample("s", 0, (), facts, "")
    for text in ("\n".join(rows), facts["solution"]):
        native, published = (score("sudoku", sample, text, p) for p in ("native", "pb2025"))
        assert (native.lenient, native.strict) == (published.lenient, published.strict)


def metric_rows() -> list[dict]:
    lines = shared("golden/scorers/text_metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_rouge_of_every_published_row():
    rows = metric_rows()
    assert len(rows) == 87
    for row in rows:
        got = measures.rouge(row["prediction"], [row["reference"]])
        wanted = {name: row[name] for name in ("rouge1", "rouge2", "rougeL")}
        assert got == pytest.approx(wanted, abs=1e-9), row


def test_bleu_of_every_published_row():
    compared = 0
    for row in metric_rows():
        prediction = row["prediction"].strip()
        assert measures.bleu(prediction, row["reference"]) == pytest.approx(row["sacrebleu_none"], abs=1e-9)
        if row["pb_inv_bleu"] is not None:
            compared += 1
            got = measures.inverse_bleu(prediction, row["reference"])
            assert got == pytest.approx(row["pb_inv_bleu"], abs=1e-9), row
    assert compared >= 80
