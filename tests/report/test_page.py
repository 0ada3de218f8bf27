"""The page as a file: its policy, its data block, and the texts in it."""

import base64
import hashlib
import json
import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.report.closed import closed_form
from parallelbench.report.overlay import own_task
from parallelbench.report.packing import LONGEST, pack, short, told
from parallelbench.report.page import as_json, page
from parallelbench.report.traces import shown_trace, trace_page
from report.pages import EVIL, data_of, trace


@given(st.lists(st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.text())))
def test_data_survives_and_no_markup_does(value):
    text = as_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_numbers_that_json_lacks_become_null():
    assert as_json({"a": [math.nan, math.inf, 1.5]}) == '{"a":[null,null,1.5]}'


def test_the_policy_names_the_pages_own_script_and_style_and_nothing_else():
    text = trace_page([trace()])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data: blob:"
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for name, content in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_a_page_refers_to_nothing_outside_itself():
    text = trace_page([trace()])
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(?:src|href)=\"", text) and "innerHTML" not in text and "eval(" not in text


def test_a_hostile_title_and_trace_stay_text():
    text = trace_page([trace(piece=EVIL, text=EVIL)], EVIL)
    assert text.count("<script") == 2 and text.count("</script>") == 2 and "<img" not in text
    assert "\u202e" not in text and "\x1b" not in text
    (lane,) = data_of(text)["traces"]["lanes"]
    assert lane["text"].startswith("<script>window.hacked = 1") and len(lane["text"]) < LONGEST + 100


def test_text_is_made_harmless_and_bounded():
    assert told("a\nb\u202ec\x1b") == "a\nb\\u202ec\\x1b"
    assert told("x" * LONGEST) == "x" * LONGEST
    assert told("x" * (LONGEST + 5)) == "x" * LONGEST + " … (5 more characters)"


def test_numbers_get_short():
    assert [short(x) for x in (2.0, 1 / 3, 100 / 3, 1e-6 / 3, math.nan, None, 7)] == [
        *(2, 0.3333, 33.3333, 3.333e-07, None, None, 7),
    ]


def test_tables_are_packed_by_column():
    table = pd.DataFrame({"task": ["b", "a", "b"], "score": [1.0, None, 0.25]})
    assert pack(table, ("task", "score", "low")) == {
        "columns": {"task": [0, 1, 0], "score": [1, None, 0.25], "low": [None, None, None]},
        "levels": {"task": ["b", "a"]},
    }


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("waitingline-insert_random", "waiting_line/insert_random"),
        ("puzzles-latin_square", "puzzle/latin_square"),
        ("textwriting-w2s_hard", "words_to_sentence/hard"),
        ("textwriting-summarization", "text/summarization"),
        ("avg", "avg"),
        ("else-where", "else-where"),
    ],
)
def test_published_tasks_have_our_names(published, own):
    assert own_task(published) == own


def test_closed_forms_belong_to_list_operations_only():
    assert closed_form("waiting_line/sort") is None and closed_form("puzzle/sudoku") is None
    assert closed_form("words_to_sentence/copy") is None
    found = closed_form("waiting_line/replace_random@n=4")
    assert [s["label"] for s in found["series"]] == ["n = 4"]
    assert found["series"][0]["points"] == [[1, 100], [2, 50], [3, 100], [4, 0]]


def test_a_trace_keeps_what_changed_in_each_step():
    found = shown_trace(trace())
    assert [step["set"] for step in found["steps"]] == [
        [[0, "word5", 0.75], [2, "word6", 0.75]],
        [[1, "word7", None]],
        [[2, "word6", None], [3, "word8", None]],
    ]
    assert [step["again"] for step in found["steps"]] == [[], [2], []]
    assert found["steps"][0]["beliefs"]["0"] == {"model": [["word5", 0.75], ["word6", 0.25]]} | {
        "ideal": [["word5", 0.75], ["word6", 0.25]]
    }


def test_a_token_replaced_within_a_step_is_taken_back_before_it():
    replaced = trace()
    replaced["steps"][2] |= {"committed": [1, 2, 3], "replaced": [1]}
    last = shown_trace(replaced)["steps"][2]
    assert (last["before"], last["again"]) == ([1], [])


def test_unknown_texts_are_shown_as_numbers():
    assert shown_trace(trace() | {"texts": {}})["steps"][0]["set"][0][1] == "#5"


def test_the_whole_page_is_one_document():
    text = page({"title": "a < b & c"})
    assert text.startswith("<!doctype html>") and "<title>a &lt; b &amp; c</title>" in text
    assert text.count("<html") == text.count("</html>") == 1
