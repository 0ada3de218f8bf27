"""Special tokens, chat formats and adapters."""

import json

import pytest
import torch
from reference import CONFIGS, EOS, MASK, SPECIAL, checkpoint, published, write_tokenizer
from safetensors.torch import save_file

from parallelbench.errors import UsageError
from parallelbench.models.families import load
from parallelbench.models.families.numerics import Float32Rotary, Float32WeightNorm
from parallelbench.models.registry import load_denoiser, load_model, load_tokenizer

CHAT = ({"role": "user", "content": " Hi "},)
PUBLISHED = {
    "llada": "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "dream": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
    "<|im_start|>assistant\n",
    "sdar": "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
    "llada_moe": "<role>SYSTEM</role>detailed thinking off<|role_end|><role>HUMAN</role> Hi <|role_end|>"
    "<role>ASSISTANT</role>",
    "sedd_absorb": " Hi \n\n",
}


def spell(family, ids):
    """Ids as text, special tokens by name."""
    names = {256 + number: name for number, name in enumerate(SPECIAL[family])}
    data = b""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    shown = {letter: byte for byte, letter in byte_letters().items()}
    for token in ids:
        data += names[token].encode() if token in names else bytes([shown[letters[token]]])
    return data.decode()


def byte_letters():
    """GPT-2's table of bytes as printable letters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        table[byte] = chr(byte) if byte in plain else chr(256 + extra)
        extra += byte not in plain
    return table


@pytest.mark.parametrize("family", PUBLISHED)
def test_the_published_chat_is_the_fallback(tmp_path, family):
    checkpoint(tmp_path, family)
    assert spell(family, load_model(str(tmp_path)).encode(CHAT)) == PUBLISHED[family]


def test_the_tokenizers_own_template_wins(tmp_path):
    checkpoint(tmp_path, "dream", tokenizer=False)
    template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    write_tokenizer(tmp_path, "dream", template)
    assert spell("dream", load_model(str(tmp_path)).encode(CHAT)) == "[user] Hi >"


def test_texts_survive_and_special_tokens_vanish(tmp_path):
    checkpoint(tmp_path, "sdar")
    model = load_model(str(tmp_path))
    for text in ('["Ann Lee", "Bo"]', "  two  blanks\n", "naïve 😀 'quotes' .,!", ""):
        assert model.decode(model.tokenizer.encode(text)) == text
    ids = model.tokenizer.encode("ab")
    assert model.decode([MASK, ids[0], EOS, 258, ids[1], 275]) == "ab"  # 275 is beyond the tokenizer


@pytest.mark.parametrize("family", ["llada_moe", "llada2", "fast_dllm_v2"])
def test_a_mask_that_config_json_does_not_tell_is_found_by_its_name(tmp_path, family):
    assert "mask_token_id" not in CONFIGS[family]
    checkpoint(tmp_path, family)
    spec = load_model(str(tmp_path)).spec
    assert (spec.mask_id, spec.eos_id, spec.pad_id) == (MASK, EOS, EOS)
    assert spec.stop_ids == {258}  # the end of a turn


@pytest.mark.parametrize("family", sorted(CONFIGS.keys() - {"sedd_uniform"}))
def test_the_tokenizer_alone_is_that_of_the_model_and_reads_no_weights(tmp_path, family, monkeypatch):
    checkpoint(tmp_path, family)
    model = load_denoiser(str(tmp_path))
    monkeypatch.setattr(load, "build", None)
    tokenizer, end = load_tokenizer(f"{tmp_path}:dtype=float32")
    assert end == model.spec.eos_id
    text = "Words: tea, a cup."
    assert tokenizer.encode(text) == model.tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text == model.tokenizer.decode(tokenizer.encode(text))


@pytest.mark.parametrize(
    "model", ["openai:model=m,api_key=sk-1", "anthropic:sk-1", "smollm2", "tiny-ar", "tiny-uniform:steps=2"]
)
def test_what_decodes_by_itself_lends_no_tokenizer_and_needs_no_key_to_say_so(model):
    with pytest.raises(UsageError, match=f"^'{model.partition(':')[0]}.* decodes by itself") as refused:
        load_tokenizer(model)
    assert "sk-1" not in str(refused.value)


def test_a_mask_that_nobody_tells_is_an_error(tmp_path):
    checkpoint(tmp_path, "llada_moe", tokenizer=False)
    write_tokenizer(tmp_path, "sedd_absorb")
    with pytest.raises(UsageError, match="does not tell its mask token"):
        load_model(str(tmp_path))


def test_a_token_outside_the_vocabulary_is_an_error(tmp_path):
    checkpoint(tmp_path, "dream", mask_token_id=151666)
    with pytest.raises(UsageError, match="mask_token_id=151666 .* is outside the vocabulary of 280"):
        load_model(str(tmp_path))


def test_generation_config_may_list_more_ends(tmp_path):
    checkpoint(tmp_path, "sdar")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [259, EOS]}))
    assert load_model(str(tmp_path)).spec.stop_ids == {258, 259}


def adapter(directory, module, shape, seed=0, **changes):
    directory.mkdir(exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    down, up = torch.randn(2, shape[1], generator=draw), torch.randn(shape[0], 2, generator=draw)
    save_file(
        {f"base_model.model.{module}.lora_A.weight": down, f"base_model.model.{module}.lora_B.weight": up},
        directory / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 3, "bias": "none", **changes}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return 1.5 * up @ down


@pytest.mark.parametrize(
    ("family", "module"),
    [("llada", "model.transformer.blocks.1.q_proj"), ("llada2", "model.layers.1.attention.query_key_value"),
     ("llada2", "model.layers.1.mlp.experts.3.up_proj"), ("dream", "model.layers.0.mlp.down_proj")],
)  # fmt: skip
def test_an_adapter_is_the_same_as_changed_weights(tmp_path, family, module):
    _, weights = checkpoint(tmp_path / "m", family)
    stored = published(family, weights)
    name = f"{module}.weight"
    delta = adapter(tmp_path / "a", module, stored[name].shape)
    (tmp_path / "merged").mkdir()
    checkpoint(tmp_path / "merged", family)
    save_file({**stored, name: stored[name] + delta}, tmp_path / "merged" / "model.safetensors")
    adapted, merged, plain = (
        load_model(text) for text in (f"{tmp_path}/m:adapter={tmp_path}/a", f"{tmp_path}/merged", f"{tmp_path}/m")
    )
    canvas = torch.arange(24).view(2, 12)
    rows = torch.ones_like(canvas).bool()
    assert torch.allclose(adapted.logits(canvas, rows, rows), merged.logits(canvas, rows, rows), atol=1e-4)
    assert not torch.allclose(adapted.logits(canvas, rows, rows), plain.logits(canvas, rows, rows), atol=1e-2)
    assert adapted.spec.revision.startswith(plain.spec.revision + "+")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's own use of transformers
def test_peft_itself_agrees(tmp_path):
    peft = pytest.importorskip("peft")
    checkpoint(tmp_path / "m", "dream")
    adapter(tmp_path / "a", "model.layers.0.self_attn.q_proj", (32, 32), target_modules=["layers.0.self_attn.q_proj"])
    ours = load_model(f"{tmp_path}/m:adapter={tmp_path}/a")
    theirs = load_model(f"{tmp_path}/m")
    theirs.network.model = peft.PeftModel.from_pretrained(theirs.network.model, tmp_path / "a").merge_and_unload()
    canvas = torch.arange(24).view(2, 12)
    rows = torch.ones_like(canvas).bool()
    assert torch.allclose(ours.logits(canvas, rows, rows), theirs.logits(canvas, rows, rows), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "problem"), [({"use_dora": True}, "use_dora"), ({"bias": "all"}, "bias"), ({"r": 0}, "r must be")]
)
def test_other_adapters_are_refused(tmp_path, changes, problem):
    checkpoint(tmp_path / "m", "dream")
    adapter(tmp_path / "a", "model.layers.0.self_attn.q_proj", (32, 32), **changes)
    with pytest.raises(UsageError, match=problem):
        load_model(f"{tmp_path}/m:adapter={tmp_path}/a")


def test_an_adapter_for_another_model_or_a_pickle_is_refused(tmp_path):
    checkpoint(tmp_path / "m", "dream")
    adapter(tmp_path / "a", "model.layers.9.self_attn.q_proj", (32, 32))
    with pytest.raises(UsageError, match="which the model lacks"):
        load_model(f"{tmp_path}/m:adapter={tmp_path}/a")
    (tmp_path / "a" / "adapter_model.safetensors").rename(tmp_path / "a" / "adapter_model.bin")
    with pytest.raises(UsageError, match="pickled adapters are not loaded"):
        load_model(f"{tmp_path}/m:adapter={tmp_path}/a")


def test_a_norm_rounds_once():
    weight = torch.nn.Parameter((1 + 0.3 * torch.randn(16)).bfloat16())
    x = torch.randn(5, 16).bfloat16()
    wide = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
    found = Float32WeightNorm(weight, 1e-6)(x)
    assert torch.equal(found, (wide * weight.float()).bfloat16())
    assert not torch.equal(found, weight * wide.bfloat16())  # what rounding twice gives


def test_bfloat16_rotations_stay_float32(tmp_path):
    checkpoint(tmp_path, "llada")
    model = load_model(f"{tmp_path}:dtype=bfloat16").network.model.model
    assert isinstance(model.rotary_emb, Float32Rotary)
    cos, sin = model.rotary_emb(torch.zeros(1, 3, 32).bfloat16(), torch.arange(3)[None])
    assert cos.dtype == sin.dtype == torch.float32
    assert not isinstance(load_model(str(tmp_path)).network.model.model.rotary_emb, Float32Rotary)
