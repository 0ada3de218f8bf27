import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import CONFIGS, DECODERS, checkpoint, golden, published
from safetensors.torch import load_file, save_file

from parallelbench.errors import UsageError
from parallelbench.models.families.conformance import TOLERANCE, conform_model
from parallelbench.models.families.spec import rope
from parallelbench.models.families.table import FAMILIES
from shared import shared

GOLDEN = ("llada", "dream", "sdar", "llada_moe", "llada2_moe", "fast_dllm_v2", "sedd_absorb", "sedd_uniform")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_published_reference_is_reproduced(name):
    result = conform_model(shared(f"golden/models/{name}"))
    assert result["family"] == {"llada2_moe": "llada2"}.get(name, name)
    assert result["ok"], result
    assert all(value <= TOLERANCE for check, value in result["max_abs_diff"].items() if check != "bf16")
    with np.load(shared(f"golden/models/{name}") / "golden.npz") as arrays:
        expected = {key.removesuffix("_logits") for key in arrays if key in ("rpad_logits", "lpad_logits")}
        expected |= {"bf16"} if "logits_bf16" in arrays else set()
    assert expected < set(result["max_abs_diff"])


def test_the_caches_of_the_published_reference_are_reproduced():
    result = conform_model(shared("golden/models/llada"))
    for attention in ("sdpa", "eager"):
        found = result["by_attention"][attention]
        assert found["prefix_cache"] <= TOLERANCE
        assert found["dual_cache"] <= TOLERANCE


VARIANTS = [
    *((family, {}) for family in DECODERS),
    ("llada", {"n_kv_heads": 2, "weight_tying": True, "d_model": 48, "n_layers": 3, "rope_theta": 10000.0}),
    ("llada", {"n_kv_heads": None, "mlp_hidden_size": 20}),
    ("dream", {"num_key_value_heads": 1, "tie_word_embeddings": True, "hidden_size": 64}),
    ("sdar", {"block_size": 8, "head_dim": 24, "num_hidden_layers": 1, "tie_word_embeddings": True}),
    ("sdar", {"block_size": 5, "num_key_value_heads": 4}),
    ("llada_moe", {"moe_layer_freq": [0, 1], "num_experts": 5, "num_experts_per_tok": 3, "first_k_dense_replace": 1}),
    ("llada2", {"n_group": 2, "topk_group": 1, "num_experts": 6, "num_shared_experts": 2, "block_size": 6}),
    ("llada2", {"partial_rotary_factor": 1.0, "first_k_dense_replace": 0, "block_size": 32}),
    ("fast_dllm_v2", {"bd_size": 4, "num_key_value_heads": 4}),
]


@pytest.mark.parametrize(("family", "changes"), VARIANTS)
def test_other_sizes_agree_with_a_plain_decoder(tmp_path, family, changes):
    config, weights = checkpoint(tmp_path, family, shards=1 + bool(changes), tokenizer=False, **changes)
    golden(tmp_path, family, config, weights)
    result = conform_model(tmp_path)
    assert result["family"] == family
    assert result["ok"], result
    assert {"logits", "lpad", "rpad", "full_attention", "padded"} <= set(result["max_abs_diff"])


