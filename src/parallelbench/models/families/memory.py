"""How much memory there is and which weights go where."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parallelbench.errors import UsageError
from parallelbench.models.families.extras import one_line, optional

HEADROOM = 0.9
"""Share of a GPU that weights may take when a model is spread; the rest is for activations."""


def gigabytes(count: int) -> str:
    """`"1.5 GB"`."""
    return f"{count / 1e9:,.1f} GB"


def available_bytes(device: torch.device) -> int:
    """Free memory of a device, as far as the system tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    try:
        text = Path("/proc/meminfo").read_text()
        found = re.search(r"MemAvailable:\s+(\d+) kB", text)
        if found:
            return int(found.group(1)) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True)
class DevicePlan:
    """Where weights go.

    Attributes:
        first: The device that token ids enter.
        of: Device of a parameter by name.
        dispatch: Makes a loaded module run across its devices.
    """

    first: torch.device
    of: Callable[[str], torch.device]
    dispatch: Callable[[nn.Module], nn.Module]


def device_plan(module: Any, asked: str, needed: int, dtype: torch.dtype) -> DevicePlan:
    """The plan for a device name: "auto" takes a GPU when there is one, and all of them when one is too small.

    Raises:
        UsageError: no such device.
    """
    if asked == "spread" or (asked == "auto" and _too_large_for_one(needed)):
        return _spread(module, dtype)
    name = asked if asked != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device={asked} is not here: {one_line(error)}") from error
    return DevicePlan(device, lambda name: device, lambda module: module)


def _too_large_for_one(needed: int) -> bool:
    count = torch.cuda.device_count()
    return count > 1 and needed > HEADROOM * available_bytes(torch.device("cuda", 0))


def _spread(module: Any, dtype: torch.dtype) -> DevicePlan:
    """Whole layers over the GPUs (and, without any, all on the CPU)."""
    accelerate = optional("accelerate", "models")
    count = torch.cuda.device_count()
    room: dict[int | str, int] = {
        number: int(HEADROOM * available_bytes(torch.device("cuda", number))) for number in range(count)
    }
    room["cpu"] = available_bytes(torch.device("cpu"))
    places = accelerate.infer_auto_device_map(
        module, max_memory=room, no_split_module_classes=list(module._no_split_modules), dtype=dtype
    )
    if "disk" in places.values():
        raise UsageError("The weights fit neither the GPUs nor the memory of this machine.")

    def of(name: str) -> torch.device:
        prefixes = (place for place in places if place == "" or name == place or name.startswith(place + "."))
        return torch.device(places[max(prefixes, key=len)])

    def dispatch(module: nn.Module) -> nn.Module:
        spread: nn.Module = accelerate.dispatch_model(module, places)
        return spread

    return DevicePlan(of("model.embed_tokens.weight"), of, dispatch)
