"""The published scoring rules of ParallelBench (arXiv 2510.04767), faults included.

Re-implemented from a description of their behaviour and checked row by row against recorded judgements.
What each fault does, and what `native` says instead, stands in `tests/tasks/test_scoring_faults.py`.
"""

import math
from collections.abc import Callable, Iterator, Sequence

from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring import grammar, measures
from parallelbench.tasks.scoring.bertscore import bertscore

Items = Sequence[str]
Judge = Callable[[Sample, Items], bool]

SURROUND = ' "'
"""All that is stripped from a list item: blanks and double quotes, no tabs or newlines."""


def parse_list(text: str) -> list[str]:
    """Items between the last `[` and the `]` after it (either may be missing).

    A part of nothing but white space is dropped, one of nothing but quotes is an empty item.
    """
    inside = text.rpartition("[")[2].partition("]")[0]
    return [part.strip(SURROUND) for part in inside.split(",") if part.strip()]


def parse_list_strict(text: str) -> list[str] | None:
    """Items of the last bracketed list, each in double quotes and separated by exactly `, `; else None."""
    _, opening, rest = text.rpartition("[")
    inside, closing, _ = rest.partition("]")
    parts = inside.split(", ")
    if not opening or not closing:
        return None
    quoted = all(part[:1] == part[-1:] == '"' and '"' not in part[1:-1] for part in parts)
    return [part[1:-1] for part in parts] if quoted else None


def _one_changed(operation: str, given: Items, new: str | None) -> Iterator[list[str]]:
    """Every list that inserting, removing or replacing a single item can give."""
    before = [] if operation == "remove" else [str(new)]
    for i in range(len(given) + (operation == "insert")):
        yield [*given[:i], *before, *given[i + (operation != "insert") :]]


def _expected(sample: Sample, items: Items) -> bool:
    return bool(items == sample.facts["expected"])


def _shuffled(sample: Sample, items: Items) -> bool:
    given = list(sample.facts["items"])
    return items != given and sorted(items) == sorted(given)


def _changed(operation: str) -> Judge:
    def judge(sample: Sample, items: Items) -> bool:
        return list(items) in _one_changed(operation, sample.facts["items"], sample.facts.get("new"))

    return judge


def _list_scorer(judge: Judge) -> Callable[[Sample, str], Score]:
    def scorer(sample: Sample, text: str) -> Score:
        strict = parse_list_strict(text)
        return _score(judge(sample, parse_list(text)), strict is not None and judge(sample, strict))

    return scorer


score_expected = _list_scorer(_expected)
score_shuffle = _list_scorer(_shuffled)
score_insert = _list_scorer(_changed("insert"))
score_remove = _list_scorer(_changed("remove"))
score_replace = _list_scorer(_changed("replace"))


def score_latin(sample: Sample, text: str) -> Score:
    """The first n lines that hold each symbol form the square; its columns are those of the shortest row."""
    symbols = set(sample.facts["symbols"])
    lines = ([cell.strip() for cell in line.split(",")] for line in text.strip().split("\n"))
    rows = [cells for cells in lines if set(cells) == symbols][: len(symbols)]
    right = len(rows) == len(symbols) and all(set(column) == symbols for column in zip(*rows, strict=False))
    return _score(right, right)


def score_sudoku(sample: Sample, text: str) -> Score:
    """Lines with exactly four digits, whatever stands between them, form the grid; strict wants nothing else."""
    gold = [[int(digit) for digit in line] for line in sample.facts["solution"].split()]
    digits = ([int(mark) for mark in line if mark.isdecimal()] for line in text.split("\n"))
    lenient = [row for row in digits if len(row) == 4]
    bare = [line.strip() for line in text.split("\n") if line.strip()]
    exact = len(bare) == 4 and all(len(line) == 4 and all(map(str.isdecimal, line)) for line in bare)
    return _score(lenient == gold, exact and [[int(mark) for mark in line] for line in bare] == gold)


def score_summary(sample: Sample, text: str) -> Score:
    """ROUGE-L against the first reference, times grammar."""
    parts = measures.rouge(text, sample.facts["references"][:1])
    return _product({**parts, "grammar": grammar.verdict(text, sample.facts["dialogue"])}, ("rougeL", "grammar"))


def score_paraphrase(sample: Sample, text: str) -> Score:
    """(1 - BLEU against the source) times BERTScore times grammar; unscored without BERTScore."""
    source = sample.facts["sentence"]
    parts = {
        "inv_bleu": measures.inverse_bleu(text.strip(), source),
        "bertscore": bertscore(text.strip(), source),
        "grammar": grammar.verdict(text, source),
    }
    return _product(parts, ("inv_bleu", "bertscore", "grammar"))


def score_words(sample: Sample, text: str) -> Score:
    """Every word a substring of the text, case and all, times grammar."""
    words = sample.facts["words"]
    included = float(all(word in text for word in words))
    parts = {"inclusion": included, "grammar": grammar.verdict(text, " ".join(words))}
    return _product(parts, ("inclusion", "grammar"))


def _score(lenient: bool, strict: bool) -> Score:
    why = "" if lenient and strict else "not the asked format" if lenient else "not a correct answer"
    return Score(float(lenient), float(strict), why)


def _product(parts: dict[str, float | None], factors: Sequence[str]) -> Score:
    """The product of the named parts; unscored when one could not be measured."""
    missing = [name for name in factors if parts[name] is None]
    if missing:
        return Score(None, None, f"unscored: no {' and no '.join(missing)}", parts)
    product = math.prod(parts[name] or 0.0 for name in factors)
    low = ", ".join(f"{name} {parts[name]:.2f}" for name in factors if parts[name] != 1)
    return Score(product, product, low, parts)
