"""Models whose classes are transformers' own: their weights, checked before and after they are loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from parallelbench.errors import UsageError
from parallelbench.models.families.build import Options
from parallelbench.models.families.extras import one_line
from parallelbench.models.families.memory import available_bytes, device_plan, gigabytes
from parallelbench.models.families.weights import parameter_bytes


def pretrained(
    cls: Any, skeleton: Callable[[], Any], directory: Path, dtype: torch.dtype, options: Options, **settings: Any
) -> Any:
    """A class of transformers with a directory's weights, on its device, ready to be asked.

    Args:
        cls: What has `from_pretrained`.
        skeleton: Makes the model without weights, which tells how much memory it needs.
        directory: The checkpoint; only its safetensors are read.
        dtype: Number format of the weights in memory.
        options: Its device is looked at.
        settings: More for `from_pretrained`.

    Raises:
        UsageError: weights that do not match, more than the memory holds, or a refusal of transformers.
    """
    try:
        with torch.device("meta"):
            empty = skeleton()
        needed = parameter_bytes(empty, dtype)
        device = device_plan(empty, "cpu" if options.device == "spread" else options.device, needed, dtype).first
        if needed > (free := available_bytes(device)):
            raise UsageError(
                f"{directory} needs {gigabytes(needed)} of memory, {gigabytes(free)} are free on {device}."
            )
        model, report = cls.from_pretrained(
            directory, dtype=dtype, use_safetensors=True, output_loading_info=True, **settings
        )
    except UsageError:
        raise
    except Exception as error:  # transformers refuses in many ways; its sentence helps
        raise UsageError(f"{directory} cannot be loaded: {one_line(error)}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(kind):
            raise UsageError(
                f"{directory}: the weights do not match: {kind.replace('_', ' ')} {sorted(report[kind])[:3]}."
            )
    return model.to(device).eval()
