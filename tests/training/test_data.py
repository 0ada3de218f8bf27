from itertools import islice

import pytest
import torch

from parallelbench.errors import UsageError
from parallelbench.models.words import ASSISTANT, EOS, PAD
from parallelbench.tasks import expand_tasks
from parallelbench.training import data
from parallelbench.training.data import Stream, asked, rank_of, vocabulary, weighted

TASKS = expand_tasks(("waiting_line/copy", "waiting_line/remove_random", "puzzle/latin_square"))


@pytest.fixture(scope="module")
def words():
    return vocabulary(TASKS)


def stream(words, seed=3, **weights):
    return Stream(weighted(TASKS, {f"waiting_line/{name}": weight for name, weight in weights.items()}), words, 8, seed)


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("prompt", "answer", "task"))


def test_a_question_is_short_and_comes_back_whole(words):
    for task in TASKS:
        for sample in task.samples(5, 20):
            ids = words.tokenizer.encode(asked(sample))
            assert words.tokenizer.decode(ids) == asked(sample)
            assert len(ids) < words.prompt <= 32
            assert set(words.tokenizer.encode(sample.answer)) <= set(words.written)


def test_what_the_vocabulary_lacks_is_spelled(words):
    assert words.tokenizer.decode(words.tokenizer.encode("Zoë 雪\n")) == "Zoë 雪\n"


def test_a_batch_holds_questions_and_answers_of_the_train_split(words):
    held_out = {asked(sample) for task in TASKS for sample in task.samples(0, 300)}
    for batch in islice(stream(words).batches(0), 20):
        for prompt, answer, task in zip(batch.prompt.tolist(), batch.answer.tolist(), batch.task.tolist(), strict=True):
            text = [token for token in prompt if token != PAD]
            assert text[-1] == ASSISTANT and prompt == [PAD] * (len(prompt) - len(text)) + text
            question = words.tokenizer.decode(text[:-1])
            assert question not in held_out
            end = answer.index(EOS)
            assert set(answer[end:]) == {EOS}
            said = words.tokenizer.decode(answer[:end])
            if TASKS[task].name == "waiting_line/copy":
                assert said in question
        assert torch.equal(batch.present, batch.prompt != PAD)


def test_any_batch_can_be_made_without_those_before_it(words):
    whole = list(islice(stream(words).batches(0), data.BATCHES_A_CHUNK + 5))
    for first in (3, data.BATCHES_A_CHUNK - 1, data.BATCHES_A_CHUNK, data.BATCHES_A_CHUNK + 2):
        assert same(next(stream(words).batches(first)), whole[first])
    assert not same(whole[0], whole[data.BATCHES_A_CHUNK])
    assert not same(next(stream(words, seed=4).batches(0)), whole[0])


def test_tasks_come_as_often_as_their_weights_say(words):
    batches = list(islice(stream(words, copy=5.0, remove_random=2.0).batches(0), data.BATCHES_A_CHUNK))
    counts = torch.bincount(torch.cat([batch.task for batch in batches])).tolist()
    assert counts == [160, 64, 32]  # of 32 batches of 8, in 5 : 2 : 1


def test_some_batches_keep_the_full_window(words):
    widths = [batch.answer.shape[1] for batch in islice(stream(words).batches(0), data.BATCHES_A_CHUNK)]
    assert widths.count(words.answer) >= 5 and min(widths) < words.answer


@pytest.mark.parametrize(("name", "weight", "told"), [("copy", 0.0, "positive"), ("sort", 1.0, "tasks trained on")])
def test_weights_are_checked(words, name, weight, told):
    with pytest.raises(UsageError, match=told):
        stream(words, **{name: weight})


def test_words_are_ranked_by_the_alphabet_whatever_stands_before_them(words):
    rank = rank_of(words.tokenizer)
    place = {text.strip(): rank[token].item() for token, text in enumerate(words.tokenizer.texts, start=262)}
    assert place["Abbott"] < place["Garcia"] < place["Ziegler"] <= 1


def test_a_task_with_a_fixed_train_split_gives_part_of_it():
    (task,) = expand_tasks(("text/paraphrasing",))
    words = vocabulary([task])
    pool = {sample.answer for sample in task.samples(0, task.available("train"), "train")}
    batch = next(Stream({task: 1.0}, words, 8, 0).batches(0))
    for answer in batch.answer.tolist():
        assert words.tokenizer.decode(answer[: answer.index(EOS)]) in pool
