"""A small network on disk: `model.safetensors` and a `config.json` that tells its shape and vocabulary."""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.generators.base import Generator, GeneratorSpec
from parallelbench.models.native.denoiser import NativeDenoiser
from parallelbench.models.native.network import AnswerNetwork, Size
from parallelbench.models.native.samplers import STEPS, CausalSampler, UniformSampler
from parallelbench.models.words import PhraseTokenizer

ARCHITECTURE = "ParallelBenchAnswerNetwork"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
BUILT_IN = files("parallelbench.models.native") / "data"
LIMIT = 1 << 30
"""Bytes of a file that is read at all: these networks are small."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old one or the new one, never a part."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def save_network(
    directory: Path, network: AnswerNetwork, tokenizer: PhraseTokenizer, facts: Mapping[str, Any], dtype: torch.dtype
) -> None:
    """Write a network with its vocabulary.

    Args:
        directory: Created where missing.
        network: The network.
        tokenizer: Its tokenizer.
        facts: More for `config.json`: "process" and "tasks", and how it was trained.
        dtype: Number format of the weights on disk.
    """
    directory.mkdir(parents=True, exist_ok=True)
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    config = {
        "architectures": [ARCHITECTURE],
        "size": asdict(network.size),
        "phrases": tokenizer.phrases,
        "pieces": tokenizer.pieces,
        **facts,
    }
    write_atomically(directory / WEIGHTS, save(state))
    write_atomically(directory / CONFIG, json.dumps(config, indent=1).encode() + b"\n")


def load_native(config: bytes, weights: bytes, name: str, steps: int = 0) -> Denoiser | Generator:
    """A network in float32 from the contents of its two files: a denoiser, or what decodes by itself.

    Args:
        config: `config.json`.
        weights: `model.safetensors`.
        name: Canonical model string.
        steps: Steps of a model of uniform diffusion; 0 for the default.

    Raises:
        UsageError: files that do not fit each other, or steps for a model that is decoded by methods.
    """
    try:
        told = json.loads(config)
        process, size = told["process"], Size(**told["size"])
        tasks = frozenset(map(str, told["tasks"]))
        tokenizer = PhraseTokenizer(told["phrases"], told["pieces"])
        state = {k: v.float() if v.is_floating_point() else v for k, v in load(weights).items()}
        _check_size(size, state)  # before anything is built whose size the configuration alone decides
        network = AnswerNetwork(size, state["written"])
        network.load_state_dict(state)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, SafetensorError) as error:
        raise UsageError(f"{name}: {CONFIG} and {WEIGHTS} do not make a network: {error}") from error
    revision = hashlib.sha256(config + weights).hexdigest()[:12]
    if steps and process != "uniform":
        raise UsageError(f"{name}: steps= belongs to models of uniform diffusion.")
    if process == "masked":
        return NativeDenoiser(name, revision, network.eval(), tokenizer, tasks)
    if process == "causal":
        return CausalSampler(GeneratorSpec(name, revision, "float32", tasks=tasks), network.eval(), tokenizer)
    if process != "uniform":
        raise UsageError(f"{name}: {CONFIG} names the process {process!r}, which is none of ours.")
    steps = steps or STEPS
    spec = GeneratorSpec(
        name, revision, "float32", "ancestral", {"steps": steps}, f"ancestral:steps={steps}", tasks=tasks
    )
    return UniformSampler(spec, network.eval(), tokenizer)


def _check_size(size: Size, state: Mapping[str, Tensor]) -> None:
    vocabulary, width = state["token.weight"].shape
    layers = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    found = {
        "vocabulary": vocabulary, "outputs": len(state["head.weight"]), "prompt": len(state["from_end.weight"]),
        "answer": len(state["in_answer.weight"]), "width": width, "layers": len(layers),
        "hidden": len(state["blocks.0.gate.weight"]),
    }  # fmt: skip
    for name, value in found.items():
        if getattr(size, name) != value:
            raise ValueError(f"{name} is {getattr(size, name)} in the one, {value} in the other")


def is_native(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is one of ours."""
    return bool(config.get("architectures") == [ARCHITECTURE])


def load_directory(directory: Path, name: str, steps: int = 0) -> Denoiser | Generator:
    """The model that `pb train` left in a directory; see `load_native`.

    Raises:
        UsageError: a file is missing, no plain file or absurdly large, or the two do not fit each other.
    """
    return load_native(_read(directory / CONFIG), _read(directory / WEIGHTS), name, steps)


def is_built_in(model: str) -> bool:
    """Whether the package ships this model's weights."""
    return (BUILT_IN / model / WEIGHTS).is_file()


def load_built_in(model: str, name: str, steps: int = 0) -> Denoiser | Generator:
    """A model whose weights the package ships, such as `tiny`, under its canonical name; see `load_native`."""
    folder = BUILT_IN / model
    return load_native((folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes(), name, steps)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"{path.parent} holds no {path.name}.") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
        raise UsageError(f"{path} is no plain file of at most {LIMIT >> 20} MB.")
    return path.read_bytes()
