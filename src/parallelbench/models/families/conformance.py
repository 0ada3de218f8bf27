"""Compare a checkpoint directory's outputs with recorded reference outputs beside it (`golden.npz`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.families.build import ATTENTIONS, Options, build, inspect, unknown_family
from parallelbench.models.families.files import read_json, regular
from parallelbench.models.families.network import Network
from parallelbench.models.families.sedd import SeddNetwork
from parallelbench.models.families.spec import Family
from parallelbench.models.families.table import FAMILIES

TOLERANCE = 1e-4
BFLOAT16_TOLERANCE = 0.06
"""A rotation or a norm in the wrong precision moves the tiny models' logits by 0.10; another CPU's
bfloat16 matrix products by up to 0.05, with the class of transformers alone as well."""

Golden = Mapping[str, Tensor]


def conform_model(directory: Path, forced: str | None = None, table: Mapping[str, Family] = FAMILIES) -> dict[str, Any]:
    """Largest absolute differences from the reference, under every attention implementation.

    Returns:
        family, `max_abs_diff` (check -> number, the larger of sdpa and eager), `by_attention`, tolerances, `ok`.

    Raises:
        UsageError: a directory that cannot be loaded, or one without golden.npz.
    """
    checkpoint = inspect(directory, forced, table)
    if checkpoint is None:
        raise unknown_family(read_json(directory / "config.json"))
    golden = _read(directory / "golden.npz") | _read(directory / "golden_cache.npz", needed=False)
    attentions = ("sdpa",) if checkpoint.family.kind == "sedd" else ATTENTIONS
    block = int(golden["block_length"]) if "block_length" in golden else None
    by_attention: dict[str, dict[str, float]] = {}
    for attention in attentions:
        network = build(checkpoint, Options("float32", "cpu", attention, block=block))
        by_attention[attention] = _differences(network, golden)
    if "logits_bf16" in golden:
        network = build(checkpoint, Options("bfloat16", "cpu", "sdpa", block=block))
        by_attention["sdpa"]["bf16"] = _apart(_full(network, golden["input_ids"]), golden["logits_bf16"])
    names = dict.fromkeys(name for found in by_attention.values() for name in found)
    largest = {name: max(found.get(name, 0.0) for found in by_attention.values()) for name in names}
    bounds = {name: BFLOAT16_TOLERANCE if name == "bf16" else TOLERANCE for name in largest}
    return {
        "family": checkpoint.family.name,
        "max_abs_diff": largest,
        "by_attention": by_attention,
        "tolerance": bounds,
        "ok": bool(largest) and all(largest[name] <= bounds[name] for name in largest),
    }


def _read(path: Path, needed: bool = True) -> dict[str, Tensor]:
    if not regular(path):
        if needed:
            raise UsageError(f"{path.parent} holds no {path.name} to compare with.")
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: torch.from_numpy(np.asarray(stored[name])) for name in stored.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no readable set of arrays: {error}.") from error


def _differences(network: Network | SeddNetwork, golden: Golden) -> dict[str, float]:
    """Every check that the golden file has rows for."""
    if isinstance(network, SeddNetwork):
        return _sedd_differences(network, golden)
    found = {"logits": _apart(_full(network, golden["input_ids"]), golden["logits"])}
    for name, (needs, check) in CHECKS.items():
        if needs in golden:
            found[name] = check(network, golden)
    found["padded"] = _padding_difference(network, golden["input_ids"])
    return found


def _apart(ours: Tensor, theirs: Tensor, where: Bool[Tensor, "B L"] | None = None) -> float:
    difference = (ours.float() - theirs.float()).abs()
    if where is not None:
        difference = difference[where.bool()]
    largest = difference.max()
    return float(largest) if largest.isfinite() else float("inf")


def _full(network: Any, ids: Tensor, present: Tensor | None = None) -> Tensor:
    present = torch.ones_like(ids) if present is None else present
    raw: Tensor = network.raw_logits(ids, present.bool())
    return raw


def _shifted(network: Network, golden: Golden) -> float:
    ids = golden["input_ids"]
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    return _apart(
        network.logits(ids, everywhere, everywhere).view_as(golden["logits_shifted"]), golden["logits_shifted"]
    )


def _side(side: str) -> Callable[[Network, Golden], float]:
    def check(network: Network, golden: Golden) -> float:
        mask = golden[f"{side}_attention_mask"]
        return _apart(_full(network, golden[f"{side}_input_ids"], mask), golden[f"{side}_logits"], mask.bool())

    return check


def _unblocked(network: Network, golden: Golden) -> float:
    whole = Network(network.model, None, network.shift)
    return _apart(_full(whole, golden["input_ids"]), golden["full_attention_logits"])


def _last_block(network: Network, golden: Golden) -> float:
    ids, wanted = golden["input_ids"], golden["last_block_cached_logits"]
    start = ids.shape[1] - wanted.shape[1]
    before = ids[:, :start]
    _, cache = network.prefill(before, torch.ones_like(before).bool(), torch.zeros_like(before).bool())
    return _apart(network.raw_window_logits(cache, ids[:, start:], start), wanted)


def _last_block_shifted(network: Network, golden: Golden) -> float:
    """Within the block; its first row comes from the finished block before, where the reference repeats its own."""
    ids, wanted = golden["input_ids"], golden["last_block_shifted_logits"]
    start = ids.shape[1] - wanted.shape[1]
    before, block = ids[:, :start], ids[:, start:]
    _, cache = network.prefill(before, torch.ones_like(before).bool(), torch.zeros_like(before).bool())
    ours = network.window_logits(cache, block, start, torch.ones_like(block).bool())
    return _apart(ours.view_as(wanted)[:, 1:], wanted[:, 1:])


def _stale(name: str) -> Callable[[Network, Golden], float]:
    """A window of the second canvas against the cache of the first: to the end (prefix), or a block (dual)."""

    def check(network: Network, golden: Golden) -> float:
        first, second, wanted = golden["step1_input_ids"], golden["step2_input_ids"], golden[name]
        start = int(golden["block_start"])
        _, cache = network.prefill(first, torch.ones_like(first).bool(), torch.zeros_like(first).bool())
        window = second[:, start : start + wanted.shape[1]]
        return _apart(network.raw_window_logits(cache, window, start), wanted)

    return check


CHECKS: Mapping[str, tuple[str, Callable[[Network, Golden], float]]] = {
    "shifted": ("logits_shifted", _shifted),
    "rpad": ("rpad_logits", _side("rpad")),
    "lpad": ("lpad_logits", _side("lpad")),
    "full_attention": ("full_attention_logits", _unblocked),
    "last_block_cached": ("last_block_cached_logits", _last_block),
    "last_block_shifted": ("last_block_shifted_logits", _last_block_shifted),
    "prefix_cache": ("prefix_cache_logits", _stale("prefix_cache_logits")),
    "dual_cache": ("dual_cache_logits", _stale("dual_cache_logits")),
}
"""Name of a check -> the golden array it needs, and how to compute the difference."""


def _padding_difference(network: Network, ids: Tensor) -> float:
    """Rows of different lengths in one left-padded batch against each alone (no reference needed)."""
    width = ids.shape[1]
    lengths = [max(1, width - 3 * row) for row in range(len(ids))]
    batch, present = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for row, length in enumerate(lengths):
        batch[row, width - length :] = ids[row, :length]
        present[row, width - length :] = True
    together = _full(network, batch, present)
    return max(
        _apart(together[row, width - length :], _full(network, ids[row : row + 1, :length])[0])
        for row, length in enumerate(lengths)
    )


def _sedd_differences(network: SeddNetwork, golden: Golden) -> dict[str, float]:
    ids, found = golden["input_ids"], {}
    present = torch.ones_like(ids).bool()
    for sigma, name in (("sigma", "log_score"), ("sigma2", "log_score2")):
        if name in golden:
            found["logits" if name == "log_score" else "logits2"] = _apart(
                network.log_score(ids, golden[sigma], present), golden[name]
            )
    if "t" in golden:
        found["noise"] = max(
            _relative(network.noise.total(golden["t"]), golden["noise_sigma"]),
            _relative(network.noise.rate(golden["t"]), golden["noise_dsigma"]),
        )
    if "staggered_score" in golden:
        score, step, graph = golden["log_score"].exp(), golden["step_dsigma"], network.graph
        found["staggered_score"] = _relative(graph.staggered_score(score, step), golden["staggered_score"])
        found["transp_transition"] = _apart(graph.transp_transition(ids, step), golden["transp_transition"])
        found["reverse_rate"] = _relative(graph.reverse_rate(ids, score), golden["reverse_rate"])
    return found


def _relative(ours: Tensor, theirs: Tensor) -> float:
    """Scores and rates span decades; compare them relative to the largest."""
    return _apart(ours / theirs.abs().max(), theirs / theirs.abs().max())
