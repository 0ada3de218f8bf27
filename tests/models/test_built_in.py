import json

import pytest

from parallelbench.errors import UsageError
from parallelbench.models import registry
from parallelbench.models.generators.base import Request
from parallelbench.models.native import files

REQUEST = Request("0", [{"role": "user", "content": "Anyone there?"}], 32, 0)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that ships `tiny-uniform` and `tiny-ar`, with the weights of `tiny`, and nothing else."""
    tiny = files.BUILT_IN / "tiny"
    for name, process in (("tiny-uniform", "uniform"), ("tiny-ar", "causal")):
        config = json.loads((tiny / files.CONFIG).read_text())
        config["size"]["causal"] = process == "causal"
        (tmp_path / name).mkdir()
        (tmp_path / name / files.CONFIG).write_text(json.dumps({**config, "process": process}))
        (tmp_path / name / files.WEIGHTS).write_bytes((tiny / files.WEIGHTS).read_bytes())
    monkeypatch.setattr(files, "BUILT_IN", tmp_path)
    for entry in registry.shipped():
        monkeypatch.setitem(registry.MODELS, entry.name, entry)


def test_learned_models_are_offered_exactly_where_their_weights_are(package):
    assert [entry.name for entry in registry.shipped()] == ["tiny-uniform", "tiny-ar"]


def test_they_are_loaded_by_name(package):
    uniform, few = registry.load_model("tiny-uniform"), registry.load_model("tiny-uniform:steps=3")
    assert [uniform.spec.name, few.spec.name] == ["tiny-uniform", "tiny-uniform:steps=3"]
    assert registry.load_model("tiny-uniform:steps=32").spec == uniform.spec
    assert [next(iter(model.generate([REQUEST], 1))).nfe for model in (uniform, few)] == [32, 3]
    assert registry.load_model("tiny-ar").spec.method == "autoregressive"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tiny-uniform:steps=0", "steps is a whole number of at least 1"),
        ("tiny-uniform:steps=1.5", "steps is a whole number of at least 1"),
        ("tiny-ar:steps=3", "Unknown parameter of tiny-ar 'steps'"),
    ],
)
def test_steps_that_make_no_sense_are_refused(package, text, told):
    with pytest.raises(UsageError, match=told):
        registry.load_model(text)
