"""Signatures: what a number stands on, in one line, from the objects that ran."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING

import pandas as pd

from parallelbench import __version__

if TYPE_CHECKING:  # at run time they bring torch along, which readers of a store do not need
    from parallelbench.models.base import DenoiserSpec
    from parallelbench.models.generators.base import GeneratorSpec
    from parallelbench.runs.plan import Problem, RunSettings


def short_hash(value: Mapping[str, object], digits: int = 12) -> str:
    """First hex digits of the SHA-256 of canonical JSON: stable under key order, changed by any value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:digits]


def signature(parts: Mapping[str, object]) -> str:
    """`key:value` parts joined by `|`, in the order given; None is left out."""
    return "|".join(f"{key}:{value}" for key, value in parts.items() if value is not None)


def run_signature(
    settings: "RunSettings",
    specs: "Sequence[DenoiserSpec | GeneratorSpec]",
    found: "Sequence[Problem]",
    grammar: str,
    numerics: str,
) -> str:
    """Signature of a run before it starts; equal to `frame_signature` of its lanes."""
    tasks = [f"{p.task.name}.{p.task.version}" for p in found]
    return signature(
        {
            "models": "+".join(sorted(f"{spec.name}@{spec.revision}" for spec in specs)),
            "tasks": _tasks(set(tasks)),
            "n": _range(set(Counter(tasks).values())),
            "seed": settings.seed,
            "profile": settings.profile,
            "grammar": grammar,
            "conf": numerics,
            "pb": __version__,
        }
    )


def frame_signature(frame: pd.DataFrame) -> str:
    """Signature of stored lanes, at least one: every value a column takes, so that a mixture shows."""
    versions = frame[["task", "task_version"]].drop_duplicates()
    tasks = sorted(f"{row.task}.{row.task_version}" for row in versions.itertuples())
    per_task = frame.groupby("task", observed=True)["sample"].nunique()

    def all_of(*columns: str) -> str:
        rows = frame[list(columns)].drop_duplicates().astype(str)
        return "+".join(sorted("@".join(row) for row in rows.itertuples(index=False)))

    return signature(
        {
            "models": all_of("model", "revision"),
            "tasks": _tasks(tasks),
            "n": _range(set(per_task)),
            "seed": all_of("seed"),
            "profile": all_of("profile"),
            "grammar": all_of("grammar"),
            "conf": all_of("numerics"),
            "pb": __version__,
        }
    )


def _tasks(names: Collection[str]) -> str:
    return next(iter(names)) if len(names) == 1 else f"{len(names)}@{short_hash({'tasks': sorted(names)})}"


def _range(counts: Set[int]) -> str:
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)}..{max(counts)}"
