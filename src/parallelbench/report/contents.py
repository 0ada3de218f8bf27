"""What the web page shows: everything averaged here, so that the page carries only what it draws."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from parallelbench import __version__
from parallelbench.analysis.cost import cost
from parallelbench.analysis.curves import natural_key
from parallelbench.analysis.failures import failure_kinds
from parallelbench.analysis.groups import COMMON, EVERYTHING, group_curves, task_groups
from parallelbench.analysis.oracle import EVERY, oracle, oracle_gap
from parallelbench.analysis.orders import commits_per_step, order_statistics
from parallelbench.analysis.pbx import PBS, leaderboard
from parallelbench.analysis.taskmap import task_map
from parallelbench.report.closed import closed_form
from parallelbench.report.packing import pack, records, told
from parallelbench.report.palette import HUES, style

Entry = dict[str, Any]
MEAN_COLUMNS = (
    "group", "model", "method", "setting", "kind", "score", "low", "high", "tps", "harmonic_tps", "effective_tps",
    "nfe", "rows", "tasks", "n", "unscored", "ceiling",
)  # fmt: skip
POINT_COLUMNS = (
    "task", "model", "method", "setting", "kind", "score", "low", "high", "tps", "effective_tps", "nfe", "n",
    "unscored", "ceiling",
)  # fmt: skip
ORDER_COLUMNS = (
    "task", "model", "method", "setting", "tps", "kendall", "spearman", "kendall_text", "spearman_text", "first_step",
    "revised", "n",
)  # fmt: skip
COST_COLUMNS = (
    "model", "method", "setting", "score", "low", "high", "lanes", "failed", "nfe", "rows", "forwards", "seconds",
    "seconds_a_lane", "tokens_a_second",
)  # fmt: skip
HEAD = ("model", "method", "kind", "tasks", *(f"PB{x}" for x in PBS), "effective", "harmonic", "intervals")


def profile_view(
    frame: pd.DataFrame,
    signature: str,
    ceilings: Callable[[Sequence[Entry], pd.DataFrame], None],
    bootstrap: int = 1000,
) -> Entry:
    """Everything the page shows of the lanes of one profile.

    Args:
        frame: Lanes that may be averaged together, with `commit_step`, `revisions` and `parts`.
        signature: What the numbers stand on.
        ceilings: Puts the best possible score beside each point of leaderboard entries, in place.
        bootstrap: Resamples of the intervals; 0 leaves them out.

    Raises:
        UsageError: lanes that may not be averaged together.
    """
    entries, best = leaderboard(frame, bootstrap), oracle(frame)
    ceilings(entries, frame)
    points = _points(entries)
    groups = task_groups(frame)
    means = _with_ceiling(group_curves(frame, groups, bootstrap), points, groups)
    return {
        **_names(frame, groups),
        "name": str(frame["profile"].iloc[0]),
        "signature": told(signature),
        "board": [{key: entry[key] for key in HEAD} for entry in entries],
        "points": pack(points, POINT_COLUMNS),
        "means": pack(means, MEAN_COLUMNS),
        "gap": records(oracle_gap(frame)),
        "oracle": records(best[best["scope"] == EVERY]),
        "map": records(task_map(frame)),
        **_beside(frame, points, means),
        "closed": [found for task in groups.get(EVERYTHING, []) if (found := closed_form(task)) is not None],
    }


def _names(frame: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> Entry:
    """What there is to choose from, and how much of it."""
    samples = sorted(set(frame.groupby("task")["sample"].nunique()))
    failed = frame["error"].notna()
    return {
        "models": [told(name) for name in sorted(set(map(str, frame["model"])), key=natural_key)],
        "methods": [told(name) for name in sorted(set(map(str, frame["method"])), key=natural_key)],
        "tasks": [told(task) for task in groups.get(EVERYTHING, [])],
        "groups": [
            {"name": told(name), "tasks": [told(task) for task in tasks], "all": name == EVERYTHING}
            | {"category": name not in (EVERYTHING, COMMON)}
            for name, tasks in groups.items()
        ],
        "counts": {
            "lanes": len(frame),
            "failed": int(failed.sum()),
            "unscored": int((frame["score"].isna() & ~failed).sum()),
            "samples": str(samples[0]) if len(samples) == 1 else f"{samples[0]}–{samples[-1]}",
        },
    }


def _beside(frame: pd.DataFrame, points: pd.DataFrame, means: pd.DataFrame) -> Entry:
    """Failures, orders and cost, with the speed and the score that go with them."""
    keys = ["model", "method", "setting"]
    speed = points[[*keys, "task", "tps"]]
    whole = means.loc[means["group"] == EVERYTHING, [*keys, "score", "low", "high"]]
    return {
        "failures": pack(
            failure_kinds(frame), ("model", "method", "setting", "k", "task", "failure", "lanes", "share", "n")
        ),
        "order": pack(order_statistics(frame).merge(speed, on=[*keys, "task"], how="left"), ORDER_COLUMNS),
        "commits": pack(commits_per_step(frame), ("model", "method", "setting", "task", "step", "commits", "lanes")),
        "cost": pack(cost(frame).merge(whole, on=keys, how="left"), COST_COLUMNS),
    }


def _points(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row for each (model, method, setting, task)."""
    rows = []
    for entry in entries:
        for point in entry["points"]:
            low, high = point["score_interval"] or (None, None)
            head = {key: entry[key] for key in ("model", "method", "kind")}
            rows.append({**head, "ceiling": None, **point, "low": low, "high": high})
    return pd.DataFrame(rows)


