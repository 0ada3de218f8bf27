"""Latin squares and Sudoku, profile `native`: find the one grid in a text and judge it.

Which lines count. A line is a row when nothing but cells, separators, one label in front ("Row 1:") and
brackets or bars around are on it; a line that holds all rows one after another, with blanks between, counts
as that many. Blank lines, code fences, ruled lines and labels on their own lie between paragraphs of rows;
any other line is prose and ends a block. End-of-text markers are dropped. The answer is the last block with
enough rows, and it must hold exactly the grid: n rows, or a last paragraph of n rows, or an echo of the
question (the symbols in the order given; the puzzle) and n rows. An extra row is not prose: five rows are no
square of four.

Strict: exactly n lines of n bare comma-separated symbols; exactly 4 lines of 4 ASCII digits.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring.clean import without_end_markers

Row = tuple[str, ...]

MAX_ROW = 200
"""Characters; a longer line is prose."""

_LABEL = re.compile(r"(?:[A-Za-z]+ ?\d{0,2}|\d{1,2})[:.)]\s*(?=\S)")
_BETWEEN = re.compile(r"[-+|=:\s]*|```\w*|[A-Za-z]+ \d{1,2}[:.]")
_SUDOKU_ROW = re.compile(r"[\d\s,;|\"']+", re.ASCII)
_FULL_WIDTH = {0xFF10 + digit: str(digit) for digit in range(10)}
_QUOTES = "\"'"
MAX_CELL = 4


def score_latin(sample: Sample, text: str) -> Score:
    """Judge a square in which every one of `facts["symbols"]` stands once in each row and column."""
    symbols = tuple(sample.facts["symbols"])
    rows, fault = _find(text, len(symbols), (symbols,), lambda line: _latin_rows(line, symbols))
    fault = fault or _latin_fault(rows, symbols)
    if fault:
        return Score(0.0, 0.0, fault)
    lines = _plain_lines(text)
    return _right([tuple(line.split(",")) for line in lines] == rows, f"{len(symbols)} lines of bare CSV")


def score_sudoku(sample: Sample, text: str) -> Score:
    """Judge a 4x4 grid, which must be `facts["solution"]`, the only one that fits."""
    solution = [tuple(line) for line in sample.facts["solution"].split("\n")]
    puzzle = [tuple(line) for line in sample.facts["grid"].split("\n")]
    rows, fault = _find(text.translate(_FULL_WIDTH), len(solution), puzzle, _sudoku_rows)
    fault = fault or _sudoku_fault(rows, solution)
    if fault:
        return Score(0.0, 0.0, fault)
    return _right([tuple(line) for line in _plain_lines(text)] == rows, f"{len(solution)} lines of digits")


def _right(strict: bool, form: str) -> Score:
    return Score(1.0, 1.0) if strict else Score(1.0, 0.0, f"not asked format: more than {form}")


def _plain_lines(text: str) -> list[str]:
    return text.strip().replace("\r\n", "\n").split("\n")


def _find(text: str, size: int, echo: Sequence[Row], rows_of: Callable[[str], list[Row]]) -> tuple[list[Row], str]:
    """The answer's rows, or why there are none."""
    blocks = _blocks(text, rows_of)
    enough = [block for block in blocks if sum(map(len, block)) >= size]
    if not enough:
        found = max((sum(map(len, block)) for block in blocks), default=0)
        return [], f"found {found} rows, expected {size}" if found else "no rows found"
    rows = [row for paragraph in enough[-1] for row in paragraph]
    if len(rows) == size:
        return rows, ""
    if len(enough[-1][-1]) == size:
        return enough[-1][-1], ""
    if len(rows) == len(echo) + size and rows[: len(echo)] == list(echo):
        return rows[len(echo) :], ""
    return [], f"found {len(rows)} rows, expected {size}"


def _blocks(text: str, rows_of: Callable[[str], list[Row]]) -> list[list[list[Row]]]:
    """Blocks between prose, of paragraphs between blank lines, of rows; none of them is empty."""
    blocks: list[list[list[Row]]] = [[[]]]
    for line in without_end_markers(text).split("\n"):
        if len(line) <= MAX_ROW and _BETWEEN.fullmatch(line.strip()):
            blocks[-1].append([])
        elif len(line) <= MAX_ROW and (rows := rows_of(_bare(line))):
            blocks[-1][-1].extend(rows)
        else:
            blocks.append([[]])
    filled = ([paragraph for paragraph in block if paragraph] for block in blocks)
    return [block for block in filled if block]


def _bare(line: str) -> str:
    """The line without its label, its brackets or bars, and the comma after a closing bracket."""
    line = line.strip()
    if label := _LABEL.match(line):
        line = line[label.end() :]
    if line.endswith(("],", "),")):
        line = line[:-1]
    return line.strip("[](){}| \t")


def _latin_rows(line: str, symbols: Row) -> list[Row]:
    chunks = line.split()
    if len(chunks) == len(symbols) and all(chunk.count(",") == len(symbols) - 1 for chunk in chunks):
        return [tuple(chunk.split(",")) for chunk in chunks]
    separator = next((mark for mark in ",;|\t" if mark in line), None)
    cells = tuple(_cell(cell.strip()) for cell in line.split(separator))
    # Words of prose are short too: without separators only single symbols make a row.
    longest = MAX_CELL if separator else max(map(len, symbols))
    if len(cells) < 2 or any(len(cell) > longest or " " in cell for cell in cells):
        return []
    return [cells]


def _cell(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in _QUOTES
    return cell[1:-1] if quoted else cell


def _sudoku_rows(line: str) -> list[Row]:
    if not _SUDOKU_ROW.fullmatch(line):
        return []
    chunks = re.findall(r"[0-9]+", line)
    if len(chunks) == 4 and all(len(chunk) == 4 for chunk in chunks):
        return [tuple(chunk) for chunk in chunks]
    return [tuple("".join(chunks))] if chunks else []


def _latin_fault(rows: Sequence[Row], symbols: Row) -> str:
    for place, row in enumerate(rows, start=1):
        if len(row) != len(symbols):
            return f"row {place} has {len(row)} cells, expected {len(symbols)}"
        strange = [cell for cell in row if cell not in symbols]
        if strange:
            return f"row {place} holds {strange[0]!r}, which is no symbol"
    columns = list(zip(*rows, strict=True))
    for name, lines in (("row", rows), ("column", columns)):
        for place, cells in enumerate(lines, start=1):
            symbol, count = Counter(cells).most_common(1)[0]
            if count > 1:
                return f"{name} {place} repeats symbol {symbol}"
    return ""


def _sudoku_fault(rows: Sequence[Row], solution: Sequence[Row]) -> str:
    for place, (row, wanted) in enumerate(zip(rows, solution, strict=True), start=1):
        if row != wanted:
            return f"row {place} is '{''.join(row)}', expected '{''.join(wanted)}'"
    return ""
