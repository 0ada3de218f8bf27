"""The published test files, run exactly as they are: their prompts, examples, answers and order.

Layout: `<folder>/<name>.jsonl`, one record a line, beside a `<folder>/task_config.yaml` that gives each
task its prompt template and its metric.
"""

import ast
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from parallelbench.errors import UsageError, lookup, unknown
from parallelbench.tasks.base import Message, Profile, Sample, Score, Split, Support, content_digest
from parallelbench.tasks.common import (
    CountedTask,
    Facts,
    assistant,
    check_request,
    sample_id,
    user,
)
from parallelbench.tasks.scoring import SCORER_VERSION, score
from parallelbench.tasks.support import SIDE, support_of

_CONFIG = "task_config.yaml"
_KIND_OF_METRIC = {
    "list_match_score": "list_expected",
    "list_shuffle_score": "list_shuffle",
    "list_random_insert_score": "list_insert",
    "list_random_remove_score": "list_remove",
    "list_random_replace_score": "list_replace",
    "latin_square_score": "latin_square",
    "sudoku_score": "sudoku",
    "summary_score": "summary",
    "paraphrase_score": "paraphrase",
    "sentence_to_words_score": "words",
}
_MAX_TOKENS = {"waiting_line": 32, "waiting_line_n15": 128}
_ELSE_MAX_TOKENS = 64

Record = Mapping[str, Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list of texts, got {value!r}")
    return [_text(item) for item in value]


def _list_facts(name: str, record: Record) -> Facts:
    asked, answer = record["input"], record["answer"]
    return {
        "operation": name.split("/")[1],
        "items": _texts(json.loads(asked["context"])),
        "expected": _texts(json.loads(answer)) if isinstance(answer, str) else None,
        "new": asked.get("word"),
        "position": asked.get("index"),
    }


def _latin_facts(name: str, record: Record) -> Facts:
    symbols = _texts(record["answer"]["symbols"])
    if len(symbols) != SIDE:
        raise ValueError(f"expected {SIDE} symbols, got {symbols}")
    return {"symbols": symbols}


def _sudoku_facts(name: str, record: Record) -> Facts:
    return {"grid": _text(record["input"]["sudoku"]), "solution": _text(record["answer"])}


def _summary_facts(name: str, record: Record) -> Facts:
    return {"dialogue": _text(record["input"]["text"]), "references": [_text(record["answer"]["summary"])]}


def _paraphrase_facts(name: str, record: Record) -> Facts:
    references = _texts(ast.literal_eval(record["answer"]["examples"]))
    return {"sentence": _text(record["input"]["text"]), "references": references}


def _words_facts(name: str, record: Record) -> Facts:
    answer = record["answer"]
    known = {"references": [_text(answer["example"])]} if "example" in answer else {}
    return {"words": _texts(answer["words"]), **known}


_FACTS: Mapping[str, Callable[[str, Record], Facts]] = {
    "latin_square": _latin_facts,
    "sudoku": _sudoku_facts,
    "summary": _summary_facts,
    "paraphrase": _paraphrase_facts,
    "words": _words_facts,
}


def _answer(record: Record, facts: Facts) -> str:
    answer = record["answer"]
    if isinstance(answer, str):
        return answer
    if "example" in answer:
        return str(answer["example"])
    return str(facts["references"][0]) if "references" in facts else ""


def _fill(prompt: str, fields: Mapping[str, Any]) -> str:
    # Not str.format: a template of a file must not reach into objects, and may hold lone braces.
    return re.sub(r"\{(\w+)\}", lambda hole: str(fields[hole[1]]), prompt)


@dataclass(frozen=True)
class PublishedTask(CountedTask):
    """One published file as a task of version 0; a seed changes nothing but the ids."""

    name: str
    kind: str
    content: str = field(repr=False)
    drafts: tuple[Sample, ...] = field(repr=False)
    max_tokens: int
    parallel: bool | None
    default_count: int
    version: int = 0
    options: ClassVar[Mapping[str, Collection[int]]] = {}

    def available(self, split: Split) -> int | None:
        """The number of records for test, none for train."""
        return len(self.drafts) if split == "test" else 0

    def samples(self, seed: int, count: int, split: Split = "test") -> list[Sample]:
        """The first records of the file.

        Raises:
            UsageError: arguments that make no sense, more samples than records, or the train split.
        """
        check_request(self.name, seed, count, split, self.available(split))
        return [replace(draft, id=sample_id(self, split, seed, draft.index)) for draft in self.drafts[:count]]

    def score(self, sample: Sample, text: str, profile: Profile = "native") -> Score:
        """Judge an answer text; never raises on any text."""
        return score(self.kind, sample, text, profile)

    def support(self, sample: Sample) -> Support | None:
        """Every correct answer as far as the record tells it, else None."""
        return support_of(self.kind, sample.facts)

    def digest(self) -> str:
        """Twelve hex digits over prompt template, file and scorer."""
        return content_digest(self.content, str(SCORER_VERSION))


@dataclass(frozen=True)
class PublishedData:
    """A folder of published files.

    Attributes:
        root: The folder that holds `<folder>/<name>.jsonl`.
        files: The file of every task, by its full name `<folder>/<name>`.
    """

    root: Path
    files: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        """Find the tasks.

        Raises:
            UsageError: the folder is missing or holds no task.
        """
        if not self.root.is_dir():
            raise UsageError(f"{self.root}: no such folder of published data.")
        found = sorted(path for path in self.root.glob("*/*.jsonl") if (path.parent / _CONFIG).is_file())
        if not found:
            raise UsageError(
                f"{self.root}: no tasks inside; expected <folder>/<name>.jsonl beside a <folder>/{_CONFIG}."
            )
        object.__setattr__(self, "files", {f"{path.parent.name}/{path.stem}": path for path in found})

    def load(self, name: str) -> PublishedTask:
        """Read one task.

        Raises:
            UsageError: unknown name; unreadable, empty or corrupt file (with the line); missing field;
                no prompt or an unknown metric in the configuration.
        """
        path = lookup(self.files, name, "task")
        settings = _settings(path.parent / _CONFIG, name)
        kind = lookup(_KIND_OF_METRIC, settings["metric"], f"metric of {name} in {path.parent / _CONFIG}:")
        text = _read(path)
        drafts = tuple(
            _draft(f"{path}, line {number}", name, kind, settings["prompt"], index, record)
            for index, (number, record) in enumerate(_records(path, text))
        )
        if not drafts:
            raise UsageError(f"{path}: the file is empty; expected one JSON record a line.")
        return PublishedTask(
            name=name,
            kind=kind,
            content=json.dumps([settings["prompt"], text]),
            drafts=drafts,
            max_tokens=_MAX_TOKENS.get(path.parent.name, _ELSE_MAX_TOKENS),
            parallel=kind in ("list_expected", "sudoku"),
            default_count=len(drafts),
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}).") from error


