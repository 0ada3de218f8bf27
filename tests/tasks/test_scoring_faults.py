"""The 24 places where the published scorer is arguably wrong: what native says instead, and that pb2025 keeps it.

Numbers and examples follow the list in the reference's README; the questions are our own.
"""

import json
from pathlib import Path

import pytest

from parallelbench.tasks import scoring
from parallelbench.tasks.base import Sample, Score

SYMBOLS = ["K", "7", "B", "Q"]
SQUARE = ["K,7,Q,B", "7,K,B,Q", "B,Q,7,K", "Q,B,K,7"]
PUZZLE = ["3040", "4231", "1020", "2413"]
GRID = ["3142", "4231", "1324", "2413"]
PEOPLE = ["Nora Bell", "Ivo Lund", "Zoe Hart"]
LIST = json.dumps(PEOPLE)


def both(kind: str, facts: dict, text: str) -> tuple[Score, Score]:
    sample = Sample("s", 0, (), facts, "")
    return scoring.score(kind, sample, text, "native"), scoring.score(kind, sample, text, "pb2025")


def latin(rows: list[str]) -> tuple[Score, Score]:
    return both("latin_square", {"symbols": SYMBOLS}, "\n".join(rows))


def sudoku(rows: list[str]) -> tuple[Score, Score]:
    return both("sudoku", {"grid": "\n".join(PUZZLE), "solution": "\n".join(GRID)}, "\n".join(rows))


def copy(text: str) -> tuple[Score, Score]:
    facts = {"operation": "copy", "items": PEOPLE, "expected": PEOPLE, "new": None, "position": None}
    return both("list_expected", facts, text)


def in_words(text: str, given: list[str]) -> tuple[Score, Score]:
    return both("words", {"words": given}, text)


def paraphrase(text: str, sentence: str) -> tuple[Score, Score]:
    return both("paraphrase", {"sentence": sentence, "references": []}, text)


def assert_scores(scores: tuple[Score, Score], native: tuple[float, float], published: tuple[float, float]) -> None:
    assert tuple((score.lenient, score.strict) for score in scores) == (native, published), scores[0].why


@pytest.mark.parametrize(
    "rows",
    [
        [f"{row},{row[0]}" for row in SQUARE],
        [f"{row},{row}" for row in SQUARE],
        [f"{row[-1]},{row}" for row in SQUARE],
    ],
)
def test_1_extra_columns_are_no_latin_square(rows):
    assert_scores(latin(rows), native=(0, 0), published=(1, 1))


@pytest.mark.parametrize("extra", [",Q", ",Q,B", ",Q,B,K"])
def test_2_ragged_rows_are_no_latin_square(extra):
    assert_scores(latin([*SQUARE[:3], SQUARE[3] + extra]), native=(0, 0), published=(1, 1))


@pytest.mark.parametrize("rows", [[*SQUARE, *SQUARE[:3]], [*SQUARE[:2], "K,K,K,K", *SQUARE[2:]]])
def test_3_extra_rows_are_no_latin_square(rows):
    assert_scores(latin(rows), native=(0, 0), published=(1, 1))


@pytest.mark.parametrize("rows", [["Here:", *SQUARE, "Done."], ["```csv", *SQUARE, "```"]])
def test_4_prose_and_fences_are_not_strict_csv(rows):
    assert_scores(latin(rows), native=(1, 0), published=(1, 1))


@pytest.mark.parametrize(
    "rows",
    [
        [",".join(SYMBOLS), *SQUARE],
        [row.replace(",", " ") for row in SQUARE],
        [row.replace(",", "\t") for row in SQUARE],
        [",".join(f'"{cell}"' for cell in row.split(",")) for row in SQUARE],
    ],
)
def test_5_a_header_or_other_separators_do_not_spoil_a_square(rows):
    assert_scores(latin(rows), native=(1, 0), published=(0, 0))


def test_6_digits_in_prose_are_not_a_row_and_a_fifth_row_is():
    assert_scores(sudoku(["Solved in 2024:", *GRID]), native=(1, 0), published=(0, 0))
    assert_scores(sudoku([*GRID, "12345"]), native=(0, 0), published=(1, 0))


def test_7_digits_scattered_in_prose_are_no_grid_but_labels_and_an_echo_do_no_harm():
    assert_scores(sudoku(["x".join(row) + " maybe" for row in GRID]), native=(0, 0), published=(1, 0))
    assert_scores(sudoku([*PUZZLE, *GRID]), native=(1, 0), published=(0, 0))
    labelled = [f"Row {number}: {row}" for number, row in enumerate(GRID, start=1)]
    assert_scores(sudoku(labelled), native=(1, 0), published=(0, 0))
    lettered = [f"{letter}: {row}" for letter, row in zip("abcd", GRID, strict=True)]
    assert_scores(sudoku(lettered), native=(1, 0), published=(1, 0))


def test_8_full_width_digits_are_not_the_asked_format_and_one_line_holds_the_grid():
    wide = "\n".join(GRID).translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    assert_scores(sudoku([wide]), native=(1, 0), published=(1, 1))
    assert_scores(sudoku([" ".join(GRID)]), native=(1, 0), published=(0, 0))


def test_9_pretty_printed_json_is_a_list():
    for text in (json.dumps(PEOPLE, indent=2), LIST.replace(", ", ",\t"), LIST.replace(", ", ",\n")):
        assert_scores(copy(text), native=(1, 1), published=(0, 0))


def test_10_every_plain_way_of_quoting_is_read():
    assert_scores(copy(str(PEOPLE)), native=(1, 0), published=(0, 0))
    assert_scores(copy("[" + ", ".join(f"“{item}”" for item in PEOPLE) + "]"), native=(1, 0), published=(0, 0))
    assert_scores(copy("[" + ", ".join(PEOPLE) + "]"), native=(1, 0), published=(1, 0))


