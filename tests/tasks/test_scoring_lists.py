"""Waiting-line answers, profile native."""

import json
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring import score
from parallelbench.tasks.scoring.lists import parse_list

ITEMS = ("Nora Bell", "Pat O'Hara", "Ivo Lund", "Zoe Hart")
NEW = "Kim Vale"
KINDS = ("list_expected", "list_shuffle", "list_insert", "list_remove", "list_replace")
PEOPLE = [f"{a} {b}" for a in ("Al", "Bea", "D'Arcy", "Mary-Jo") for b in ("Fox", "Hu", "O'Neil", "de Wit")]
names = st.sampled_from(PEOPLE)
lines = st.lists(names, min_size=3, max_size=6, unique=True)


def sample(items: tuple[str, ...] = ITEMS, new: str | None = NEW, expected: tuple[str, ...] = ITEMS) -> Sample:
    facts = {"operation": "", "items": list(items), "expected": list(expected), "new": new, "position": None}
    return Sample("s", 0, (), facts, json.dumps(list(expected)))


def judge(kind: str, items: tuple[str, ...], **facts: tuple[str, ...]) -> Score:
    return score(kind, sample(**facts), json.dumps(list(items)))


def correct_answers(kind: str, items: tuple[str, ...], new: str) -> list[tuple[str, ...]]:
    """Written apart from the scorer: everything the task's sentence allows."""
    n = len(items)
    return {
        "list_expected": [items],
        "list_shuffle": [p for p in permutations(items) if p != items],
        "list_insert": [(*items[:i], new, *items[i:]) for i in range(n + 1)],
        "list_remove": [tuple(x for x in items if x != gone) for gone in items],
        "list_replace": [tuple(new if x == gone else x for x in items) for gone in items],
    }[kind]


FORMATS = {
    "json": lambda items: json.dumps(items),
    "compact": lambda items: json.dumps(items, separators=(",", ":")),
    "pretty": lambda items: json.dumps(items, indent=2),
    "tabs": lambda items: json.dumps(items, separators=(",\t", ":")),
    "single": lambda items: "[" + ", ".join(f"'{item}'" for item in items) + "]",
    "curly": lambda items: "[" + ", ".join(f"“{item}”" for item in items) + "]",
    "unquoted": lambda items: "[" + ", ".join(items) + "]",
    "unquoted lines": lambda items: "[\n" + ",\n".join(items) + "\n]",
    "trailing comma": lambda items: json.dumps(items)[:-1] + ",]",
    "no brackets": lambda items: json.dumps(items)[1:-1],
    "no opening bracket": lambda items: json.dumps(items)[1:],
    "no closing bracket": lambda items: json.dumps(items)[:-1],
    "no closing bracket, prose": lambda items: json.dumps(items)[:-1] + "\nThat is the line.",
    "bare after prose": lambda items: "Sure!\n" + ", ".join(items),
    "fence": lambda items: f"```json\n{json.dumps(items)}\n```",
    "prose": lambda items: f"Here is the list: {json.dumps(items)}\nAnything else?",
    "bracketed prose": lambda items: f"The list [as asked, today] is {json.dumps(items)} [end]",
    "corrected": lambda items: f'["Bob"] no, {json.dumps(items)}',
    "echo": lambda items: f"{json.dumps(list(ITEMS))} becomes {json.dumps(items)}",
    "cut debris": lambda items: f'{json.dumps(items)} ["Nora',
    "key": lambda items: json.dumps({"line": items}),
    "nested": lambda items: json.dumps([items]),
    "end marker": lambda items: json.dumps(items) + "<|eot_id|><|endoftext|>",
    "blanks in quotes": lambda items: json.dumps([f" {item} " for item in items]),
}
STRICT = {"json", "compact", "pretty", "tabs"}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(items=lines, data=st.data())
def test_a_correct_answer_is_right_in_every_format(kind, items, data):
    new = data.draw(names.filter(lambda name: name not in items))
    answer = data.draw(st.sampled_from(correct_answers(kind, tuple(items), new)))
    for form, write in FORMATS.items():
        text = write(list(answer))
        got = score(kind, sample(tuple(items), new, answer), text)
        assert (got.lenient, got.strict) == (1.0, float(form in STRICT)), (text, got.why)
        assert bool(got.why) == (got.strict == 0)


@pytest.mark.parametrize("kind", KINDS)
@given(items=lines, data=st.data())
def test_a_list_is_right_exactly_when_it_is_a_correct_answer(kind, items, data):
    new = data.draw(names.filter(lambda name: name not in items))
    answers = correct_answers(kind, tuple(items), new)
    pool = [*items, new, items[0].upper(), "Someone Else"]
    answer = list(data.draw(st.sampled_from(answers)))
    place = data.draw(st.integers(0, len(answer) - 1))
    change = data.draw(st.sampled_from(("put", "drop", "double", "swap")))
    if change == "put":
        answer[place] = data.draw(st.sampled_from(pool))
    elif change == "drop":
        del answer[place]
    elif change == "double":
        answer.insert(place, answer[place])
    else:
        answer[place], answer[0] = answer[0], answer[place]
    assume(answer)
    got = score(kind, sample(tuple(items), new, answers[0]), json.dumps(answer))
    assert got.lenient == got.strict == float(tuple(answer) in (answers if kind != "list_expected" else answers[:1]))