def _settings(path: Path, name: str) -> dict[str, str]:
    try:
        config = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML ({error}).") from error
    entry = config.get(name) if isinstance(config, dict) else None
    if not isinstance(entry, dict):
        raise unknown(f"task in {path}:", name, config if isinstance(config, dict) else ())
    for key in ("prompt", "metric"):
        if not isinstance(entry.get(key), str):
            raise UsageError(f"{path}: {name} has no text {key!r}.")
    return entry


def _records(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines: it would also cut at separators that JSON strings may hold, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{path}, line {number}: not valid JSON ({error}).") from error


def _turns(prompt: str, record: Record) -> tuple[Message, ...]:
    examples = record["input"].get("icl_examples", [])
    shown = [
        turn
        for example in examples
        for turn in (user(_fill(prompt, example["input"])), assistant(_example_answer(example["answer"])))
    ]
    return (*shown, user(_fill(prompt, record["input"])))


def _example_answer(answer: str | Mapping[str, str]) -> str:
    return answer if isinstance(answer, str) else answer["example"]


def _draft(where: str, name: str, kind: str, prompt: str, index: int, record: Any) -> Sample:
    try:
        facts = _FACTS.get(kind, _list_facts)(name, record)
        return Sample(
            id="",
            index=index,
            messages=_turns(prompt, record),
            facts=facts,
            answer=_answer(record, facts),
            template=record.get("output_format"),
        )
    except KeyError as error:
        raise UsageError(f"{where}: the record has no field {error}.") from error
    except (AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"{where}: the record is not of the form that {name} needs ({error}).") from error
