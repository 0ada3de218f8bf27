"""Latin squares and Sudoku, profile native."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring import score

SYMBOLS = ("K", "7", "B", "Q")
SQUARE = ["K,7,Q,B", "7,K,B,Q", "B,Q,7,K", "Q,B,K,7"]
SOLUTION = ["3142", "4231", "1324", "2413"]
PUZZLE = ["3040", "4231", "1020", "2413"]


def latin(text: str, symbols: tuple[str, ...] = SYMBOLS) -> Score:
    return score("latin_square", Sample("s", 0, (), {"symbols": list(symbols)}, ""), text)


def sudoku(text: str) -> Score:
    facts = {"grid": "\n".join(PUZZLE), "solution": "\n".join(SOLUTION)}
    return score("sudoku", Sample("s", 0, (), facts, facts["solution"]), text)


def all_squares(n: int = 4) -> list[tuple[tuple[int, ...], ...]]:
    rows = list(permutations(range(n)))
    return [s for s in product(rows, repeat=n) if all(len(set(column)) == n for column in zip(*s, strict=True))]


SQUARES = all_squares()

LATIN_FORMATS = {
    "csv": "\n".join,
    "crlf": "\r\n".join,
    "blank around": lambda rows: "\n\n" + "\n".join(rows) + "\n ",
    "comma blank": lambda rows: "\n".join(rows).replace(",", ", "),
    "blanks": lambda rows: "\n".join(rows).replace(",", " "),
    "tabs": lambda rows: "\n".join(rows).replace(",", "\t"),
    "bars": lambda rows: "\n".join(f"| {row.replace(',', ' | ')} |" for row in rows),
    "table": lambda rows: "\n|---|---|---|---|\n".join(f"| {row.replace(',', ' | ')} |" for row in rows),
    "quoted": lambda rows: "\n".join('"' + row.replace(",", '","') + '"' for row in rows),
    "bracketed": lambda rows: "[" + ",\n".join(f"[{row}]" for row in rows) + "]",
    "fence": lambda rows: "```csv\n" + "\n".join(rows) + "\n```",
    "prose": lambda rows: "Here is one:\n" + "\n".join(rows) + "\nEach symbol stands once in a row, see?",
    "one line": " ".join,
    "indented": lambda rows: "\n".join(f"   {row}" for row in rows),
    "blank lines": "\n\n".join,
    "labels": lambda rows: "\n".join(f"Row {i}: {row}" for i, row in enumerate(rows, 1)),
    "labels above": lambda rows: "\n".join(f"Row {i}:\n{row}" for i, row in enumerate(rows, 1)),
    "header": lambda rows: "\n".join([",".join(SYMBOLS), *rows]),
    "second try": lambda rows: "K,K,K,K\n" * 4 + "\n" + "\n".join(rows),
    "first wrong, prose": lambda rows: "K,K,K,K\n" * 5 + "No, wait.\n" + "\n".join(rows),
    "end marker": lambda rows: "\n".join(rows) + "<|endoftext|></s>",
}


@pytest.mark.parametrize("form", LATIN_FORMATS)
def test_every_latin_square_is_right_in_every_format(form):
    for square in SQUARES:
        rows = [",".join(SYMBOLS[cell] for cell in row) for row in square]
        text = LATIN_FORMATS[form](rows)
        got = latin(text)
        assert (got.lenient, got.strict) == (1.0, float(form in ("csv", "crlf", "blank around"))), (
            text,
            got.why,
        )


def test_there_are_as_many_squares_as_the_textbook_says():
    assert len(SQUARES) == 576


@given(square=st.sampled_from(SQUARES), row=st.integers(0, 3), column=st.integers(0, 3), symbol=st.integers(0, 4))
def test_any_single_changed_cell_is_wrong(square, row, column, symbol):
    cells = [[SYMBOLS[cell] for cell in line] for line in square]
    before, cells[row][column] = cells[row][column], (*SYMBOLS, "Z")[symbol]
    got = latin("\n".join(map(",".join, cells)))
    assert got.lenient == got.strict == float(cells[row][column] == before)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no rows found"),
        (["I see no square."], "no rows found"),
        (SQUARE[:3], "found 3 rows, expected 4"),
        ([*SQUARE, SQUARE[0]], "found 5 rows, expected 4"),
        ([SQUARE[1], *SQUARE], "found 5 rows, expected 4"),
        ([*SQUARE[:2], "K,K,K,K", *SQUARE[2:]], "found 5 rows, expected 4"),
        ([*SQUARE[:2], "and then", *SQUARE[2:]], "found 2 rows, expected 4"),
        ([*SQUARE, *SQUARE], "found 8 rows, expected 4"),
        ([row + ",K" for row in SQUARE], "row 1 has 5 cells, expected 4"),
        ([*SQUARE[:3], SQUARE[3] + ",K"], "row 4 has 5 cells, expected 4"),
        ([row + "," for row in SQUARE], "row 1 has 5 cells, expected 4"),
        (["," + row for row in SQUARE], "row 1 has 5 cells, expected 4"),
        ([*SQUARE[:3], SQUARE[3][:-2]], "row 4 has 3 cells, expected 4"),
        ([SQUARE[0].lower(), *SQUARE[1:]], "row 1 holds 'k', which is no symbol"),
        ([*SQUARE[:3], "Q,B,K,Z9"], "row 4 holds 'Z9', which is no symbol"),
        (["K,K,Q,B", *SQUARE[1:]], "row 1 repeats symbol K"),
        ([SQUARE[0]] * 4, "column 1 repeats symbol K"),
        ([row.replace(",", "") for row in SQUARE], "no rows found"),
    ],
)
def test_what_is_no_latin_square_says_why(rows, why):
    got = latin("\n".join(rows))
    assert (got.lenient, got.strict, got.why) == (0.0, 0.0, why)


def test_a_right_square_in_a_wrong_format_says_why():
    assert latin(f"Sure:\n{chr(10).join(SQUARE)}").why == "not asked format: more than 4 lines of bare CSV"
    assert sudoku(" ".join(SOLUTION)).why == "not asked format: more than 4 lines of digits"


SUDOKU_FORMATS = {
    "plain": "\n".join,
    "crlf": "\r\n".join,
    "blanks": lambda rows: "\n".join(" ".join(row) for row in rows),
    "boxes": lambda rows: "\n".join(f"{row[:2]} | {row[2:]}" for row in rows),
    "commas": lambda rows: ",\n".join(",".join(row) for row in rows),
    "lists": lambda rows: "\n".join(f"[{', '.join(row)}]," for row in rows),
    "box": lambda rows: "+----+\n" + "\n".join(f"|{row}|" for row in rows) + "\n+----+",
    "labels": lambda rows: "\n".join(f"Row {i}: {row}" for i, row in enumerate(rows, 1)),
    "letters": lambda rows: "\n".join(f"{c}: {row}" for c, row in zip("abcd", rows, strict=True)),
    "year": lambda rows: "Solved in 2024:\n" + "\n".join(rows),
    "echo": lambda rows: "\n".join([*PUZZLE, *rows]),
    "labelled echo": lambda rows: "\n".join(["Input:", *PUZZLE, "Output:", *rows]),
    "twice": lambda rows: "\n".join([*rows, "", *rows]),
    "one line": " ".join,
    "one line, commas": ",".join,
    "full width": lambda rows: "\n".join(rows).translate({48 + d: 0xFF10 + d for d in range(10)}),
    "fence": lambda rows: "```\n" + "\n".join(rows) + "\n```",
    "end marker": lambda rows: "\n".join(rows) + "<|eot_id|>",
}


@pytest.mark.parametrize("form", SUDOKU_FORMATS)
def test_the_solution_is_right_in_every_format(form):
    got = sudoku(SUDOKU_FORMATS[form](SOLUTION))
    assert (got.lenient, got.strict) == (1.0, float(form in ("plain", "crlf"))), got.why


@given(place=st.integers(0, 15), digit=st.sampled_from("012345"))
def test_any_single_changed_digit_is_wrong(place, digit):
    cells = list("".join(SOLUTION))
    before, cells[place] = cells[place], digit
    got = sudoku("\n".join("".join(cells[i : i + 4]) for i in range(0, 16, 4)))
    assert got.lenient == got.strict == float(digit == before)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n".join(PUZZLE), "row 1 is '3040', expected '3142'"),
        ("\n".join(SOLUTION[:3]), "found 3 rows, expected 4"),
        ("\n".join([*SOLUTION, "12345"]), "found 5 rows, expected 4"),
        ("\n".join([SOLUTION[0], *SOLUTION]), "found 5 rows, expected 4"),
        ("\n".join("x".join(row) + " maybe" for row in SOLUTION), "no rows found"),
        ("\n".join("".join(SOLUTION)), "found 16 rows, expected 4"),
        ("\n".join(["-" + SOLUTION[0], *SOLUTION[1:]]), "found 3 rows, expected 4"),
        ("\n".join(row + "1" for row in SOLUTION), "row 1 is '31421', expected '3142'"),
    ],
)
def test_what_is_not_the_solution_says_why(text, why):
    got = sudoku(text)
    assert (got.lenient, got.strict, got.why) == (0.0, 0.0, why)
