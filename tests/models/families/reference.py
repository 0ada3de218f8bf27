"""A plain-torch decoder and tiny random checkpoints in the published names: what the loader is checked against.

Written from the published facts, and sharing no code with the package.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

VOCAB = 280
SPECIAL = {
    "llada": [
        "<|mdm_mask|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|startoftext|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
    ],
    "dream": ["<|mask|>", "<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    "sdar": ["<|MASK|>", "<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    "llada_moe": ["<|mask|>", "<|endoftext|>", "<|role_end|>", "<role>", "</role>"],
    "llada2": ["<|mask|>", "<|endoftext|>", "<|role_end|>", "<role>", "</role>"],
    "fast_dllm_v2": ["|<MASK>|", "<|im_end|>", "<|endoftext|>", "<|im_start|>"],
    "sedd_absorb": ["<|endoftext|>"],
    "sedd_uniform": ["<|endoftext|>"],
    "llama": ["<|endoftext|>"],
}
MASK, EOS = 256, 257
QWEN = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "max_position_embeddings": 4096, "rope_theta": 1000000.0,
    "tie_word_embeddings": False, "hidden_act": "silu", "use_sliding_window": False, "torch_dtype": "float32",
    "eos_token_id": EOS, "pad_token_id": EOS,
}  # fmt: skip
SEDD = {
    "tokens": VOCAB - 1, "noise": {"type": "loglinear", "sigma_min": 1e-4, "sigma_max": 20},
    "model": {
        "type": "ddit", "hidden_size": 32, "cond_dim": 16, "length": 1024, "n_blocks": 2, "n_heads": 4,
        "scale_by_sigma": True,
    },
}  # fmt: skip
CONFIGS = {
    "llada": {
        "model_type": "llada", "architectures": ["LLaDAModelLM"], "activation_type": "silu", "block_type": "llama",
        "layer_norm_type": "rms", "d_model": 32, "n_heads": 4, "n_kv_heads": 4, "n_layers": 2, "mlp_hidden_size": 48,
        "mlp_ratio": 4, "vocab_size": VOCAB - 4, "embedding_size": VOCAB, "max_sequence_length": 4096,
        "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "weight_tying": False, "rope_full_precision": True,
        "mask_token_id": MASK, "eos_token_id": EOS, "pad_token_id": EOS, "torch_dtype": "float32",
        "auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"},
    },
    "dream": {**QWEN, "model_type": "Dream", "architectures": ["DreamModel"], "mask_token_id": MASK},
    "sdar": {
        **QWEN, "model_type": "sdar", "architectures": ["SDARForCausalLM"], "head_dim": 16, "block_size": 4,
        "mask_token_id": MASK, "attention_bias": False,
    },
    "llada_moe": {
        **QWEN, "model_type": "llada", "architectures": ["LLaDAMoEModelLM"], "dense_intermediate_size": 48,
        "expert_intermediate_size": 16, "num_experts": 8, "num_experts_per_tok": 2, "moe_layer_freq": [1, 1],
        "qk_layernorm": True, "num_key_value_heads": 4,
    },
    "llada2": {
        **QWEN, "model_type": "llada2_moe", "architectures": ["LLaDA2MoeModelLM"], "head_dim": 16,
        "first_k_dense_replace": 1, "moe_intermediate_size": 16, "num_experts": 8, "num_experts_per_tok": 2,
        "n_group": 4, "topk_group": 2, "num_shared_experts": 1, "routed_scaling_factor": 2.5,
        "partial_rotary_factor": 0.5, "score_function": "sigmoid", "norm_topk_prob": True, "block_size": 8,
        "use_qk_norm": True, "moe_router_enable_expert_bias": True,
    },
    "fast_dllm_v2": {
        **QWEN, "model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"], "bd_size": 8,
        "eos_token_id": MASK + 1,
    },
    "sedd_absorb": {**SEDD, "graph": {"type": "absorb"}},
    "sedd_uniform": {
        **SEDD, "tokens": VOCAB, "graph": {"type": "uniform"}, "noise": {**SEDD["noise"], "type": "geometric"},
    },
}  # fmt: skip
DECODERS = [name for name in CONFIGS if not name.startswith("sedd")]


def write_tokenizer(directory, family, template=None):
    """A byte-level tokenizer without merges; ids 0 to 255 are bytes, special tokens follow."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL[family]])
    inner.save(str(directory / "tokenizer.json"))
    extra = {"chat_template": template} if template else {}
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **extra})
    )


