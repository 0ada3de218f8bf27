"""The lanes whose decoding the page replays, with their tokens as texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from parallelbench.analysis.curves import natural_key
from parallelbench.errors import UsageError
from parallelbench.models.registry import load_denoiser
from parallelbench.report.replay import Piece, replay, trace_view
from parallelbench.runs.store import Store
from parallelbench.tasks import load_task

Entry = dict[str, Any]


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
    pieces = {key: _piece(*key) for key in set(zip(kept["model"], kept["revision"], strict=True))}
    traces = []
    for directory, part in kept.groupby("directory", sort=True):
        with Store(Path(str(directory))) as store:
            for lane in part.itertuples():
                stored = store.lane(str(lane.lane_id))
                traces.append(replay(stored, pieces[stored["model"], stored["revision"]]))
    traces.sort(key=lambda trace: (trace["task"], trace["sample"], trace["model"], natural_key(trace["setting"])))
    return trace_view(traces, dict(_prompts(kept)))


def _of_task(part: pd.DataFrame, samples: int) -> Iterator[pd.DataFrame]:
    """Lanes of the first samples under each method's middle setting."""
    first = sorted(part["sample_index"].unique())[:samples]
    for _, lanes in part.groupby(["profile", "model", "method"], sort=True):
        settings = sorted(lanes["setting"].unique(), key=natural_key)
        yield lanes[lanes["sample_index"].isin(first) & (lanes["setting"] == settings[len(settings) // 2])]


def _piece(model: str, revision: str) -> Piece:
    """Shows the tokens of a model: as texts where it is at hand and still the same, else as numbers."""
    try:
        denoiser = load_denoiser(model)
    except UsageError:
        return "#{}".format
    spec = denoiser.spec
    if spec.revision != revision:
        return "#{}".format
    names = {spec.eos_id: "⟨end⟩", spec.pad_id: "⟨pad⟩", spec.mask_id: "⟨mask⟩"}
    names[spec.eos_id] = "⟨end⟩"
    return lambda token: names.get(token) or denoiser.decode([token])


def _prompts(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """(sample id, its question) of the samples that the built-in tasks still have."""
    for (task, seed), part in frame.groupby(["task", "seed"]):
        try:
            drawn = load_task(str(task)).samples(int(str(seed)), int(part["sample_index"].max()) + 1)
        except UsageError:
            continue
        wanted = set(part["sample"])
        for sample in drawn:
            if sample.id in wanted:
                yield sample.id, "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in sample.messages)
