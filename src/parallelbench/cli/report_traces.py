"""The lanes whose decoding the page replays, with their tokens as texts."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from parallelbench.analysis.curves import natural_key
from parallelbench.errors import UsageError
from parallelbench.models.base import Tokenizer
from parallelbench.models.registry import load_tokenizer
from parallelbench.report.traces import trace_view
from parallelbench.runs.store import Store
from parallelbench.runs.trace import Trace, trace_row

Entry = dict[str, Any]
QUICK = ("ideal",)
"""Models that decode a lane again in no time; the others' lanes are rebuilt from the store."""
ORDER = ("task", "sample", "model", "profile", "setting")


def chosen_traces(frame: pd.DataFrame, samples: int) -> Entry:
    """The first samples of every task, each under the middle setting of every method.

    Args:
        frame: Lanes of any profile, with the columns `commit_step` and `directory`.
        samples: How many a task; 0 for none.
    """
    lanes = frame[frame["commit_step"].notna() & (frame["nfe"] > 0)]
    if lanes.empty or not samples:
        why = "No trace was asked for: --traces says how many samples a task." if not samples else "No lane has steps."
        return {"lanes": [], "samples": {}, "why": why}
    kept = pd.concat([part for _, part in lanes.groupby("task", sort=True) for part in _of_task(part, samples)])
    traces = []
    for directory, part in kept.groupby("directory", sort=True):
        with Store(Path(str(directory))) as store:
            rows, asked = map(store.lane, part["lane_id"]), {run["run_id"]: run["settings"] for run in store.runs()}
            traces += [trace_row(row, asked.get(row["run_id"], {}), _is_quick(row["model"])) for row in rows]
    for trace in traces:
        trace["texts"] = trace["texts"] or _texts(trace)
    traces.sort(key=lambda trace: natural_key("\n".join(trace["lane"][name] for name in ORDER)))
    return trace_view(traces)


def _is_quick(model: str) -> bool:
    return model.partition(":")[0] in QUICK


def _of_task(part: pd.DataFrame, samples: int) -> Iterator[pd.DataFrame]:
    """Lanes of the first samples under each method's middle setting."""
    first = sorted(part["sample_index"].unique())[:samples]
    for _, lanes in part[part["sample_index"].isin(first)].groupby(["profile", "model", "method"], sort=True):
        settings = sorted(lanes["setting"].unique(), key=natural_key)
        yield lanes[lanes["setting"] == settings[len(settings) // 2]]


def _texts(trace: Trace) -> dict[str, str]:
    """Texts of the tokens of a trace that was rebuilt from the store, as far as the model's tokenizer is at hand."""
    ids = set(trace["tokens"]) | {revision["token"] for revision in trace["revisions"]}
    try:
        tokenizer = _tokenizer(trace["lane"]["model"])
        return {str(token): tokenizer.decode([token]) for token in ids}
    except (UsageError, IndexError):  # another model by the same name now: its numbers are shown
        return {}


@lru_cache
def _tokenizer(model: str) -> Tokenizer:
    return load_tokenizer(model)[0]
