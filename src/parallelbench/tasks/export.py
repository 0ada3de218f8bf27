"""Samples as chats with their answers, one JSON object a line, the form fine-tuning tools read."""

from collections.abc import Iterator
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.tasks.base import Split, Task
from parallelbench.tasks.common import assistant


def export_chat(task: Task, seed: int, count: int, split: Split = "train") -> Iterator[dict[str, Any]]:
    """The samples as {"messages", "task", "id"}, the last message being a correct answer.

    Where many answers are correct, the one shown is drawn at random by the sample itself, so that a model
    trained on it sees all of them.

    Raises:
        UsageError: a published sample whose record tells no answer.
    """
    for sample in task.samples(seed, count, split):
        if not sample.answer:
            raise UsageError(f"{sample.id}: this sample has no known answer to export.")
        messages = [dict(message) for message in (*sample.messages, assistant(sample.answer))]
        yield {"messages": messages, "task": task.name, "id": sample.id}
