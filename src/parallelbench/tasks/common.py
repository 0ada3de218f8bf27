"""What the families of tasks share: the request check, splits, ids and the shapes of texts."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from parallelbench.errors import UsageError, unknown
from parallelbench.tasks.base import HOLE, Message, Split, Task

Facts = Mapping[str, Any]
SPLITS: tuple[Split, ...] = ("test", "train")


class CountedTask(Task, Protocol):
    """A task that knows how many samples it has; everything in the task table is one."""

    kind: str
    """Name of the scorer, the first argument of `scoring.score`."""
    default_count: int
    """How many test samples a full run takes."""
    options: ClassVar[Mapping[str, Collection[int]]]
    """Allowed values of each option that may follow `@` in the task's name."""

    def available(self, split: Split) -> int | None:
        """How many samples a split has, None where they are drawn on demand."""
        ...


def check_request(task: str, seed: int, count: int, split: str, available: int | None = None) -> None:
    """Refuse arguments of `samples` that make no sense.

    Raises:
        UsageError: seed or count is no whole number, count is below 1 or above `available`, or the split
            is unknown.
    """
    if split not in SPLITS:
        raise unknown("split", str(split), SPLITS)
    if type(seed) is not int:
        raise UsageError(f"{task}: the seed must be a whole number, got {seed!r}.")
    if type(count) is not int or count < 1:
        raise UsageError(f"{task}: the number of samples must be a whole number from 1, got {count!r}.")
    if available is not None and count > available:
        raise UsageError(f"{task}: {count} samples asked for, the {split} split has {available}.")


def check_option(task: str, key: str, value: object, allowed: Collection[int]) -> None:
    """Refuse an option value outside its closed set.

    Raises:
        UsageError: the value is not among `allowed`; the message names the nearest one.
    """
    if type(value) is int and value in allowed:
        return
    near = ""
    if isinstance(value, int | float) and value == value:
        near = f" The nearest is {min(allowed, key=lambda choice: abs(choice - value))}."
    choices = ", ".join(map(str, allowed))
    raise UsageError(f"{task}: {key}={value} is not possible.{near} Allowed: {choices}.")


def in_split(content: str, split: Split) -> bool:
    """Whether a content belongs to the split: a coin thrown by its own SHA-256, whatever the seed."""
    return hashlib.sha256(content.encode()).digest()[0] % 2 == SPLITS.index(split)


def sample_id(task: Task, split: Split, seed: int, index: int) -> str:
    """The id of a sample, `task.version/split/seed/index`."""
    return f"{task.name}.{task.version}/{split}/{seed}/{index}"


def user(content: str) -> Message:
    """A turn of the user."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """A turn of the model."""
    return {"role": "assistant", "content": content}


def list_text(items: Sequence[str]) -> str:
    """A list as an answer must write it: JSON on one line, a blank after each comma."""
    return json.dumps(list(items), ensure_ascii=False)


def list_template(length: int) -> str:
    """The infill frame of a list answer with `length` items."""
    return list_text([HOLE] * length)
