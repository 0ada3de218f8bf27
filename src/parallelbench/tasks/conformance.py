"""Compare our scorers with rows that another implementation scored."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError, lookup
from parallelbench.tasks.base import Profile, Sample
from parallelbench.tasks.scoring import score
from parallelbench.tasks.scoring.pb2025 import parse_list

MAX_FAILURES = 20
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "task": str,
    "prediction": str,
    "score": (int, float),
    "score_strict": (int, float),
}
_OPERATIONS = {
    **dict.fromkeys(("copy", "reverse", "sort", "insert_index", "remove_index", "replace_index"), "list_expected"),
    "shuffle": "list_shuffle",
    "insert_random": "list_insert",
    "remove_random": "list_remove",
    "replace_random": "list_replace",
}
KINDS: Mapping[str, str] = {
    **{f"waiting_line{size}/{name}": kind for size in ("", "_n15") for name, kind in _OPERATIONS.items()},
    "puzzle/latin_square_n4": "latin_square",
    "puzzle/sudoku_n4_12": "sudoku",
}
"""Published task name -> kind of scoring."""


def conform_scorers(golden: Path, data: Path | None, profile: Profile) -> dict[str, Any]:
    """Score every row of a golden file and compare both scores, bit for bit.

    Args:
        golden: JSON lines, plain or gzipped, with task, prediction, score, score_strict, and answer or index.
        data: Folder of the published data; line `index` of `<task>.jsonl` holds the answer of a row without.
        profile: Whose semantics to compare.

    Returns:
        `{"passed", "failed", "skipped", "by_task", "failures"}`: counts of rows (skipped: no answer to be
        had), the same counts a task, and the first twenty disagreements.

    Raises:
        UsageError: an unreadable file, or a line that is no row of a known task; names file and line.
    """
    counts: dict[str, Counter[str]] = {}
    failures: list[dict[str, Any]] = []
    answers = cache(lambda task: _data_answers(data / f"{task}.jsonl") if data else [])
    for where, number, row in _rows(golden):
        task, answer = row["task"], row.get("answer")
        if answer is None:
            answer = _answer_at(answers(task), row.get("index"), where)
        outcome = "skipped"
        if answer is not None:
            got = score(KINDS[task], _sample(KINDS[task], answer, where), row["prediction"], profile)
            outcome = "passed" if [got.lenient, got.strict] == [row["score"], row["score_strict"]] else "failed"
            if outcome == "failed" and len(failures) < MAX_FAILURES:
                failures.append(_failure(number, row, got.lenient, got.strict, got.why))
        counts.setdefault(task, Counter())[outcome] += 1
    total = sum(counts.values(), Counter())
    by_task = {task: _counts(counter) for task, counter in sorted(counts.items())}
    return {**_counts(total), "by_task": by_task, "failures": failures}


def _counts(counter: Counter[str]) -> dict[str, int]:
    return {name: counter[name] for name in ("passed", "failed", "skipped")}


def _failure(
    number: int, row: Mapping[str, Any], lenient: float | None, strict: float | None, why: str
) -> dict[str, Any]:
    return {
        "line": number,
        "task": row["task"],
        "index": row.get("index"),
        "prediction": row["prediction"][:500],
        "expected": [row["score"], row["score_strict"]],
        "got": [lenient, strict],
        "why": why,
    }


def _rows(golden: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for number, row in _json_lines(golden):
        where = f"{golden}, line {number}"
        for name, kind in _FIELDS.items():
            if not isinstance(row.get(name), kind):
                raise UsageError(f"{where}: field {name!r} is missing or no {_type_name(kind)}.")
        try:
            lookup(KINDS, row["task"], "task")
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        yield where, number, row


def _type_name(kind: type | tuple[type, ...]) -> str:
    return "text" if kind is str else "number"


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) of every line that is not blank."""
    try:
        opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
        with opened as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _json_object(line, f"{path}, line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a JSON object, got {type(value).__name__}.")
    return value


def _data_answers(path: Path) -> list[Any]:
    if not path.exists():
        return []
    return [record.get("answer") for _, record in _json_lines(path)]


def _answer_at(answers: list[Any], index: object, where: str) -> Any:
    """The answer of a data line, counted from 0; None where there is none."""
    if index is None:
        return None
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise UsageError(f"{where}: field 'index' is {index!r}, expected a line number from 0.")
    return answers[index] if index < len(answers) else None


def _sample(kind: str, answer: Any, where: str) -> Sample:
    """A question that holds just what a published answer tells."""
    try:
        facts = _facts(kind, answer)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{where}: this is no answer of a {kind} task: {answer!r:.80}.") from error
    return Sample(id=where, index=0, messages=(), facts=facts, answer="")


def _facts(kind: str, answer: Any) -> dict[str, Any]:
    if kind == "latin_square":
        return {"symbols": list(answer["symbols"])}
    if kind == "sudoku":
        return {"grid": "", "solution": answer.strip()}
    if kind == "list_expected":
        return {"items": [], "expected": parse_list(answer), "new": None, "position": None}
    new = answer["word"] if kind in ("list_insert", "list_replace") else None
    return {"items": list(answer["input"]), "expected": None, "new": new}
