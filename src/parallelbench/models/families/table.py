"""The table of families. Facts were checked against the public reference code; see docs/add-a-model.md."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallelbench.models.base import Message
from parallelbench.models.families.spec import (
    Config,
    Family,
    Tokens,
    moe_identity,
    number,
    renamed,
    rope,
    stacked,
    whole,
)
from parallelbench.models.families.weights import Place, Placing

NO_WINDOW: Mapping[str, tuple[object, ...]] = {
    "use_sliding_window": (False, None),
    "hidden_act": ("silu",),
    "rope_scaling": (None,),
}


def chat_headers(messages: Sequence[Message]) -> str:
    """LLaDA's chat: role headers, trimmed contents."""
    turns = (f"<|start_header_id|>{m['role']}<|end_header_id|>\n\n{m['content'].strip()}<|eot_id|>" for m in messages)
    return "<|startoftext|>" + "".join(turns) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def chat_ml(system: str = "") -> Callable[[Sequence[Message]], str]:
    """ChatML, with a system turn where the messages bring none and `system` is not empty."""

    def render(messages: Sequence[Message]) -> str:
        given = list(messages)
        if system and given[0]["role"] != "system":
            given.insert(0, {"role": "system", "content": system})
        turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in given)
        return "".join(turns) + "<|im_start|>assistant\n"

    return render


ROLE_NAMES = {"system": "SYSTEM", "user": "HUMAN", "assistant": "ASSISTANT"}


def chat_roles(messages: Sequence[Message]) -> str:
    """The chat of LLaDA-MoE and LLaDA2, thinking switched off by its usual system turn."""
    given = list(messages)
    if given[0]["role"] != "system":
        given.insert(0, {"role": "system", "content": "detailed thinking off"})
    turns = (f"<role>{ROLE_NAMES[m['role']]}</role>{m['content']}<|role_end|>" for m in given)
    return "".join(turns) + "<role>ASSISTANT</role>"