@given(items=lines, data=st.data())
def test_any_single_changed_item_is_wrong(items, data):
    place = data.draw(st.integers(0, len(items) - 1))
    other = data.draw(names.filter(lambda name: name != items[place]))
    changed = [*items[:place], other, *items[place + 1 :]]
    got = score("list_expected", sample(tuple(items), None, tuple(items)), json.dumps(changed))
    assert (got.lenient, got.strict) == (0.0, 0.0)
    assert f"item {place + 1} is {other!r}, expected {items[place]!r}" == got.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "[]",
        "- Nora Bell\n- Pat O'Hara\n- Ivo Lund\n- Zoe Hart",
        "Nora Bell and Pat O'Hara and Ivo Lund and Zoe Hart",
        '["Nora Bell", "Pat O\'Hara", "Ivo Lund", "Zoe',
        '["Nora Bell", "Pat O\'Hara", "Ivo Lund" "Zoe Hart"]',
        '["Nora Bell", "Pat O\'Hara", "Ivo Lund", Zoe Hart]',
        '["Nora Bell", "Pat O\'Hara", "Ivo Lund", "Zoe Hart",,]',
        '["Nora Bell", "", "Pat O\'Hara", "Ivo Lund", "Zoe Hart"]',
        '["Nora Bell, Pat O\'Hara", "Ivo Lund", "Zoe Hart"]',
        '["Nora  Bell", "Pat O\'Hara", "Ivo Lund", "Zoe Hart"]',
        '["nora bell", "Pat O\'Hara", "Ivo Lund", "Zoe Hart"]',
        '["Nora Bell"; "Pat O\'Hara"; "Ivo Lund"; "Zoe Hart"]',
        '["Nora Bell", "Pat O\'Hara", "Ivo Lund", "Zoe Hart"] and then ["Nora Bell"]',
        "[1, 2, 3, 4]",
        "[null]",
    ],
)
def test_what_is_no_correct_list_scores_nothing(text):
    got = score("list_expected", sample(), text)
    assert (got.lenient, got.strict) == (0.0, 0.0)
    assert got.why


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["A B"]', ("A B",)),
        ("A B", ("A B",)),
        ("[A B] [note]", ("note",)),
        ("[A B, C D] [note]", ("A B", "C D")),
        ('["A B"] [C D, E F]', ("A B",)),
        ("['A B', 'C D']", ("A B", "C D")),
        ("‘A B’, ‘C D’", ("A B", "C D")),
        ("[‘A B’, ’C D’]", None),
        ('["Jos\\u00e9 B"]', ("José B",)),
        ("nothing.", ("nothing.",)),
        ("[A\nB]", None),
    ],
)
def test_reading_rules(text, items):
    assert parse_list(text) == items


@pytest.mark.parametrize(
    ("kind", "items", "why"),
    [
        ("list_expected", ITEMS[:3], "found 3 items, expected 4"),
        ("list_shuffle", ITEMS, "the order has not changed"),
        ("list_shuffle", (*ITEMS[:3], "Bob"), "'Bob' is not in the line"),
        ("list_shuffle", ITEMS[:3], "'Zoe Hart' is missing"),
        ("list_shuffle", (*ITEMS, ITEMS[0]), "somebody is in the line twice"),
        ("list_insert", ITEMS, "found 4 items, expected 5"),
        ("list_insert", (*ITEMS, "Bob"), "not the line with 'Kim Vale' put in once"),
        ("list_remove", ITEMS[2::-1], "not the line with one person gone"),
        ("list_replace", ITEMS, "not the line with 'Kim Vale' in one person's place"),
        ("list_replace", (NEW, NEW, *ITEMS[2:]), "not the line with 'Kim Vale' in one person's place"),
    ],
)
def test_the_reason_says_what_is_wrong(kind, items, why):
    got = judge(kind, items)
    assert (got.lenient, got.strict, got.why) == (0.0, 0.0, why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Sure: {}", "not asked format: text outside the list"),
        ("{}</s>", "not asked format: text outside the list"),
        ("[{}]", "not asked format: text outside the list"),
        ("{} [end]", "not asked format: text outside the list"),
    ],
)
def test_the_reason_says_what_is_wrong_with_the_format(text, why):
    got = score("list_expected", sample(), text.format(json.dumps(ITEMS)))
    assert (got.lenient, got.strict, got.why) == (1.0, 0.0, why)


def test_single_quotes_are_not_the_asked_format():
    got = score("list_expected", sample(("A B", "C D"), None, ("A B", "C D")), "['A B', 'C D']")
    assert (got.lenient, got.strict, got.why) == (
        1.0,
        0.0,
        "not asked format: not a plain JSON list of strings",
    )


def test_reasons_keep_hostile_text_inert():
    hostile = ["\x1b[31m\u202e\ud800" + "x" * 200, *ITEMS[1:]]
    got = score("list_expected", sample(), json.dumps(hostile).replace("[31m", "(31m"))
    assert got.why.startswith("item 1 is '\\x1b(31m\\u202e\\ud800xxx")
    assert got.why.isprintable() and len(got.why) < 150


def test_an_unknown_kind_or_profile_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="'list_shuffel'.*Did you mean 'list_shuffle'"):
        score("list_shuffel", sample(), "")
    with pytest.raises(UsageError, match="'pb2024'.*Did you mean 'pb2025'"):
        score("list_shuffle", sample(), "", "pb2024")
