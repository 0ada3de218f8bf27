"""From a checkpoint directory to a network: recognise, check sizes, make room, load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parallelbench.errors import UsageError
from parallelbench.models.families.extras import one_line, optional
from parallelbench.models.families.files import (
    TensorInfo,
    checkpoint_digest,
    layer_count,
    read_json,
    tensor_table,
    weight_files,
)
from parallelbench.models.families.memory import available_bytes, device_plan, gigabytes
from parallelbench.models.families.network import Network
from parallelbench.models.families.numerics import Float32Rotary, rounded_attention, widen_norms
from parallelbench.models.families.sedd import SeddModel, SeddNetwork, SeddSizes
from parallelbench.models.families.spec import Family, recognise, whole
from parallelbench.models.families.table import FAMILIES
from parallelbench.models.families.weights import WeightPlan, fill, parameter_bytes, plan_weights

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ATTENTIONS = ("sdpa", "eager")


@dataclass(frozen=True)
class Options:
    """How to load a checkpoint.

    Attributes:
        dtype: A name of `DTYPES`, or "auto" for what config.json says.
        device: "auto", a torch device, or "spread" over all GPUs.
        attention: transformers' attention implementation.
        family: Family to force, None to recognise it.
        block: Block length instead of the configuration's, None to keep it.
        adapter: Directory of a LoRA adapter to merge in, or None.
    """

    dtype: str = "auto"
    device: str = "auto"
    attention: str = "sdpa"
    family: str | None = None
    block: int | None = None
    adapter: Path | None = None

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        for name, value, allowed in (
            ("dtype", self.dtype, ("auto", *DTYPES)), ("attention", self.attention, ATTENTIONS),
        ):  # fmt: skip
            if value not in allowed:
                raise UsageError(f"{name}={value} is not allowed; {name} is one of {', '.join(allowed)}.")


@dataclass(frozen=True)
class Checkpoint:
    """A directory that was looked at, nothing of its weights read yet.

    Attributes:
        directory: Where it lies.
        config: Its config.json.
        family: The family it was recognised as.
        files: Its safetensors files.
        stored: Every tensor in them.
    """

    directory: Path
    config: Mapping[str, Any]
    family: Family
    files: list[Path]
    stored: Mapping[str, TensorInfo] = field(repr=False)

    @property
    def digest(self) -> str:
        """Version of configuration, tokenizer and weights."""
        return checkpoint_digest(self.directory, self.files)

    def dtype(self, options: Options) -> torch.dtype:
        """Number format that the options ask for; SEDD always computes in float32."""
        if self.family.kind == "sedd":
            return torch.float32
        name = options.dtype
        if name == "auto":
            name = str(self.config.get("torch_dtype") or self.config.get("dtype") or "float32")
        if name not in DTYPES:
            raise UsageError(f"config.json names the dtype {name!r}; give dtype={'|'.join(DTYPES)}.")
        return DTYPES[name]


def inspect(directory: Path, forced: str | None = None, table: Mapping[str, Family] = FAMILIES) -> Checkpoint | None:
    """Look at a directory; None when its config.json is none of the families'.

    Raises:
        UsageError: an unreadable or hostile directory, or a configuration the family cannot compute.
    """
    config = read_json(directory / "config.json")
    family = recognise(config, table, forced)
    if family is None:
        return None
    family.check(config)
    files = weight_files(directory)
    stored = tensor_table(files)
    _check_layers(config, family, stored)
    return Checkpoint(directory, config, family, files, stored)


def _check_layers(config: Mapping[str, Any], family: Family, stored: Mapping[str, TensorInfo]) -> None:
    """Compare the layer counts before anything is built whose size the configuration alone decides."""
    name, pattern = family.layers
    told, found = whole(config, name), layer_count(stored, pattern)
    if told != found:
        raise UsageError(
            f"The weights do not match the configuration: {name}={told} in config.json, {found} layers in the files."
        )


def unknown_family(config: Mapping[str, Any]) -> UsageError:
    """The error for a config.json that is none of the families' and nothing transformers knows itself."""
    kind, classes = config.get("model_type"), config.get("architectures")
    code = " Its auto_map names code of its own, which is never run." if "auto_map" in config else ""
    return UsageError(
        f"config.json (model_type {kind!r}, architectures {classes!r}) is of no known family.{code} "
        f"Known families: {', '.join(FAMILIES)}; force one with family=NAME."
    )


def build(checkpoint: Checkpoint, options: Options = Options()) -> Network | SeddNetwork:  # noqa: B008 - frozen
    """Load the weights into the family's class.

    Raises:
        UsageError: weights that do not match, or more than the memory holds.
    """
    dtype = checkpoint.dtype(options)
    module = _skeleton(checkpoint, options, dtype)
    plan = _plan(checkpoint, module)
    needed = parameter_bytes(module, dtype)
    devices = device_plan(module, options.device, needed, dtype)
    if needed > (free := available_bytes(devices.first)):
        raise UsageError(
            f"{checkpoint.directory} needs {gigabytes(needed)} of memory for its weights in {dtype}, "
            f"{gigabytes(free)} are free on {devices.first}."
        )
    fill(module, plan, checkpoint.stored, dtype, devices.of)
    if options.adapter is not None:
        from parallelbench.models.families.lora import merge_adapter  # only who asks for an adapter pays for it

        merge_adapter(module, options.adapter, checkpoint.family.placing(checkpoint.config))
    if checkpoint.family.kind == "sedd":
        return SeddNetwork(module.eval(), checkpoint.config)  # type: ignore[arg-type]
    _finish(module, checkpoint.family, devices.first, dtype)
    block = options.block or checkpoint.family.block(checkpoint.config)
    return Network(devices.dispatch(module), block, checkpoint.family.shift)


def _skeleton(checkpoint: Checkpoint, options: Options, dtype: torch.dtype) -> nn.Module:
    """The family's module on the meta device: shapes without memory."""
    family, config = checkpoint.family, checkpoint.config
    if family.kind == "sedd":
        with torch.device("meta"):
            return SeddModel(SeddSizes.of(config))
    transformers = optional("transformers", "models")
    attention = options.attention
    if family.rope_float32 and dtype != torch.float32:
        attention = rounded_attention(attention)
    cls = getattr(transformers, family.architecture)
    try:
        built = cls.config_class(**family.config(config), attn_implementation=attention)
        with torch.device("meta"):
            module: nn.Module = cls(built)
    except UsageError:
        raise
    except Exception as error:  # transformers and torch refuse impossible sizes in many ways
        raise UsageError(
            f"{checkpoint.directory}/config.json describes no possible model: {one_line(error)}"
        ) from error
    return module


def _plan(checkpoint: Checkpoint, module: nn.Module) -> WeightPlan:
    config = getattr(module, "config", None)
    tied = bool(getattr(config, "tie_word_embeddings", False))
    return plan_weights(module, checkpoint.stored, checkpoint.family.placing(checkpoint.config), tied)


def _finish(module: Any, family: Family, device: torch.device, dtype: torch.dtype) -> None:
    """Everything that is no stored weight: ties, rotary tables, and the arithmetic of the reference."""
    module.tie_weights()
    module.model.rotary_emb = type(module.model.rotary_emb)(module.config).to(device)
    if family.rope_float32 and dtype != torch.float32:
        module.model.rotary_emb = Float32Rotary(module.model.rotary_emb)
    if family.norm_float32:
        widen_norms(module)
    left = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if tensor.is_meta]
    if left:
        raise RuntimeError(f"no weights for {left[:3]}")
    module.eval().requires_grad_(False)
