"""LoRA adapters in peft's format, merged into the weights: W += scale * B A."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parallelbench.errors import UsageError
from parallelbench.models.families.extras import optional
from parallelbench.models.families.files import read_json, regular
from parallelbench.models.families.spec import number, whole
from parallelbench.models.families.weights import Place, Placing

PLAIN: Mapping[str, tuple[object, ...]] = {
    "peft_type": ("LORA",), "bias": ("none", None), "use_dora": (False, None), "modules_to_save": (None, []),
    "fan_in_fan_out": (False, None), "lora_bias": (False, None), "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None), "target_parameters": (None, []),
}  # fmt: skip
WEIGHTS = "adapter_model.safetensors"
PART = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight")


@torch.no_grad()
def merge_adapter(module: nn.Module, directory: Path, placing: Placing) -> None:
    """Add the adapter's updates to the module's weights.

    Args:
        module: A loaded model.
        directory: peft's adapter_config.json and adapter_model.safetensors.
        placing: Where the family's stored tensors go; adapters trained on the reference's names follow it, those
            of `pb train` name the module's own weights.

    Raises:
        UsageError: pickled or unknown adapters, or updates for weights that the model lacks.
    """
    config = read_json(directory / "adapter_config.json")
    for key, allowed in PLAIN.items():
        if key in config and config[key] not in allowed:
            raise UsageError(f"{directory}: adapters with {key}={config[key]!r} are not supported.")
    if not regular(directory / WEIGHTS):
        raise UsageError(f"{directory} holds no {WEIGHTS}; pickled adapters are not loaded.")
    rank = whole(config, "r")
    scale = number(config, "lora_alpha") / (rank**0.5 if config.get("use_rslora") else rank)
    weights = dict(module.named_parameters())
    for name, (down, up) in _pairs(directory / WEIGHTS).items():
        delta = scale * (up.float() @ down.float())
        own = f"{name}.weight" in weights  # trained on the module itself, not on the reference's names
        for place in [Place(f"{name}.weight")] if own else placing(f"{name}.weight"):
            part = delta if place.rows is None else delta[place.rows]
            if place.target not in weights or weights[place.target][place.index].shape != part.shape:
                raise UsageError(
                    f"{directory} changes {name} [{', '.join(map(str, delta.shape))}], which the model lacks."
                )
            target = weights[place.target][place.index]
            target.copy_((target.float() + part.to(target.device)).to(target.dtype))


def _pairs(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Module name -> (A, B)."""
    parts: dict[str, dict[str, Tensor]] = {}
    safetensors: Any = optional("safetensors.torch", "models")
    try:
        stored = safetensors.load_file(path)
    except Exception as error:  # safetensors' own type
        raise UsageError(f"{path} is no readable safetensors file: {error}.") from error
    for name, tensor in stored.items():
        match = PART.fullmatch(name)
        if match is None:
            raise UsageError(f"{path}: {name!r} is no LoRA weight.")
        parts.setdefault(match.group(1), {})[match.group(2)] = tensor
    if not parts or any(set(pair) != {"A", "B"} for pair in parts.values()):
        raise UsageError(f"{path} lacks one of lora_A and lora_B.")
    return {name: (pair["A"], pair["B"]) for name, pair in parts.items()}