def _with_ceiling(means: pd.DataFrame, points: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The mean curves with the mean ceiling of the group's tasks, where every one of them has one."""
    keys = ["model", "method", "setting"]
    known = points.assign(ceiling=points["ceiling"].astype(float)) if len(points) else points
    parts = []
    for name, tasks in groups.items():
        group = known[known["task"].isin(list(tasks))].groupby(keys)["ceiling"]
        whole = group.mean().where(group.count() == group.size())
        parts.append(whole.rename("ceiling").reset_index().assign(group=name))
    if not parts:
        return means.assign(ceiling=None)
    return means.merge(pd.concat(parts, ignore_index=True), on=[*keys, "group"], how="left")


def contents(
    views: Sequence[Entry],
    *,
    title: str = "Speed and quality of parallel decoding",
    subtitle: str = "",
    methods: Sequence[str] = (),
    runs: Sequence[Entry] = (),
    published: Entry | None = None,
    traces: Entry | None = None,
    notes: Sequence[str] = (),
    tabs: Sequence[str] = (),
) -> Entry:
    """The page's one block of data, from its parts.

    Args:
        views: One `profile_view` for each profile.
        title: The page's heading.
        subtitle: Below it.
        methods: Names of all methods on the page, for their looks.
        runs: The runs, with their settings and signatures.
        published: What `overlay.published_view` gives.
        traces: What `traces.trace_view` gives.
        notes: What is missing, in sentences.
        tabs: Names of the tabs to show; all of them unless given.
    """
    return {
        "version": __version__,
        "title": told(title),
        "subtitle": told(subtitle),
        "styles": {told(name): _look(name) for name in methods},
        "hues": list(HUES),
        "profiles": list(views),
        "published": published or {"models": [], "board": [], "points": None},
        "runs": list(runs),
        "traces": traces or {"lanes": [], "samples": {}, "why": "No trace was put into this page."},
        "notes": [told(note) for note in notes],
        "tabs": list(tabs),
    }


def _look(method: str) -> dict[str, str]:
    """A method's look in the words of SVG."""
    look = style(method)
    return {"color": look.color, "mark": look.mark, "dash": " ".join(map(str, look.dash))}
