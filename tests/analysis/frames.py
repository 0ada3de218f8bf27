"""Small frames of finished lanes for the tests of analysis and report."""

import pandas as pd
from hypothesis import strategies as st

KINDS = {
    "confidence": "static", "threshold": "adaptive", "remask": "revising", "ancestral": "static",
    "autoregressive": "static",
}  # fmt: skip


def lane(task: str, setting: str, sample: int, score: float | None, **changes: object) -> dict[str, object]:
    """One lane; a model `m` with 32 tokens in 8 forwards unless told otherwise."""
    method = setting.partition(":")[0]
    row: dict[str, object] = {
        "model": "m",
        "method": method,
        "setting": setting,
        "kind": KINDS[method],
        "task": task,
        "task_version": 1,
        "sample": f"{task}/{sample:03}",
        "sample_index": sample,
        "score": score,
        "score_strict": score,
        "why": "",
        "max_tokens": 32,
        "effective_tokens": 16,
        "nfe": 8,
        "rows": 8,
        "seconds": 0.1,
        "error": None,
        "profile": "native",
    } | changes
    identity = f"{row['model']}|{setting}|{task}|{sample}|{row['profile']}"
    return {"lane_id": identity} | row


def frame(*lanes: dict[str, object]) -> pd.DataFrame:
    """The lanes as runs hands them over: scores as floats with NaN for none."""
    table = pd.DataFrame(list(lanes))
    return table.astype({"score": float, "score_strict": float})


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Random lanes: two models, three methods, gaps, unscored and failed lanes; never empty."""
    settings = ["confidence:k=2", "confidence:k=16", "threshold:tau=0.5", "threshold:tau=0.9", "remask:k=4"]
    cells = st.tuples(
        st.sampled_from(["m", "n"]),
        st.sampled_from(settings),
        st.sampled_from(["copy", "sort", "haiku"]),
        st.integers(0, 4),
    )
    rows = []
    for model, setting, task, sample in draw(st.lists(cells, min_size=1, max_size=60, unique=True)):
        score, strict = (draw(st.sampled_from([None, 0.0, 0.25, 1.0, 1.0])) for _ in range(2))
        changes = {
            "model": model,
            "score_strict": strict,
            "max_tokens": 64 if task == "haiku" else 32,
            "effective_tokens": draw(st.integers(1, 32)),
            "nfe": draw(st.integers(1, 32)),
            "rows": draw(st.integers(32, 64)),
        }
        if draw(st.integers(0, 9)) == 0:
            score, changes = None, changes | {"error": "RuntimeError: boom", "score_strict": None, "nfe": 0}
        rows.append(lane(task, setting, sample, score, **changes))
    return frame(*rows)
