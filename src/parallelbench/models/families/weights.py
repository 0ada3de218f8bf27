"""Weights by name from a checkpoint into a module: renamed, split, stacked, and checked to the last tensor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parallelbench.errors import UsageError
from parallelbench.models.families.extras import optional
from parallelbench.models.families.files import TensorInfo

Index = tuple[int | slice, ...]
SHOWN = 4


@dataclass(frozen=True)
class Place:
    """Where (a part of) a stored tensor goes.

    Attributes:
        target: Name in the module's state dict.
        index: Part of the target that it fills, () for all of it.
        rows: Rows of the stored tensor, None for all.
    """

    target: str
    index: Index = ()
    rows: slice | None = None


Placing = Callable[[str], list[Place]]
"""Stored name -> places; an empty list for a tensor that holds nothing new (a rotary table)."""


@dataclass(frozen=True)
class WeightPlan:
    """A checked assignment of every stored tensor.

    Attributes:
        places: Stored name -> places.
        expected: State dict of the module on the meta device, without what is tied.
        tied: Name of a stored output head that must equal the embedding it is tied to, or None.
    """

    places: Mapping[str, list[Place]]
    expected: Mapping[str, Tensor]
    tied: str | None


def plan_weights(module: nn.Module, stored: Mapping[str, TensorInfo], placing: Placing, tied: bool) -> WeightPlan:
    """Decide where each tensor goes, and that each target is filled exactly once. Touches headers only.

    Raises:
        UsageError: unexpected or missing tensors, or shapes that differ from the configuration's.
    """
    expected = dict(module.state_dict())
    head = expected.pop("lm_head.weight") if tied else None
    places, unexpected, filled = {}, [], dict.fromkeys(expected, 0)
    taken: set[tuple[str, str]] = set()
    tied_name = None
    for name, info in stored.items():
        found = placing(name)
        if head is not None and [place.target for place in found] == ["lm_head.weight"]:
            tied_name = name
            continue
        if any(place.target not in expected for place in found):
            unexpected.append(name)
            continue
        for place in found:
            filled[place.target] += _fits(name, info, place, expected[place.target])
            if (place.target, str(place.index)) in taken:
                unexpected.append(name)
            taken.add((place.target, str(place.index)))
        places[name] = found
    missing = [name for name, count in filled.items() if count != expected[name].numel()]
    if missing or unexpected:
        raise UsageError("The weights do not match the configuration: " + _mismatch(missing, unexpected) + ".")
    return WeightPlan(places, expected, tied_name)


def _fits(name: str, info: TensorInfo, place: Place, target: Tensor) -> int:
    """Elements that the tensor fills; refuses a wrong shape."""
    try:
        wanted = tuple(target[place.index].shape)
    except IndexError:
        wanted = ()
    shape = info.shape
    if place.rows is not None:
        shape = (len(range(*place.rows.indices(shape[0]))), *shape[1:])
    if shape != wanted or not wanted:
        raise UsageError(
            f"The weights do not match the configuration: {name} is {list(shape)}, config.json asks for {list(wanted)}."
        )
    return int(prod(shape))


def _mismatch(missing: list[str], unexpected: list[str]) -> str:
    parts = []
    for kind, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            parts.append(f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{more})")
    return "; ".join(parts)


def parameter_bytes(module: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the module's parameters and persistent buffers in a dtype."""
    return int(sum(tensor.numel() for tensor in module.state_dict().values()) * dtype.itemsize)


def fill(
    module: nn.Module,
    plan: WeightPlan,
    stored: Mapping[str, TensorInfo],
    dtype: torch.dtype,
    device_of: Callable[[str], torch.device],
) -> None:
    """Copy the stored tensors into fresh memory, one at a time, and put them into the module.

    Parameters take `dtype`; buffers keep the one the module gave them (routing biases stay float32).

    Raises:
        UsageError: a stored output head differs from the embedding the configuration ties it to.
    """
    safe_open = optional("safetensors", "models").safe_open
    parameters = {name for name, _ in module.named_parameters()}
    ready = {
        name: torch.empty(tensor.shape, dtype=dtype if name in parameters else tensor.dtype, device=device_of(name))
        for name, tensor in plan.expected.items()
    }

    def by_file(name: str) -> Path:
        return stored[name].path

    for path, names in groupby(sorted(plan.places, key=by_file), key=by_file):
        with safe_open(path, framework="pt") as file:
            for name in names:
                tensor = file.get_tensor(name)
                for place in plan.places[name]:
                    part = tensor if place.rows is None else tensor[place.rows]
                    ready[place.target][place.index].copy_(part)
    if plan.tied is not None:
        _check_tied(plan.tied, stored[plan.tied].path, ready, safe_open)
    module.load_state_dict(ready, strict=False, assign=True)


def _check_tied(name: str, path: Path, ready: Mapping[str, Tensor], safe_open: Any) -> None:
    with safe_open(path, framework="pt") as file:
        head = file.get_tensor(name)
    embedding = ready["model.embed_tokens.weight"]
    if head.shape != embedding.shape or not torch.equal(head.to(embedding), embedding):
        raise UsageError(
            f"config.json ties the output head to the embedding, but {name} differs from it: one of them is wrong."
        )
