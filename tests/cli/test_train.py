import json

import pytest

SMALL = ("--task", "copy@n=2", "--steps", 4, "--batch", 4, "--width", 16, "--layers", 1, "--look", 0)


def test_a_trained_model_is_decoded_by_run(pb):
    done = pb("train", *SMALL, "--out", "model", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["step"] == 4 and told["out"] == "model" and list(told["loss_by_task"]) == ["waiting_line/copy@n=2"]
    assert "step 4 of 4" in done.err and "model: model (try: pb run --model model" in done.err
    again = pb("train", *SMALL, "--out", "model")
    assert again.code == 0 and "model has its 4 steps already." in again.err
    ran = pb("run", "--model", "model", "--task", "copy@n=2", "--method", "confidence:k=16", "--samples", 1, "--json")
    assert ran.code == 0 and json.loads(ran.out)[0]["model"] == "model"
    assert (
        "model knows none of these tasks, only waiting_line/copy."
        in pb("run", "--model", "model", "--task", "sudoku", "--samples", 1).err
    )


def test_tasks_a_model_was_not_made_for_are_left_to_others(pb):
    pb("train", *SMALL, "--out", "model")
    words = ("--model", "model", "--model", "ideal", "--method", "confidence:k=32", "--samples", 1, "--json")
    ran = pb("run", *words, "--task", "copy", "--task", "sort")
    found = {entry["model"]: [point["task"] for point in entry["points"]] for entry in json.loads(ran.out)}
    assert found == {"ideal": ["waiting_line/copy", "waiting_line/sort"], "model": ["waiting_line/copy"]}
    assert "3 lanes decoded" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--steps", "1"), "Give the tasks to train on"),
        (("--preset", "tinny"), "Unknown preset 'tinny'. Did you mean 'tiny'?"),
        (("--task", "copy", "--process", "mask"), "Did you mean 'masked'?"),
        (("--task", "copi"), "Did you mean"),
        (("--task", "copy", "--weight", "copy"), "expected TASK=NUMBER"),
        (("--task", "copy", "--weight", "sort=2"), "the tasks trained on are waiting_line/copy"),
        (("--task", "copy", "--epochs", "2"), "--epochs belongs to fine-tuning; give --model DIR."),
        (("--task", "copy", "--model", "x", "--weight", "copy=2"), "--weight belongs to training from scratch"),
        (("--preset", "paper-lora", "--task", "copy"), "name it with --model DIR"),
        (("--model", "x", "--preset", "tiny", "--task", "copy"), "Unknown preset for fine-tuning 'tiny'"),
        (("--model", "ideal", "--task", "copy"), "can't be fine-tuned"),
        (("--model", "./nowhere", "--task", "copy"), "nowhere"),
        (("--model", "x"), "Give the tasks to fine-tune on"),
    ],
)
def test_what_cannot_be_trained_is_refused(refused, words, told):
    assert told in refused("train", "--out", "model", *words)


def test_an_adapter_needs_a_checkpoint(refused):
    assert "--adapter belongs to checkpoints; give one with --model DIR." in refused("run", "--adapter", "a")
