import importlib.util

import pytest
import torch

if importlib.util.find_spec("peft") is None:
    pytest.skip("peft is missing: pip install 'parallelbench[models]'", allow_module_level=True)
from models.families.reference import checkpoint
from parallelbench.errors import UsageError
from parallelbench.models.registry import load_denoiser
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.tasks import expand_tasks
from parallelbench.training.lora import Example, LoraSettings, cosine, examples, fine_tune, hidden_loss

TASK = "puzzle/sudoku@blanks=1"


@pytest.fixture(scope="module")
def llada(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llada")
    checkpoint(folder, "llada", n_layers=1)
    return folder


def test_samples_are_learnt_and_the_adapter_is_used(llada, tmp_path):
    settings = LoraSettings(
        str(llada), (TASK,), samples=20, validation=4, epochs=5, batch=5, rate=2e-2, rank=16, alpha=32, dropout=0.0
    )
    heard = []
    fine_tune(settings, tmp_path / "adapter", heard.append)
    assert heard[-1].loss < 0.6 * heard[0].loss, [epoch.loss for epoch in heard]
    assert heard[-1].step == 5 * 4 and heard[0].validation is not None
    plain, adapted = load_denoiser(str(llada)), load_denoiser(f"{llada}:adapter={tmp_path}/adapter")
    seen = examples(plain, expand_tasks((TASK,)), 20, 0, "train")[:10]
    with torch.no_grad():
        before, after = (hidden_loss(model, seen, torch.Generator().manual_seed(1)) for model in (plain, adapted))
    assert after < 0.6 * before
    both = (str(llada), f"{llada}:adapter={tmp_path}/adapter")
    result = run(RunSettings(models=both, tasks=(TASK,), methods=("confidence:k=64",), samples=1), tmp_path / "run")
    assert result.failed == 0 and result.decoded == 2


def test_the_loss_counts_the_answer_alone(llada):
    model = load_denoiser(str(llada))
    (example,) = examples(model, expand_tasks((TASK,)), 1, 0, "train")
    assert len(example.answer) == 64 and example.answer[-1] == model.spec.eos_id
    longer = Example(example.prompt, example.answer[:1])
    with torch.no_grad():
        found = [hidden_loss(model, [longer], torch.Generator().manual_seed(seed)).item() for seed in range(40)]
    # one token: its cross-entropy over t where it is hidden, nothing where it is not
    assert 0.0 in found and max(found) > 1


def test_the_learning_rate_is_a_cosine_after_its_rise():
    assert [round(cosine(x, 0.1), 3) for x in (0, 0.05, 0.1, 0.55, 1)] == [0, 0.5, 1, 0.5, 0]


def test_the_defaults_are_the_papers():
    paper = LoraSettings("x", ("y",))
    assert (paper.rank, paper.alpha, paper.dropout, paper.rate) == (128, 256, 0.05, 1e-5)
    assert (paper.batch, paper.epochs, paper.warm, paper.samples, paper.validation) == (32, 10, 0.05, 20_000, 5_000)


def test_models_without_projections_are_refused(tmp_path):
    with pytest.raises(UsageError, match="can't be fine-tuned"):
        fine_tune(LoraSettings("ideal", (TASK,)), tmp_path, print)
    with pytest.raises(UsageError, match="batch must be"):
        LoraSettings("ideal", (TASK,), batch=0)
