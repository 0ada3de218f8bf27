"""What a checkpoint is and whether it runs here, before a long run starts."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.families.build import Checkpoint, Options, inspect
from parallelbench.models.families.files import find_checkpoint, read_json
from parallelbench.models.families.load import load_checkpoint, options_of, split_parameters
from parallelbench.models.families.memory import available_bytes
from parallelbench.models.families.tokens import load_tokenizer, special_tokens
from parallelbench.models.generators.base import Generator, Request

WIDTHS = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8}
PROMPT = ({"role": "user", "content": "Repeat: red, green, blue."},)
LENGTH = 8
TinyDecode = Callable[[Denoiser, list[int], int], list[int]]
"""(denoiser, prompt, tokens to generate) -> generated ids."""


def check_model(text: str, decode: TinyDecode, fetch: bool = True) -> dict[str, Any]:
    """Everything that can be told about a checkpoint, ending with a forward and a decode of a few tokens.

    Args:
        text: Model string: a directory or hub id, with parameters.
        decode: Decodes a few tokens step by step (the loop lies in another room).
        fetch: Download a hub checkpoint that is not here yet.

    Returns:
        The report; `missing` lists in sentences what keeps it from running, empty when `ok`.

    Raises:
        UsageError: neither a directory nor a hub id, or an unknown parameter.
    """
    place, given = split_parameters(text)
    options = options_of(given)
    directory, commit = find_checkpoint(place, fetch)
    report: dict[str, Any] = {"model": text, "directory": str(directory), "revision": commit, "missing": []}
    try:
        _recognise(directory, options, report)
        _run(text, decode, report)
    except UsageError as error:
        report["missing"].append(str(error))
    report["ok"] = not report["missing"]
    return report


def _recognise(directory: Path, options: Options, report: dict[str, Any]) -> None:
    """Family, sizes, tokens: what needs no weights."""
    checkpoint = inspect(directory, options.family)
    if checkpoint is None:
        config = read_json(directory / "config.json")
        report |= {
            "family": None,
            "model_type": config.get("model_type"),
            "kind": "autoregressive, if transformers knows it",
        }
        return
    family = checkpoint.family
    report |= {
        "family": family.name,
        "kind": {"transformers": "denoiser", "sedd": "denoiser with a sampler", "generate": "own sampler"}[family.kind],
        "computed_by": family.architecture or "SeddModel",
        "attention": _attention(checkpoint, options),
        "shift": family.shift,
        "revision": report["revision"] or checkpoint.digest,
        **_sizes(checkpoint, options),
    }
    tokenizer = load_tokenizer(directory, family)
    report["tokenizer_size"] = len(tokenizer.inner)
    report["chat_template"] = "its own" if tokenizer.has_template else "published format"
    special = special_tokens(directory, checkpoint.config, family, tokenizer, _vocabulary(checkpoint))
    report["special_tokens"] = {
        "mask": special.mask, "eos": special.eos, "pad": special.pad, "stop": sorted(special.stop),
        "found_in": dict(special.sources),
    }  # fmt: skip


def _attention(checkpoint: Checkpoint, options: Options) -> str:
    if checkpoint.family.kind != "transformers":
        return "its own"
    block = options.block or checkpoint.family.block(checkpoint.config)
    return f"block-causal, blocks of {block}" if block else "full"


def _vocabulary(checkpoint: Checkpoint) -> int:
    """Rows of the largest embedding-like tensor: the first dimension no token id may reach."""
    return max(info.shape[0] for info in checkpoint.stored.values() if len(info.shape) == 2)


def _sizes(checkpoint: Checkpoint, options: Options) -> Mapping[str, Any]:
    count = sum(_elements(info.shape) for info in checkpoint.stored.values())
    stored = sum(_elements(info.shape) * WIDTHS.get(info.dtype, 1) for info in checkpoint.stored.values())
    dtype = checkpoint.dtype(options)
    free = available_bytes(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return {
        "parameters": count,
        "files": len(checkpoint.files),
        "bytes_stored": stored,
        "dtype": str(dtype).removeprefix("torch."),
        "bytes_needed": count * dtype.itemsize,
        "bytes_free": free,
    }


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _run(text: str, decode: TinyDecode, report: dict[str, Any]) -> None:
    """Load, one forward, one short decode."""
    began = time.perf_counter()
    model = load_checkpoint(text)
    report["load_seconds"] = round(time.perf_counter() - began, 3)
    if isinstance(model, Generator):
        (answer,) = model.generate([Request("check", PROMPT, LENGTH, 0)], 1)
        if answer.error is not None:
            raise UsageError(f"it gives no answer: {answer.error}")
        report |= {"decode_seconds": round(answer.seconds, 3), "decode_forwards": answer.nfe, "decoded": answer.text}
        return
    prompt = model.encode(PROMPT)
    canvas = torch.tensor([[*prompt, *[model.spec.mask_id] * LENGTH]])
    everywhere = torch.ones_like(canvas, dtype=torch.bool)
    began = time.perf_counter()
    logits = model.logits(canvas, everywhere, canvas == model.spec.mask_id)
    report |= {"prompt_tokens": len(prompt), "forward_seconds": round(time.perf_counter() - began, 3)}
    if not bool(logits.isfinite().all()):
        raise UsageError("its logits are not finite numbers.")
    began = time.perf_counter()
    tokens = decode(model, prompt, LENGTH)
    report |= {"decode_seconds": round(time.perf_counter() - began, 3), "decoded": model.decode(tokens)}
