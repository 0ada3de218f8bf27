"""DiffusionGemma: transformers' own class and sampler behind the Generator protocol."""

import json

import pytest
import torch
import transformers
from reference import EOS, VOCAB, write_tokenizer

from parallelbench.errors import UsageError
from parallelbench.models.families.check import check_model
from parallelbench.models.generators.base import Request
from parallelbench.models.registry import load_model

if not hasattr(transformers, "DiffusionGemmaForBlockDiffusion"):
    pytest.skip("this transformers has no DiffusionGemma", allow_module_level=True)

# transformers imports torch's compiler when it samples, and that warns of itself
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("gemma")
    text = {
        "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "num_experts": 4, "top_k_experts": 2,
        "moe_intermediate_size": 16, "global_head_dim": 16, "eos_token_id": EOS, "pad_token_id": EOS,
        "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip
    vision = {
        "model_type": "gemma4_vision", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
    }  # fmt: skip
    config = transformers.DiffusionGemmaConfig(
        text_config=text, vision_config=vision, canvas_length=16, image_token_id=270, boi_token_id=271, eoi_token_id=272
    )
    torch.manual_seed(0)
    transformers.DiffusionGemmaForBlockDiffusion(config).save_pretrained(path)
    write_tokenizer(path, "sedd_absorb")
    saved = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**saved, "eos_token_id": EOS, "pad_token_id": EOS}))
    return path


def test_answers_depend_on_the_seed_alone(directory):
    model = load_model(f"{directory}:steps=3")
    requests = [Request(str(n), ({"role": "user", "content": "hello" * (1 + n)},), 24, n % 2) for n in range(3)]
    first = {answer.id: answer for answer in model.generate(requests, 1)}
    again = {answer.id: answer for answer in model.generate(reversed(requests), 8)}
    assert {key: answer.tokens for key, answer in first.items()} == {key: a.tokens for key, a in again.items()}
    for answer in first.values():
        assert answer.error is None
        assert 0 < len(answer.tokens) <= 24
        assert 2 <= answer.nfe <= 2 * (3 + 1) + 1  # two canvases of three steps, an encoding before each
    assert model.spec.setting == "own_sampler:steps=3"


def test_it_is_ready(directory):
    report = check_model(f"{directory}:steps=2", decode=lambda denoiser, prompt, length: [])
    assert report["missing"] == []
    assert report["family"] == "diffusion_gemma"


def test_missing_weights_are_an_error(directory, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stored = load_file(directory / "model.safetensors")
    stored.pop(next(name for name in stored if name.endswith("q_norm.weight")))
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="weights do not match: missing keys"):
        load_model(str(tmp_path))