def test_11_one_string_with_all_names_is_one_item():
    scores = copy(json.dumps([", ".join(PEOPLE)]))
    assert_scores(scores, native=(0, 0), published=(1, 0))
    assert scores[0].why == "found 1 items, expected 3"


@pytest.mark.parametrize("text", ['["""Nora Bell", Ivo Lund", Zoe Hart"', "[,, Nora Bell ,, Ivo Lund ,, Zoe Hart,,]"])
def test_12_stray_quotes_and_empty_items_are_no_list(text):
    scores = copy(text)
    assert_scores(scores, native=(0, 0), published=(1, 0))
    assert scores[0].why == "no list found"


def test_13_brackets_in_prose_do_no_harm_and_a_list_before_the_last_is_not_strict():
    assert_scores(copy(f"{LIST} [end]"), native=(1, 0), published=(0, 0))
    assert_scores(copy(f'["Bob"]\n{LIST}'), native=(1, 0), published=(1, 1))


@pytest.mark.parametrize(
    "text", [f'No idea!! ["x"] hmm {LIST} </s> garbage', f"[{LIST}]", json.dumps({"line": PEOPLE})]
)
def test_14_text_around_a_list_is_not_strict(text):
    assert_scores(copy(text), native=(1, 0), published=(1, 1))


@pytest.mark.parametrize("text", [json.dumps(PEOPLE, separators=(",", ":")), f"[ {LIST[1:-1]} ]"])
def test_15_any_valid_json_list_is_strict(text):
    assert_scores(copy(text), native=(1, 1), published=(1, 0))


def test_16_prose_beside_a_list_without_brackets_does_no_harm():
    assert_scores(copy(LIST[:-1]), native=(1, 0), published=(1, 0))
    assert_scores(copy(f"{LIST[:-1]}\nThat is all."), native=(1, 0), published=(0, 0))
    assert_scores(copy(f"Sure!\n{LIST[1:-1]}"), native=(1, 0), published=(0, 0))


def test_17_a_part_tells_what_was_chosen_so_that_a_habit_shows():
    for place, choice in ((0, 0.0), (1, 0.5), (2, 1.0)):
        left = PEOPLE[:place] + PEOPLE[place + 1 :]
        facts = {"operation": "remove_random", "items": PEOPLE, "expected": None, "new": None}
        native, published = both("list_remove", facts, json.dumps(left))
        assert native.parts["choice"] == choice
        assert (published.lenient, dict(published.parts)) == (1.0, {})
    facts = {"operation": "shuffle", "items": PEOPLE, "expected": None, "new": None}
    swapped, _ = both("list_shuffle", facts, json.dumps([PEOPLE[1], PEOPLE[0], PEOPLE[2]]))
    assert swapped.parts["choice"] == pytest.approx(2 / 3)


def test_18_a_part_tells_when_a_right_answer_copies_the_input():
    already_sorted, _ = copy(LIST)
    facts = {"operation": "sort", "items": PEOPLE[::-1], "expected": PEOPLE, "new": None, "position": None}
    sorted_now, _ = both("list_expected", facts, LIST)
    assert (already_sorted.lenient, already_sorted.parts["copied"]) == (1.0, 1.0)
    assert (sorted_now.lenient, sorted_now.parts["copied"]) == (1.0, 0.0)


def test_19_a_word_inside_another_is_not_the_word():
    text = "The dogmatic man left the sparkling ballad overthrown."
    assert_scores(in_words(text, ["dog", "park", "ball", "throw"]), native=(0, 0), published=(1, 1))
    assert_scores(in_words("The farmer sings.", ["farm", "farmer"]), native=(0, 0), published=(1, 1))


@pytest.mark.parametrize(
    "text", ["Dog owners throw a ball in the park.", "She threw the ball for her dog in the park."]
)
def test_20_case_and_irregular_forms_do_not_matter(text):
    assert_scores(in_words(text, ["dog", "park", "ball", "throw"]), native=(1, 1), published=(0, 0))


def test_21_one_sentence_is_asked_and_the_list_of_words_is_none():
    two = in_words("The dog can throw. I see a ball in the park.", ["dog", "park", "ball", "throw"])
    assert_scores(two, native=(0, 0), published=(1, 1))
    echo, published = in_words("Dog, park, ball and throw.", ["Dog", "park", "ball", "throw"])
    assert (echo.lenient, echo.why) == (0.0, "only lists the words")
    assert published.parts["inclusion"] == 1.0


def test_22_no_two_of_our_word_prompts_are_the_same():
    folder = Path(scoring.__file__).parents[1] / "data"
    files = sorted(folder.glob("words_*.jsonl"))
    assert len(files) == 3
    for path in files:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        first_words = [row["words"][0] for row in rows]
        assert len({tuple(sorted(row["words"])) for row in rows}) == len(rows)
        assert len(set(first_words)) == len(rows), f"{path.name}: prompts of one word repeat"


def test_23_a_short_exact_copy_is_no_paraphrase():
    native, published = paraphrase("Good morning!", "Good morning!")
    assert (native.lenient, native.parts["inv_bleu"], native.why) == (0.0, 0.0, "copies the sentence")
    assert published.parts["inv_bleu"] == 1.0


def test_24_blanks_around_the_source_do_not_matter_and_an_empty_text_gets_nothing():
    copied, _ = paraphrase("She left early.", "  She left early. \n")
    assert (copied.lenient, copied.why) == (0.0, "copies the sentence")
    native, published = paraphrase(" ", "She left early.")
    assert (native.lenient, native.parts["inv_bleu"], native.why) == (0.0, 0.0, "empty text")
    assert published.parts["inv_bleu"] == 0.0
