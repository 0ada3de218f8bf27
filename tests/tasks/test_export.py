"""Chats for fine-tuning."""

import json
from collections import Counter

import pytest

from parallelbench.errors import UsageError
from parallelbench.tasks import TASKS, load_task
from parallelbench.tasks.export import export_chat


@pytest.mark.parametrize("name", TASKS)
def test_an_exported_chat_is_the_prompt_and_a_correct_answer(name):
    task = load_task(name)
    chats = list(export_chat(task, 5, 6, "train"))
    samples = task.samples(5, 6, "train")
    assert json.loads(json.dumps(chats)) == chats
    for chat, sample in zip(chats, samples, strict=True):
        assert set(chat) == {"messages", "task", "id"}
        assert (chat["task"], chat["id"]) == (name, sample.id)
        *prompt, last = chat["messages"]
        assert prompt == list(sample.messages)
        assert last["role"] == "assistant"
        assert last["content"] in dict(task.support(sample))


def test_answers_to_random_tasks_are_drawn_evenly():
    chats = export_chat(load_task("remove_random@n=3"), 0, 300)
    gone = Counter()
    for chat, sample in zip(chats, load_task("remove_random@n=3").samples(0, 300, "train"), strict=True):
        left = json.loads(chat["messages"][-1]["content"])
        gone[next(i for i, person in enumerate(sample.facts["items"]) if person not in left)] += 1
    assert set(gone) == {0, 1, 2} and min(gone.values()) > 70


def test_the_default_split_is_train():
    assert next(export_chat(load_task("copy"), 0, 1))["id"] == "waiting_line/copy.1/train/0/0"


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="from 1, got 0"):
        next(export_chat(load_task("copy"), 0, 0))
