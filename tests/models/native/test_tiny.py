"""The weights that the package ships."""

import subprocess
import sys
from importlib.resources import files

import pytest
import torch

from parallelbench.models.generators.base import Request
from parallelbench.models.registry import load_denoiser, load_model, shipped
from parallelbench.tasks import expand_tasks
from parallelbench.training.evaluation import accuracies

BUDGET = 12 * 10**6


def test_they_are_small():
    data = files("parallelbench.models.native") / "data"
    sizes = [file.stat().st_size for folder in data.iterdir() for file in folder.iterdir()]
    assert len(sizes) >= 2 and sum(sizes) <= BUDGET


def test_they_load_and_answer_in_two_seconds_of_work():
    script = (
        "import time, torch; torch.set_num_threads(1);"
        "from parallelbench.models.registry import load_denoiser;"
        "began = time.process_time(); model = load_denoiser('tiny');"
        "ids = torch.tensor([[*model.encode([{'role': 'user', 'content': 'x'}]), *[model.spec.mask_id] * 32]]);"
        "model.logits(ids, torch.ones_like(ids, dtype=torch.bool), ids == model.spec.mask_id);"
        "print(time.process_time() - began)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout) < 2  # seconds of CPU, so that a busy machine changes nothing


def test_they_solve_held_out_samples_one_token_at_a_time():
    names = (
        "waiting_line/copy",
        "waiting_line/reverse",
        "waiting_line/sort",
        "waiting_line/insert_index",
        "puzzle/sudoku",
    )
    found = accuracies(load_denoiser("tiny"), expand_tasks(names), 8, "confidence:k=1")
    assert min(found.values()) >= 7 / 8, found


@pytest.mark.parametrize("name", ["tiny-uniform", "tiny-ar"])
def test_the_ones_that_decode_by_themselves_solve_held_out_lists(name):
    assert name in {entry.name for entry in shipped()}
    model = load_model(name)
    for task in expand_tasks(("waiting_line/reverse", "waiting_line/remove_index")):
        asked = {str(sample.index): sample for sample in task.samples(0, 8, "test")}
        requests = [Request(i, sample.messages, task.max_tokens, int(i)) for i, sample in asked.items()]
        answers = list(model.generate(requests, 8))
        scores = [task.score(asked[answer.id], answer.text).lenient for answer in answers]
        assert len(scores) == 8 and sum(scores) >= 7, answers


def test_they_are_computed_in_float32_without_half_precision_units():
    model = load_denoiser("tiny")
    assert {weight.dtype for weight in model.network.parameters()} == {torch.float32}
    assert model.spec.dtype == "float32"
    assert model.spec.tasks == {task.name for task in expand_tasks(("waiting_line", "puzzle"))}