def qwen(config: Config) -> dict[str, Any]:
    """Arguments that every Qwen-like configuration shares."""
    heads = whole(config, "num_attention_heads")
    return {
        "vocab_size": whole(config, "vocab_size"),
        "hidden_size": whole(config, "hidden_size"),
        "intermediate_size": whole(config, "intermediate_size"),
        "num_hidden_layers": whole(config, "num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": whole(config, "num_key_value_heads", heads),
        "rms_norm_eps": number(config, "rms_norm_eps"),
        "max_position_embeddings": whole(config, "max_position_embeddings"),
        "rope_parameters": rope(config),
        "tie_word_embeddings": bool(config.get("tie_word_embeddings", False)),
    }


def qwen3(config: Config) -> dict[str, Any]:
    """Qwen3's arguments: heads of their own width, biases as the file says."""
    heads = whole(config, "num_attention_heads")
    head_dim = whole(config, "head_dim", whole(config, "hidden_size") // heads)
    return {**qwen(config), "head_dim": head_dim, "attention_bias": bool(config.get("attention_bias", False))}


def llada(config: Config) -> dict[str, Any]:
    """LLaDA's own field names as Llama's."""
    heads = whole(config, "n_heads")
    width = whole(config, "d_model")
    return {
        "vocab_size": whole(config, "embedding_size", config.get("vocab_size")),
        "hidden_size": width,
        "intermediate_size": whole(config, "mlp_hidden_size", int(config.get("mlp_ratio") or 4) * width),
        "num_hidden_layers": whole(config, "n_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": whole(config, "n_kv_heads", 1 if config.get("multi_query_attention") else heads),
        "rms_norm_eps": number(config, "rms_norm_eps"),
        "max_position_embeddings": whole(config, "max_sequence_length"),
        "rope_parameters": rope(config),
        "tie_word_embeddings": bool(config.get("weight_tying", False)),
    }


def llada_moe(config: Config) -> dict[str, Any]:
    """LLaDA-MoE as Qwen3-MoE; its router never renormalises."""
    heads, layers = whole(config, "num_attention_heads"), whole(config, "num_hidden_layers")
    sparse = config.get("moe_layer_freq") or [1] * layers
    width = whole(config, "expert_intermediate_size")
    return {
        **qwen({**config, "intermediate_size": config.get("dense_intermediate_size") or width}),
        "head_dim": whole(config, "hidden_size") // heads,
        "attention_bias": bool(config.get("attention_bias", False)),
        "num_experts": whole(config, "num_experts"),
        "num_experts_per_tok": whole(config, "num_experts_per_tok"),
        "moe_intermediate_size": width,
        "norm_topk_prob": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [layer for layer, is_sparse in enumerate(sparse[:layers]) if not is_sparse],
    }


def llada2(config: Config) -> dict[str, Any]:
    """LLaDA2 as GLM-4 MoE (sigmoid router, bias for choice only, groups, shared experts)."""
    heads = whole(config, "num_attention_heads")
    head_dim = whole(config, "head_dim", whole(config, "hidden_size") // heads)
    part = number(config, "partial_rotary_factor") if "partial_rotary_factor" in config else 0.5
    return {
        **qwen(config),
        "head_dim": head_dim,
        "rope_parameters": {**rope(config), "partial_rotary_factor": part},
        "attention_bias": bool(config.get("use_qkv_bias", False)),
        "use_qk_norm": bool(config.get("use_qk_norm", True)),
        "n_routed_experts": whole(config, "num_experts"),
        "num_experts_per_tok": whole(config, "num_experts_per_tok"),
        "n_group": whole(config, "n_group", 1),
        "topk_group": whole(config, "topk_group", 1),
        "moe_intermediate_size": whole(config, "moe_intermediate_size"),
        "n_shared_experts": whole(config, "num_shared_experts"),
        "first_k_dense_replace": int(config.get("first_k_dense_replace", 0)),
        "norm_topk_prob": bool(config.get("norm_topk_prob", True)),
        "routed_scaling_factor": number(config, "routed_scaling_factor"),
        "num_nextn_predict_layers": 0,
    }


LLADA_NAMES = (
    (r"model\.transformer\.wte\.weight", "model.embed_tokens.weight"),
    (r"model\.transformer\.ln_f\.weight", "model.norm.weight"),
    (r"model\.transformer\.ff_out\.weight", "lm_head.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.attn_norm\.weight", r"model.layers.\1.input_layernorm.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.ff_norm\.weight", r"model.layers.\1.post_attention_layernorm.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.([qkv]_proj)\.weight", r"model.layers.\1.self_attn.\2.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.attn_out\.weight", r"model.layers.\1.self_attn.o_proj.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.ff_proj\.weight", r"model.layers.\1.mlp.gate_proj.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.up_proj\.weight", r"model.layers.\1.mlp.up_proj.weight"),
    (r"model\.transformer\.blocks\.(\d+)\.ff_out\.weight", r"model.layers.\1.mlp.down_proj.weight"),
)


def llada2_placing(config: Config) -> Placing:
    """LLaDA2's names: attention under its own names, queries, keys and values in one tensor."""
    heads = whole(config, "num_attention_heads")
    head_dim = whole(config, "head_dim", whole(config, "hidden_size") // heads)
    queries, keys = heads * head_dim, whole(config, "num_key_value_heads", heads) * head_dim
    cuts = {"q": (0, queries), "k": (queries, queries + keys), "v": (queries + keys, queries + 2 * keys)}
    width = whole(config, "moe_intermediate_size")
    rename = renamed(
        (
            (r"model\.word_embeddings\.weight", "model.embed_tokens.weight"),
            (r"(.*)\.attention\.dense\.(weight|bias)", r"\1.self_attn.o_proj.\2"),
            (r"(.*)\.attention\.query_layernorm\.weight", r"\1.self_attn.q_norm.weight"),
            (r"(.*)\.attention\.key_layernorm\.weight", r"\1.self_attn.k_norm.weight"),
            (r"(.*)\.mlp\.gate\.expert_bias", r"\1.mlp.gate.e_score_correction_bias"),
        )
    )

    def placing(name: str) -> list[Place]:
        fused = re.fullmatch(r"(.*)\.attention\.query_key_value\.(weight|bias)", name)
        if fused is None:
            place = stacked(name, width)
            return [place] if place is not None else rename(name)
        layer, kind = fused.groups()
        return [Place(f"{layer}.self_attn.{part}_proj.{kind}", (), slice(*cut)) for part, cut in cuts.items()]

    return placing


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "llada",
            "LLaDA 8B Base and Instruct, LLaDA 1.5",
            ({"model_type": "llada", "architectures": ["LLaDAModelLM"]},),
            "LlamaForCausalLM",
            config=llada,
            fixed={
                "activation_type": ("silu", "swiglu"), "block_type": ("llama",), "layer_norm_type": ("rms",),
                "alibi": (False,), "rope": (True,), "attention_layer_norm": (False,), "include_bias": (False,),
                "include_qkv_bias": (False, None), "input_emb_norm": (False,), "scale_logits": (False,),
                "bias_for_layer_norm": (False, None),
            },
            placing=lambda config: renamed(LLADA_NAMES),
            layers=("n_layers", r"model\.transformer\.blocks\.(\d+)\."),
            tokens=Tokens(("<|mdm_mask|>", 126336), ("<|endoftext|>", 126081), ("<|eot_id|>",)),
            chat=chat_headers,
            rope_float32=True,
        ),
        Family(
            "dream",
            "Dream 7B, Dream-Coder, DiffuCoder",
            ({"model_type": "Dream", "architectures": ["DreamModel"]},),
            "Qwen2ForCausalLM",
            config=qwen,
            fixed=NO_WINDOW,
            shift=True,
            tokens=Tokens(("<|mask|>", 151666), ("<|endoftext|>", 151643), ("<|im_end|>",)),
            chat=chat_ml("You are a helpful assistant."),
        ),
        Family(
            "sdar",
            "SDAR, TraDo",
            ({"model_type": "sdar", "architectures": ["SDARForCausalLM"]},),
            "Qwen3ForCausalLM",
            config=qwen3,
            fixed=NO_WINDOW,
            block=lambda config: whole(config, "block_size"),
            tokens=Tokens(("<|MASK|>", 151669), ("<|endoftext|>", 151643), ("<|im_end|>",)),
            chat=chat_ml(),
            norm_float32=True,
        ),
        Family(
            "llada_moe",
            "LLaDA-MoE 7B-A1B (its config.json says llada, or lladamoe as its users are told to write)",
            tuple({"model_type": t, "architectures": ["LLaDAMoEModelLM"]} for t in ("llada", "lladamoe")),
            "Qwen3MoeForCausalLM",
            config=llada_moe,
            fixed={
                **NO_WINDOW, "qk_layernorm": (True,), "moe_router_enable_expert_bias": (False, None),
                "moe_router_score_function": ("softmax", None), "shared_expert_intermediate_size": (None, 0),
                "clip_qkv": (None,), "partial_rotary_factor": (1, 1.0), "routed_scaling_factor": (1, 1.0, None),
                "router_num_group": (None, 1), "router_topk_group": (None, 1),
            },
            placing=moe_identity("expert_intermediate_size"),
            tokens=Tokens(("<|mask|>", 156895), ("<|endoftext|>", 156892), ("<|role_end|>",)),
            chat=chat_roles,
        ),
        Family(
            "llada2",
            "LLaDA2.0 and 2.1, mini and flash",
            ({"model_type": "llada2_moe", "architectures": ["LLaDA2MoeModelLM"]},),
            "Glm4MoeForCausalLM",
            config=llada2,
            fixed={
                **NO_WINDOW, "score_function": ("sigmoid",), "use_bias": (False,), "norm_head": (False,),
                "use_rmsnorm": (True,), "moe_router_enable_expert_bias": (True,),
            },
            placing=llada2_placing,
            block=lambda config: whole(config, "block_size", 32),
            tokens=Tokens(("<|mask|>", 156895), ("<|endoftext|>", 156892), ("<|role_end|>",)),
            chat=chat_roles,
        ),
        Family(
            "fast_dllm_v2",
            "Fast-dLLM v2 1.5B and 7B",
            ({"model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"]},),
            "Qwen2ForCausalLM",
            config=qwen,
            fixed=NO_WINDOW,
            block=lambda config: whole(config, "bd_size", 32),
            shift=True,
            tokens=Tokens(("|<MASK>|", 151665), ("<|im_end|>", 151645), ("<|endoftext|>",)),
            chat=chat_ml("You are a helpful assistant."),
        ),
        *(
            Family(
                f"sedd_{graph}",
                f"SEDD small and medium, {graph} noise",
                ({"graph.type": graph, "model.type": "ddit"},),
                kind="sedd",
                fixed={},
                placing=lambda config: lambda name: [Place(name)],
                layers=("model.n_blocks", r"blocks\.(\d+)\."),
                tokens=Tokens(None, ("<|endoftext|>", 50256)),
                tokenizer="GPT2TokenizerFast",
            )
            for graph in ("absorb", "uniform")
        ),
        Family(
            "diffusion_gemma",
            "DiffusionGemma, decoded by its own sampler",
            ({"model_type": "diffusion_gemma"},),
            "DiffusionGemmaForBlockDiffusion",
            kind="generate",
            layers=("text_config.num_hidden_layers", r"model\.(?:encoder|decoder)\.[a-z_.]*layers\.(\d+)\."),
            tokenizer="GemmaTokenizerFast",
        ),
    )
}  # fmt: skip