def sizes(family, config):
    """The numbers of a config under common names."""
    own = family == "llada"
    heads = config["n_heads" if own else "num_attention_heads"]
    width = config["d_model" if own else "hidden_size"]
    moe = {"llada_moe": "expert_intermediate_size", "llada2": "moe_intermediate_size"}.get(family)
    layers = config["n_layers" if own else "num_hidden_layers"]
    return {
        "vocab": config["embedding_size" if own else "vocab_size"], "width": width, "heads": heads, "layers": layers,
        "kv": config["n_kv_heads" if own else "num_key_value_heads"] or heads,
        "head": config.get("head_dim", width // heads),
        "mlp": config["mlp_hidden_size" if own else "intermediate_size"],
        "expert": config[moe] if moe else None,
        "dense_layers": config.get("first_k_dense_replace", 0) if moe else layers,
        "tied": config.get("weight_tying", config.get("tie_word_embeddings", False)),
    }  # fmt: skip


def random_weights(family, config, seed=0):
    """Weights under Qwen-like names, drawn so that every part of the computation shows in the logits."""
    s, draw = sizes(family, config), torch.Generator().manual_seed(seed)
    weights = {}

    def add(name, *shape, scale=0.3, mean=0.0):
        weights[name] = mean + scale * torch.randn(shape, generator=draw)

    add("model.embed_tokens.weight", s["vocab"], s["width"], scale=0.05)
    for layer in range(s["layers"]):
        at = f"model.layers.{layer}."
        for part, heads in (("q", s["heads"]), ("k", s["kv"]), ("v", s["kv"])):
            add(f"{at}self_attn.{part}_proj.weight", heads * s["head"], s["width"])
            if family in ("dream", "fast_dllm_v2"):
                add(f"{at}self_attn.{part}_proj.bias", heads * s["head"], scale=0.5)
        add(f"{at}self_attn.o_proj.weight", s["width"], s["heads"] * s["head"])
        if family in ("sdar", "llada_moe", "llada2"):
            add(f"{at}self_attn.q_norm.weight", s["head"], mean=1.0)
            add(f"{at}self_attn.k_norm.weight", s["head"], mean=1.0)
        add(f"{at}input_layernorm.weight", s["width"], mean=1.0)
        add(f"{at}post_attention_layernorm.weight", s["width"], mean=1.0)
        if s["expert"] and layer >= s["dense_layers"]:
            add(f"{at}mlp.gate.weight", config["num_experts"], s["width"])
            if family == "llada2":
                add(f"{at}mlp.gate.expert_bias", config["num_experts"])
            places = [f"{at}mlp.experts.{e}" for e in range(config["num_experts"])]
            width = s["expert"]
            if family == "llada2":
                add_mlp(add, f"{at}mlp.shared_experts", s["width"], width * config["num_shared_experts"])
        else:
            places, width = [f"{at}mlp"], s["mlp"]
        for place in places:
            add_mlp(add, place, s["width"], width)
    add("model.norm.weight", s["width"], mean=1.0)
    if not s["tied"]:
        add("lm_head.weight", s["vocab"], s["width"])
    return weights


def add_mlp(add, at, width, inner):
    for part, shape in (("gate", (inner, width)), ("up", (inner, width)), ("down", (width, inner))):
        add(f"{at}.{part}_proj.weight", *shape)


LLADA = {
    "model.embed_tokens": "model.transformer.wte", "model.norm": "model.transformer.ln_f",
    "lm_head": "model.transformer.ff_out", "input_layernorm": "attn_norm", "post_attention_layernorm": "ff_norm",
    "self_attn.o_proj": "attn_out", "self_attn.": "", "mlp.gate_proj": "ff_proj", "mlp.up_proj": "up_proj",
    "mlp.down_proj": "ff_out", "model.layers.": "model.transformer.blocks.",
}  # fmt: skip
LLADA2 = {
    "model.embed_tokens": "model.word_embeddings", "self_attn.o_proj": "attention.dense",
    "self_attn.q_norm": "attention.query_layernorm", "self_attn.k_norm": "attention.key_layernorm",
}  # fmt: skip


def published(family, weights):
    """The weights under the names (and in the layout) of the published checkpoints."""
    if family == "llada2":
        weights = dict(weights)
        for name in [name for name in weights if name.endswith("q_proj.weight")]:
            parts = [weights.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
            weights[name.replace("self_attn.q_proj", "attention.query_key_value")] = torch.cat(parts)
    table = {"llada": LLADA, "llada2": LLADA2}.get(family, {})
    renamed = {}
    for name, tensor in weights.items():
        for ours, theirs in table.items():
            name = name.replace(ours, theirs)
        renamed[name] = tensor.contiguous()
    return renamed


def norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rotate(x, positions, theta, width):
    """Rotate-half over the first `width` numbers of each head."""
    turned, rest = x[..., :width], x[..., width:]
    angle = positions[:, None] * theta ** (-torch.arange(0, width, 2) / width)
    angle = torch.cat([angle, angle], -1)
    half = torch.cat([-turned[..., width // 2 :], turned[..., : width // 2]], -1)
    return torch.cat([turned * angle.cos() + half * angle.sin(), rest], -1)


def mlp(weights, at, x):
    gate, up, down = (weights[f"{at}.{part}_proj.weight"] for part in ("gate", "up", "down"))
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def route(family, config, weights, at, x):
    """Expert weights [L, E] of every token."""
    router = F.linear(x, weights[f"{at}.gate.weight"])
    count = config["num_experts_per_tok"]
    if family == "llada_moe":
        odds = router.softmax(-1)
        return torch.zeros_like(odds).scatter(-1, (top := odds.topk(count)).indices, top.values)
    odds = router.sigmoid()
    choice = odds + weights[f"{at}.gate.expert_bias"]
    grouped = choice.unflatten(-1, (config["n_group"], -1))
    groups = grouped.topk(2).values.sum(-1).topk(config["topk_group"]).indices
    inside = torch.zeros(grouped.shape[:2]).scatter(-1, groups, 1.0).bool()
    choice = grouped.masked_fill(~inside[..., None], float("-inf")).flatten(-2)
    kept = torch.zeros_like(odds).scatter(-1, choice.topk(count).indices, 1.0) * odds
    return kept / kept.sum(-1, keepdim=True) * config["routed_scaling_factor"]


def feed_forward(family, config, weights, at, x):
    if f"{at}.gate.weight" not in weights:
        return mlp(weights, at, x)
    share = route(family, config, weights, at, x)
    out = sum(share[:, e, None] * mlp(weights, f"{at}.experts.{e}", x) for e in range(share.shape[1]))
    return out + mlp(weights, f"{at}.shared_experts", x) if family == "llada2" else out


def forward(family, config, weights, ids, block=None):
    """Raw logits [L, V] of one canvas [L] in float32."""
    s, eps, theta = sizes(family, config), config["rms_norm_eps"], config["rope_theta"]
    positions = torch.arange(len(ids), dtype=torch.float32)
    turned = int(s["head"] * config.get("partial_rotary_factor", 1))
    seen = torch.ones(len(ids), len(ids)).bool()
    if block:
        seen = (positions // block)[None, :] <= (positions // block)[:, None]
    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(s["layers"]):
        at = f"model.layers.{layer}."
        h = norm(x, weights[f"{at}input_layernorm.weight"], eps)
        heads = {}
        for part, count in (("q", s["heads"]), ("k", s["kv"]), ("v", s["kv"])):
            name = f"{at}self_attn.{part}_proj"
            y = F.linear(h, weights[f"{name}.weight"], weights.get(f"{name}.bias"))
            y = y.view(len(ids), count, s["head"]).transpose(0, 1)
            if f"{at}self_attn.{part}_norm.weight" in weights:
                y = norm(y, weights[f"{at}self_attn.{part}_norm.weight"], eps)
            y = y if part == "v" else rotate(y, positions, theta, turned)
            heads[part] = y.repeat_interleave(s["heads"] // count, 0)
        odds = heads["q"] @ heads["k"].transpose(-1, -2) / s["head"] ** 0.5
        mixed = odds.masked_fill(~seen, float("-inf")).softmax(-1) @ heads["v"]
        x = x + F.linear(mixed.transpose(0, 1).flatten(1), weights[f"{at}self_attn.o_proj.weight"])
        h = norm(x, weights[f"{at}post_attention_layernorm.weight"], eps)
        x = x + feed_forward(family, config, weights, f"{at}mlp", h)
    head = weights["model.embed_tokens.weight"] if s["tied"] else weights["lm_head.weight"]
    return F.linear(norm(x, weights["model.norm.weight"], eps), head)


def sedd_weights(config, seed=0):
    """Random weights of SEDD under its own names."""
    from parallelbench.models.families.sedd import SeddModel, SeddSizes

    draw = torch.Generator().manual_seed(seed)
    state = SeddModel(SeddSizes.of(config)).state_dict()
    return {
        name: tensor if name.endswith("inv_freq") else 0.2 * torch.randn(tensor.shape, generator=draw)
        for name, tensor in state.items()
    }


def checkpoint(directory, family, seed=0, shards=1, tokenizer=True, **changes):
    """Write a tiny random checkpoint; returns (config, weights under Qwen-like names)."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {**CONFIGS[family], **changes}
    weights = sedd_weights(config, seed) if family.startswith("sedd") else random_weights(family, config, seed)
    stored = weights if family.startswith("sedd") else published(family, weights)
    (directory / "config.json").write_text(json.dumps(config))
    save_shards(directory, stored, shards)
    if tokenizer:
        write_tokenizer(directory, family)
    return config, weights


def save_shards(directory, stored, shards):
    if shards == 1:
        save_file(stored, directory / "model.safetensors")
        return
    names = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(stored)}
    for file in set(names.values()):
        save_file({name: stored[name] for name in stored if names[name] == file}, directory / file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def golden(directory, family, config, weights, length=24, rows=2):
    """Write golden.npz (and the cache's) by the plain decoder."""
    draw = torch.Generator().manual_seed(1)
    block = {"sdar": "block_size", "llada2": "block_size", "fast_dllm_v2": "bd_size"}.get(family)
    block = config[block] if block else None
    vocab = sizes(family, config)["vocab"]
    ids = torch.randint(vocab, (rows, length), generator=draw)

    def run(batch, size=block):
        return torch.stack([forward(family, config, weights, row, size) for row in batch])

    arrays = {"input_ids": ids, "logits": run(ids), "full_attention_logits": run(ids, None)}
    if family == "dream":
        raw = arrays["logits"]
        arrays["logits_shifted"] = torch.cat([raw[:, :1], raw[:, :-1]], 1)
    if block:
        arrays["last_block_cached_logits"] = arrays["logits"][:, (length - 1) // block * block :]
        arrays["block_length"] = torch.tensor(block)
    for side in ("rpad", "lpad"):
        padded, mask, wanted = torch.zeros_like(ids), torch.zeros_like(ids), torch.zeros_like(arrays["logits"])
        for row, cut in enumerate((length - 5, length)):
            place = slice(0, cut) if side == "rpad" else slice(length - cut, length)
            padded[row, place], mask[row, place] = ids[row, :cut], 1
            wanted[row, place] = forward(family, config, weights, ids[row, :cut], block)
        arrays |= {f"{side}_input_ids": padded, f"{side}_attention_mask": mask, f"{side}_logits": wanted}
    np.savez(directory / "golden.npz", **{name: np.asarray(value) for name, value in arrays.items()})
