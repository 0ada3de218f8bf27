"""`pb theory validate`: the closed forms as an experiment (the paper's Figure 2)."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parallelbench.cli.theory_runs import bench
from parallelbench.decoding import parse_method
from parallelbench.errors import RunError, UsageError
from parallelbench.report.figures import save_figure, validation_figure
from parallelbench.theory.closed_forms import (
    replace_random_threshold,
    replace_random_top_k,
    shuffle_threshold,
    shuffle_top_k,
)
from parallelbench.theory.intervals import binomial_interval
from parallelbench.theory.operations import LARGEST

OPERATIONS = ("shuffle", "replace_random")
SWEEP_N = 10
THRESHOLDS = (0.05, 0.12, 0.23, 0.3, 0.45, 0.6, 0.7, 0.78, 0.85, 0.88, 0.92, 0.95, 0.99)
"""None is a confidence that occurs (1/m or (m-1)/m): there the noise would decide."""
FIELDS = (
    "operation", "sweep", "setting", "k", "tau", "temperature", "n", "expected", "measured", "low", "high", "correct",
    "lanes", "inside",
)  # fmt: skip
EDGE = 1e-9


@dataclass(frozen=True)
class _Plan:
    operation: str
    n: int
    temperature: int
    k: str | None = None
    tau: float | None = None

    @property
    def setting(self) -> str:
        rule = f"threshold:tau={self.tau}" if self.tau is not None else f"confidence:k={self._k}"
        return f"{rule},temperature={self.temperature}"

    @property
    def _k(self) -> int:
        return self.n if self.k == "n" else int(self.k or 0)

    @property
    def expected(self) -> float:
        if self.operation == "shuffle":
            return shuffle_top_k(self.n, self._k) if self.tau is None else shuffle_threshold(self.n, self.tau)
        if self.tau is None:
            return replace_random_top_k(self.n, self._k, float(self.temperature))
        return replace_random_threshold(self.n, self.tau, float(self.temperature))


def _plans(largest: int) -> Iterator[_Plan]:
    for operation in OPERATIONS:
        for temperature in (0, 1):
            for n in range(2, largest + 1):
                yield from (_Plan(operation, n, temperature, k=k) for k in ("1", "2", "n") if k != "2" or n > 2)
            yield from (_Plan(operation, SWEEP_N, temperature, tau=tau) for tau in THRESHOLDS)


def validation(
    model: str, lanes: int, largest: int, seed: int, listen: Callable[[int, int, str], None]
) -> list[dict[str, Any]]:
    """Every point of the experiment: what the formula says and what the loop does.

    Args:
        model: The denoiser; the formulas hold for the ideal one.
        lanes: Decodings for each point.
        largest: Largest list length; from 2.
        seed: Run seed.
        listen: Called after every point with (done, total, what).

    Raises:
        UsageError: an unknown model, or a length that is out of reach.
    """
    if not 2 <= largest <= LARGEST:
        raise UsageError(f"largest={largest} is not allowed; largest is a whole number from 2 to {LARGEST}.")
    sizes = sorted({*range(2, largest + 1), SWEEP_N})
    ready = bench(model, dict.fromkeys(OPERATIONS, sizes))
    plans = list(_plans(largest))
    points = []
    for done, plan in enumerate(plans, start=1):
        correct = ready.correct(plan.operation, plan.n, parse_method(plan.setting), lanes, seed)
        low, high = binomial_interval(correct, lanes)
        points.append(
            {
                "operation": plan.operation, "sweep": "n" if plan.tau is None else "tau", "setting": plan.setting,
                "k": plan.k, "tau": plan.tau, "temperature": plan.temperature, "n": plan.n,
                "expected": plan.expected, "measured": correct / lanes, "low": low, "high": high, "correct": correct,
                "lanes": lanes, "inside": low - EDGE <= plan.expected <= high + EDGE,
            }
        )  # fmt: skip
        listen(done, len(plans), plan.operation)
    return points


def summary(points: Sequence[dict[str, Any]], model: str) -> dict[str, Any]:
    """How many formulas lie inside their interval, and the sentence that says so."""
    inside, total = sum(point["inside"] for point in points), len(points)
    outside = [f"{p['operation']} n={p['n']} {p['setting']}" for p in points if not p["inside"]]
    lanes = points[0]["lanes"]
    text = f"{model}: {inside} of {total} closed-form values lie inside the 95 % interval of {lanes} decodings."
    if outside:
        text += f" Outside: {'; '.join(outside[:8])}{' ...' if len(outside) > 8 else '.'}"
    return {
        "model": model, "inside": inside, "points_in_all": total, "expected": model == "ideal", "text": text,
    }  # fmt: skip


def save(points: Sequence[dict[str, Any]], folder: Path, model: str, name: str = "validate") -> list[Path]:
    """Write a table and a figure: NAME.csv, NAME.svg and NAME.png.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / f"{name}.csv"
        with table.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, FIELDS)
            writer.writeheader()
            writer.writerows(points)
        return [
            table,
            *save_figure(validation_figure(points, f"{model}: measured and closed form"), folder / name),
        ]
    except OSError as error:
        raise RunError(f"Cannot write to {folder}: {error.strerror}.") from error
