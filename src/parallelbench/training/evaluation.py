"""How well a network does, by the same loop and scorers as a run."""

from collections.abc import Sequence

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.models.base import Denoiser
from parallelbench.tasks.common import CountedTask

SEED = 1
"""Seed of the test samples looked at during training; tables take those of seed 0."""


def accuracies(denoiser: Denoiser, tasks: Sequence[CountedTask], count: int, setting: str) -> dict[str, float]:
    """Share of `count` held-out samples of each task that are solved under a method's setting."""
    method = parse_method(setting)
    problems = {
        f"{task.name}/{sample.index}": (task, sample)
        for task in tasks
        for sample in task.samples(SEED, min(count, task.available("test") or count))
    }
    lanes = [
        Lane(name, tuple(denoiser.encode(sample.messages)), task.max_tokens, method)
        for name, (task, sample) in problems.items()
    ]
    solved: dict[str, list[float]] = {task.name: [] for task in tasks}
    for done in decode(denoiser, lanes, 96):
        task, sample = problems[done.lane.id]
        end = done.tokens.index(denoiser.spec.eos_id) if denoiser.spec.eos_id in done.tokens else len(done.tokens)
        score = task.score(sample, denoiser.decode(done.tokens[:end])).lenient
        solved[task.name].append(score or 0.0)
    return {name: sum(scores) / len(scores) for name, scores in solved.items()}
