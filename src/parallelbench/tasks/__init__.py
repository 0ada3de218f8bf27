"""The questions: the table of the 17 built-in tasks, and how their names are read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError, unknown
from parallelbench.settings import parse_setting
from parallelbench.tasks.common import SPLITS, CountedTask
from parallelbench.tasks.published import PublishedData
from parallelbench.tasks.puzzles import LatinSquare, Sudoku
from parallelbench.tasks.text import Paraphrasing, Summarization, WordsToSentence
from parallelbench.tasks.waiting_line import KINDS, WaitingLine

__all__ = ["TASKS", "CountedTask", "describe", "expand_tasks", "load_task", "task_names"]

TASKS: Mapping[str, Callable[..., CountedTask]] = {
    **{f"waiting_line/{operation}": partial(WaitingLine, operation) for operation in KINDS},
    "puzzle/latin_square": LatinSquare,
    "puzzle/sudoku": Sudoku,
    "text/summarization": Summarization,
    "text/paraphrasing": Paraphrasing,
    **{f"words_to_sentence/{level}": partial(WordsToSentence, level) for level in ("easy", "medium", "hard")},
}
"""Name to constructor; the options of `NAME@key=value` are its keyword arguments."""


def task_names(data: Path | None = None) -> list[str]:
    """Full names of the built-in tasks, or of those under a folder of published data."""
    return list(TASKS) if data is None else list(PublishedData(data).files)


def load_task(text: str, data: Path | None = None) -> CountedTask:
    """The task of a full or a unique short name: `waiting_line/shuffle`, `shuffle@n=15`.

    Args:
        text: The name, with options after `@`.
        data: A folder of published files to take tasks from instead of the built-in ones.

    Raises:
        UsageError: an unknown or ambiguous name, an unknown option, an impossible value, unreadable data.
    """
    names = task_names(data)
    found = _matches(text, names, categories=())
    return _build(found[0], text, data)


def expand_tasks(texts: Sequence[str], data: Path | None = None) -> list[CountedTask]:
    """The tasks of a list of names, each once, in the order asked for.

    A name may also be a category (`waiting_line`, `puzzle`, ...) or `all`; options after it go to every
    member.

    Raises:
        UsageError: as `load_task`.
    """
    names = task_names(data)
    categories = ("all", *dict.fromkeys(map(_category, names)))
    tasks = (_build(name, text, data) for text in texts for name in _matches(text, names, categories))
    return list({task.name: task for task in tasks}.values())


def describe(task: CountedTask) -> dict[str, Any]:
    """What a list of tasks shows of one, ready for JSON; a count of None means "drawn on demand"."""
    return {
        "name": task.name,
        "version": task.version,
        "category": _category(task.name),
        "max_tokens": task.max_tokens,
        "samples": {split: task.available(split) for split in SPLITS},
        "default_samples": task.default_count,
        "options": {
            key: {"default": getattr(task, key), "allowed": list(allowed)} for key, allowed in task.options.items()
        },
        "parallel": task.parallel,
    }


def _category(name: str) -> str:
    return name.split("/")[0]


def _matches(text: str, names: Sequence[str], categories: Iterable[str]) -> list[str]:
    asked, _ = parse_setting(text, "@")
    if asked in names:
        return [asked]
    if asked in categories:
        return [name for name in names if asked in ("all", _category(name))]
    short = [name for name in names if name.split("/")[1] == asked]
    if len(short) > 1:
        raise UsageError(f"Task {asked!r} can be any of: {', '.join(short)}.")
    if not short:
        nicknames = {name.split("/")[1] for name in names} if "/" not in asked else set()
        raise unknown("task", asked, {*names, *categories, *nicknames})
    return short


def _build(name: str, text: str, data: Path | None) -> CountedTask:
    _, parameters = parse_setting(text, "@")
    if data is not None:
        if parameters:
            raise UsageError(f"{text!r}: published tasks have no options; ask for {name!r}.")
        return PublishedData(data).load(name)
    allowed = TASKS[name]().options
    for key in parameters:
        if key not in allowed:
            raise unknown(f"option of task {name!r}:", key, allowed)
    return TASKS[name](**parameters)
