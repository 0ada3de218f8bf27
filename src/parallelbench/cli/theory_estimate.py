"""`pb theory estimate`: how much dependence a model ignores on real samples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from parallelbench.decoding import Lane, Method, parse_method
from parallelbench.decoding.peek import commits
from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.registry import load_denoiser
from parallelbench.tasks import CountedTask, expand_tasks
from parallelbench.tasks.base import Orderings, Sample
from parallelbench.theory.measures import partition_bound
from parallelbench.theory.subjects import LISTED, Encoder, table_of

RESAMPLES = 2000
LOG2 = float(np.log(2))
IDEAL = "ideal:noise=0"


def estimates(
    model: str, tasks: Sequence[str], setting: str, samples: int, seed: int, listen: Callable[[int, int, str], None]
) -> list[dict[str, Any]]:
    """For each task the bits of dependence between tokens the method would commit together, a mean over samples.

    Each sample's reference answer is revealed in the method's own steps. A step over tokens S contributes
    sum_{j in S} log p(y_j | y_<j, known) - log p(y_j | known), chain minus product, left to right. For a model
    with exact conditionals the expectation is L_T of the steps; for one step, the total correlation.

    Raises:
        UsageError: an unknown model, task or method; a method that keeps a memory.
    """
    method = parse_method(setting)
    if method.name not in ("left_to_right", "confidence", "margin", "entropy", "threshold", "factor", "factor@pb"):
        raise UsageError(
            f"{setting!r}: the estimate follows left_to_right, confidence, margin, entropy, threshold or factor."
        )
    found = [(task, sample) for task in expand_tasks(tasks) for sample in task.samples(seed, samples)]
    denoiser = load_denoiser(IDEAL if model == "ideal" else model, found)
    gaps: dict[str, list[tuple[float, float | None]]] = {}
    for done, (task, sample) in enumerate(found, start=1):
        gap, partition = _gap(denoiser, task, sample, method)
        exact = _exact(denoiser, task, sample, partition) if model.startswith("ideal") else None
        gaps.setdefault(task.name, []).append((gap, exact))
        listen(done, len(found), task.name)
    return [_row(name, method, pairs, seed) for name, pairs in gaps.items()]


def _row(task: str, method: Method, pairs: Sequence[tuple[float, float | None]], seed: int) -> dict[str, Any]:
    values = np.array([gap for gap, _ in pairs])
    exact = [value for _, value in pairs if value is not None]
    draws = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    return {
        "task": task, "method": method.setting, "bits": float(values.mean()),
        "interval": np.quantile(draws, [0.025, 0.975]).tolist(),
        "exact": float(np.mean(exact)) if len(exact) == len(pairs) else None, "samples": len(pairs),
    }  # fmt: skip


def _gap(denoiser: Denoiser, task: CountedTask, sample: Sample, method: Method) -> tuple[float, list[list[int]]]:
    """Bits of one sample, and the steps in which its answer was revealed."""
    spec = denoiser.spec
    prompt = tuple(denoiser.encode(sample.messages))
    ids = denoiser.tokenizer.encode(sample.answer)
    answer = torch.tensor([*ids, *[spec.eos_id] * (task.max_tokens - len(ids))])[: task.max_tokens]
    region = torch.full_like(answer, spec.mask_id)
    bits, partition = 0.0, []
    while bool((region == spec.mask_id).any()):
        chosen = _next(denoiser, prompt, region, method)
        product = _log_probabilities(denoiser, prompt, [(region, chosen)], answer)
        chain, shown = [], region.clone()
        for j in chosen:
            chain.append((shown.clone(), [j]))
            shown[j] = answer[j]
        bits += float((_log_probabilities(denoiser, prompt, chain, answer) - product).sum()) / LOG2
        partition.append(chosen)
        region = shown
    return bits, partition


def _next(denoiser: Denoiser, prompt: tuple[int, ...], region: torch.Tensor, method: Method) -> list[int]:
    lane = Lane("", prompt, len(region), method, prefill=tuple(region.tolist()))
    return [int(j) for j in commits(denoiser, lane, None)[0].nonzero().flatten()]


def _log_probabilities(
    denoiser: Denoiser, prompt: tuple[int, ...], asked: Sequence[tuple[torch.Tensor, list[int]]], answer: torch.Tensor
) -> torch.Tensor:
    """Natural logarithms of the answer's tokens at each asked position, one canvas for each (region, positions)."""
    front = torch.tensor(prompt)
    canvas = torch.stack([torch.cat([front, region]) for region, _ in asked])
    rows = torch.zeros_like(canvas, dtype=torch.bool)
    for number, (_, positions) in enumerate(asked):
        rows[number, [len(prompt) + j for j in positions]] = True
    with torch.inference_mode():
        logits = denoiser.logits(canvas, torch.ones_like(rows), rows).float()
    columns = denoiser.columns(prompt) if "columns" in denoiser.spec.capabilities else None  # type: ignore[attr-defined]
    if columns is None:
        logits[:, denoiser.spec.mask_id] = float("-inf")
    wanted = torch.tensor([int(answer[j]) for _, positions in asked for j in positions])
    column = wanted if columns is None else torch.searchsorted(columns, wanted)
    return torch.log_softmax(logits.double(), -1)[torch.arange(len(wanted)), column].cpu()


def _exact(denoiser: Denoiser, task: CountedTask, sample: Sample, partition: list[list[int]]) -> float | None:
    """L_T of the steps taken, from the answers themselves; None where they are too many to list."""
    support = task.support(sample)
    if support is None or (isinstance(support, Orderings) and len(support) > LISTED):
        return None
    tokens = Encoder(denoiser.spec.name, denoiser.tokenizer.encode, denoiser.spec.eos_id)
    return partition_bound(table_of(support, tokens, task.max_tokens), partition)
