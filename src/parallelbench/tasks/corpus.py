"""Every text the built-in tasks can show or expect, for tokenizers that want whole words."""

import string
from collections.abc import Iterable, Iterator

from parallelbench.tasks import TASKS
from parallelbench.tasks.base import Sample, Task
from parallelbench.tasks.common import SPLITS
from parallelbench.tasks.names import name_list
from parallelbench.tasks.published import PublishedTask

_SHOWN = 4
"""Samples of a drawn task that together show all its prompt's words."""


def corpus() -> Iterator[str]:
    """Names as they stand in lists and sentences, single symbols, and the prompts and answers of every task."""
    for first in name_list("first_names"):
        yield f'["{first}", "{first} x'
    for last in name_list("last_names"):
        yield f'"x {last}", {last}'
    yield ",".join(string.ascii_uppercase + string.digits) + " " + " ".join(string.ascii_uppercase + string.digits)
    for build in TASKS.values():
        task = build()
        for split in SPLITS:
            for sample in task.samples(0, task.available(split) or _SHOWN, split):
                yield from _texts(sample)


def published_corpus(tasks: Iterable[Task]) -> Iterator[str]:
    """Every text of the published files among the tasks, whatever samples of them are run."""
    for task in tasks:
        if isinstance(task, PublishedTask):
            for sample in task.drafts:
                yield sample.answer
                yield from _texts(sample)


def _texts(sample: Sample) -> Iterator[str]:
    yield from (message["content"] for message in sample.messages)
    yield from sample.facts.get("references", ())