WRONG = {
    "causal mask": ("llada", {"block": lambda config: 1}),
    "full attention for blocks": ("sdar", {"block": lambda config: 24}),
    "missing shift": ("dream", {"shift": False}),
    "other theta": (
        "dream",
        {
            "config": lambda config: {
                **FAMILIES["dream"].config(config),
                "rope_parameters": rope({"rope_theta": 10000.0}),
            }
        },
    ),
    "other eps": ("llada", {"config": lambda config: {**FAMILIES["llada"].config(config), "rms_norm_eps": 1e-3}}),
    "gate and up swapped": (
        "llada",
        {
            "placing": lambda config: (
                lambda name: FAMILIES["llada"].placing(config)(
                    name.replace("ff_proj", "@").replace("up_proj", "ff_proj").replace("@", "up_proj")
                )
            )
        },
    ),
    "routing weights renormalised": (
        "llada_moe",
        {"config": lambda config: {**FAMILIES["llada_moe"].config(config), "norm_topk_prob": True}},
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_in_a_row_of_the_table_fails_loudly(tmp_path, mistake):
    family, change = WRONG[mistake]
    config, weights = checkpoint(tmp_path, family, tokenizer=False)
    golden(tmp_path, family, config, weights)
    if "block_size" in config:  # the file's block length would override the mistake
        with np.load(tmp_path / "golden.npz") as arrays:
            kept = {name: arrays[name] for name in arrays if name != "block_length"}
        np.savez(tmp_path / "golden.npz", **kept)
    table = {family: replace(FAMILIES[family], **change)}
    result = conform_model(tmp_path, table=table)
    assert not result["ok"]
    assert max(result["max_abs_diff"].values()) > 100 * TOLERANCE


def test_a_dropped_bias_is_an_error_and_a_zeroed_one_fails(tmp_path):
    config, weights = checkpoint(tmp_path, "dream", tokenizer=False)
    golden(tmp_path, "dream", config, weights)
    stored = load_file(tmp_path / "model.safetensors")
    bias = "model.layers.0.self_attn.q_proj.bias"
    save_file({**stored, bias: torch.zeros_like(stored[bias])}, tmp_path / "model.safetensors")
    assert not conform_model(tmp_path)["ok"]
    save_file({name: tensor for name, tensor in stored.items() if name != bias}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=rf"1 missing \({bias}\)"):
        conform_model(tmp_path)


def test_unexpected_and_misshapen_weights_are_errors(tmp_path):
    config, weights = checkpoint(tmp_path, "llada", tokenizer=False)
    golden(tmp_path, "llada", config, weights)
    stored = published("llada", weights)
    save_file({**stored, "model.transformer.extra": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"1 unexpected \(model.transformer.extra\)"):
        conform_model(tmp_path)
    save_file({**stored, "model.transformer.ln_f.weight": torch.zeros(5)}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"ln_f.weight is \[5\], config.json asks for \[32\]"):
        conform_model(tmp_path)


def test_a_tied_head_that_differs_is_an_error(tmp_path):
    config, weights = checkpoint(tmp_path, "dream", tokenizer=False, tie_word_embeddings=True)
    golden(tmp_path, "dream", config, weights)
    stored = load_file(tmp_path / "model.safetensors")
    embedding = stored["model.embed_tokens.weight"]
    save_file({**stored, "lm_head.weight": embedding.clone()}, tmp_path / "model.safetensors")
    assert conform_model(tmp_path)["ok"]
    save_file({**stored, "lm_head.weight": embedding + 1}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="ties the output head"):
        conform_model(tmp_path)


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [("llada", "alibi", True), ("llada", "include_bias", True), ("dream", "use_sliding_window", True),
     ("sdar", "rope_scaling", {"type": "yarn", "factor": 4.0}), ("llada_moe", "qk_layernorm", False),
     ("llada2", "score_function", "softmax")],
)  # fmt: skip
def test_a_configuration_that_needs_other_code_is_refused(tmp_path, family, field, value):
    checkpoint(tmp_path, family, tokenizer=False, **{field: value})
    with pytest.raises(UsageError, match=field):
        conform_model(tmp_path)


def test_the_family_is_recognised_by_exact_fields_only(tmp_path):
    directory = tmp_path / "dream-llada-moe-sdar"
    config, weights = checkpoint(directory, "llada", tokenizer=False)
    golden(directory, "llada", config, weights)
    assert conform_model(directory)["family"] == "llada"
    (directory / "config.json").write_text(json.dumps({**config, "architectures": ["SomethingElse"]}))
    with pytest.raises(UsageError, match="of no known family.*never run"):
        conform_model(directory)
    assert conform_model(directory, forced="llada")["ok"]
    with pytest.raises(UsageError, match="Unknown family 'lada'. Did you mean 'llada'"):
        conform_model(directory, forced="lada")


def test_every_family_has_a_tiny_checkpoint():
    assert set(FAMILIES) - set(CONFIGS) == {"diffusion_gemma"}
