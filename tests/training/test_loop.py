import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from parallelbench.errors import UsageError
from parallelbench.models.registry import load_denoiser
from parallelbench.tasks import expand_tasks
from parallelbench.training.evaluation import accuracies
from parallelbench.training.loop import STATE, Habits, train
from parallelbench.training.settings import TrainSettings

TINY = TrainSettings(("waiting_line/copy@n=2",), steps=6, batch=4, width=16, layers=1, heads=2, hidden=16, warm=2)
QUIET = Habits(tell=100, look=0, save=0.0)


def silent(progress):
    pass


def test_a_toy_task_is_learnt_and_its_held_out_samples_are_solved(tmp_path):
    settings = replace(
        TINY, tasks=("puzzle/sudoku@blanks=1",), steps=80, batch=32, width=64, layers=2, hidden=96, rate=4e-3
    )
    heard = []
    train(settings, tmp_path, Habits(tell=20, look=80, samples=10), heard.append)
    losses = [progress.loss for progress in heard]
    assert losses[0] > 1 and losses[-1] < 0.2
    assert heard[-1].accuracy["puzzle/sudoku@blanks=1"] >= 0.9
    assert list(heard[-1].by_task) == ["puzzle/sudoku@blanks=1"]
    model = load_denoiser(str(tmp_path))
    assert accuracies(model, expand_tasks(settings.tasks), 10, "confidence:k=1") == heard[-1].accuracy


SCRIPT = """
import sys, time, torch
from pathlib import Path
torch.set_num_threads(1)
from parallelbench.training.loop import Habits, train
from parallelbench.training.settings import TrainSettings
settings = TrainSettings(("waiting_line/copy@n=2",), steps=40, batch=4, width=16, layers=1, heads=2, hidden=16, warm=2)

def tell(progress):
    print(progress.step, flush=True)
    if progress.step == 39:
        time.sleep(200)  # the blow comes before the end, however late

train(settings, Path(sys.argv[1]), Habits(tell=1, look=10, samples=1, save=0.0), tell)
"""


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_killed_training_goes_on_bit_for_bit(tmp_path, one_thread):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "killed")], stdout=subprocess.PIPE)
    for line in process.stdout:
        if int(line) >= 17:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    before = load_file(tmp_path / "killed" / STATE)
    settings = replace(TINY, steps=40)
    resumed = train(settings, tmp_path / "killed", Habits(tell=1, look=10, samples=1, save=0.0), silent)
    assert resumed.step == 40
    train(settings, tmp_path / "whole", QUIET, silent)
    whole, killed = (load_file(tmp_path / name / STATE) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert any(not torch.equal(before[name], killed[name]) for name in killed)
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "killed/model.safetensors").read_bytes()


def test_other_settings_do_not_go_on_in_the_same_folder(tmp_path):
    train(TINY, tmp_path, QUIET, silent)
    with pytest.raises(UsageError, match=r"begun with rate=0.002 \(now 0.1\)"):
        train(replace(TINY, rate=0.1), tmp_path, QUIET, silent)
    began = time.monotonic()
    assert train(TINY, tmp_path, QUIET, silent).step == 6
    assert time.monotonic() - began < 60
    assert train(replace(TINY, steps=8), tmp_path, QUIET, silent).step == 8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"process": "maskd"}, "Did you mean 'masked'"),
        ({"steps": 0}, "steps must be"),
        ({"width": 30}, "multiple of"),
        ({"rate": 0.0}, "must be positive"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(change, told):
    with pytest.raises(UsageError, match=told):
        replace(TINY, **change)
