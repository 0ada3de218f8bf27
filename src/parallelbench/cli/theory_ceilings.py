"""Ceilings of whatever a theory command names, the policies behind them, and ceilings beside measured points."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from parallelbench.cli.theory_subjects import encoder
from parallelbench.errors import UsageError
from parallelbench.settings import parse_setting
from parallelbench.tasks import load_task
from parallelbench.theory.bounds import Answers
from parallelbench.theory.ceiling import Ceiling, OrderCeiling, ceiling_of, check_size
from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.operations import OPERATIONS, operation
from parallelbench.theory.permutations import PermutationDistribution
from parallelbench.theory.reduction import reduce_table
from parallelbench.theory.subjects import LISTED, Encoder, Subject, listed_answers, table_of

if TYPE_CHECKING:
    import pandas as pd

CATEGORIES = ("waiting_line", "puzzle")
"""Tasks that are right exactly when the answer is one of those listed."""
TEMPERATURES = {"t1": 1.0, "greedy": 0.0}
SHOWN_STATES = 12


def ceilings(
    found: Subject, steps: int, listen: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, dict[str, float]]:
    """{"t1": {"1": ...}, "greedy": {...}}: ceilings for T = 1 ... steps, averaged over samples.

    Raises:
        UsageError: a size that is out of reach, with the size that works.
    """
    sums = {kind: np.zeros(steps) for kind in TEMPERATURES}
    _check(found)
    total, done = len(found.parts) * len(TEMPERATURES), 0
    for part, count in found.parts:
        for kind, temperature in TEMPERATURES.items():
            sums[kind] += count * np.array(_solved(part, temperature).values(steps))
            listen(done := done + 1, total)
    return {
        kind: {str(t): float(value) / found.samples for t, value in enumerate(values, start=1)}
        for kind, values in sums.items()
    }


def _solved(part: Answers, temperature: float) -> Ceiling | OrderCeiling:
    return ceiling_of(_as_answers(part), temperature)


def _as_answers(part: Answers) -> TableDistribution | PermutationDistribution:
    return part if isinstance(part, PermutationDistribution) else listed_answers(part)


def _check(found: Subject) -> None:
    """Refuse before any work what would not end, naming the size that would."""
    for part, _ in found.parts:
        answers = _as_answers(part)
        if not isinstance(answers, TableDistribution):
            continue
        try:
            check_size(reduce_table(answers))
        except UsageError as error:
            raise UsageError(f"{found.task}: {error}{_what_works(found)}") from error


def _what_works(found: Subject) -> str:
    if found.n is None or found.task not in OPERATIONS or found.tokens != "items":
        return ""
    for n in range(found.n - 1, 1, -1):
        answers = operation(found.task, n)
        assert isinstance(answers, TableDistribution)
        try:
            check_size(reduce_table(answers))
        except UsageError:
            continue
        return f" n={n} works."
    return ""


def policies(found: Subject, steps: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """For each kind of sampling and each T the states a best policy meets, the likeliest path first.

    Raises:
        UsageError: the task has several kinds of samples, or its answers can't be listed.
    """
    if len(found.parts) != 1:
        raise UsageError(
            f"{found.task} has {len(found.parts)} kinds of samples; ask for the policy of one, with --n or --samples 1."
        )
    table = listed_answers(found.parts[0][0])
    solved = {kind: Ceiling(table, temperature) for kind, temperature in TEMPERATURES.items()}
    return {kind: {str(t): policy_states(table, best, t) for t in range(1, steps + 1)} for kind, best in solved.items()}


def policy_states(table: TableDistribution, best: Ceiling, steps: int) -> list[dict[str, Any]]:
    """What the policy does first, and then along the way of the first answer that fits.

    Each state tells the visible tokens (None where hidden), the steps left, the entropies of the hidden
    positions, what is committed, the value, and the best value for each number of positions.
    """
    states: list[dict[str, Any]] = []
    region = np.full(table.length, HIDDEN, dtype=np.int64)
    for left in range(steps, 0, -1):
        hidden = (region == HIDDEN).nonzero()[0]
        if not len(hidden) or len(states) == SHOWN_STATES:
            break
        commit = best.choose(region, left)
        found = table.conditionals(region, hidden)
        entropy = [float(-(p * np.log2(p)).sum()) for p in (found.probability[found.position == j] for j in hidden)]
        by_size = best.by_size(region, left)
        states.append(
            {
                "left": left, "visible": [None if token == HIDDEN else int(token) for token in region],
                "hidden": hidden.tolist(), "entropy": entropy, "commit": commit.nonzero()[0].tolist(),
                "value": max(by_size.values()), "by_size": {str(size): value for size, value in by_size.items()},
            }
        )  # fmt: skip
        region = np.where(commit, _likeliest(table, region, commit), region)
    return states


def _likeliest(table: TableDistribution, region: Any, commit: Any) -> Any:
    """The answer, out of those that fit, whose committed tokens the marginals favour most."""
    fits = table.rows[((table.rows == region) | (region == HIDDEN)).all(axis=1)]
    found = table.conditionals(region, commit.nonzero()[0])
    chance = {
        (int(j), int(v)): float(p) for j, v, p in zip(found.position, found.token, found.probability, strict=True)
    }
    scores = [np.prod([chance[int(j), int(row[j])] for j in commit.nonzero()[0]]) for row in fits]
    return fits[int(np.argmax(scores))]


def attach_ceilings(entries: Sequence[dict[str, Any]], frame: "pd.DataFrame") -> list[str]:
    """Put the best possible score (percent) beside each measured point, as its "ceiling".

    For every lane of Waiting Line and the puzzles the ceiling of its sample for as many steps as it took, at its
    temperature; the mean over lanes. It bounds decoders that never mask a token again. None for other tasks.

    Returns:
        A sentence for each model without ceilings, since its tokens cannot be told.
    """
    notes: list[str] = []
    best: dict[tuple[str, str, str], list[float]] = {}
    bounded = [task for task in frame["task"].unique() if str(task).split("/")[0] in CATEGORIES]
    done = frame[frame["task"].isin(bounded) & frame["error"].isna()]
    for model, part in done.groupby("model", observed=True):
        try:
            tokens = encoder(None if str(model).split(":")[0] == "ideal" else str(model))
        except UsageError as error:
            notes.append(f"No ceilings for {model}: {error}")
            continue
        for (task, seed), lanes in part.groupby(["task", "seed"], observed=True):
            for setting, value in _lane_ceilings(tokens, str(task), int(str(seed)), lanes):
                best.setdefault((str(model), setting, str(task)), []).append(value)
    for entry in entries:
        for point in entry["points"]:
            values = best.get((entry["model"], point["setting"], point["task"]))
            point["ceiling"] = 100 * float(np.mean(values)) if values else None
    return notes


def _lane_ceilings(tokens: Encoder, task: str, seed: int, lanes: "pd.DataFrame") -> Iterator[tuple[str, float]]:
    """(setting, ceiling) of each lane whose sample the built-in task still has."""
    built = load_task(task)
    drawn = {sample.id: sample for sample in built.samples(seed, int(lanes["sample_index"].max()) + 1)}
    solved: dict[tuple[str, float], Ceiling] = {}
    for lane in lanes.itertuples():
        sample = drawn.get(str(lane.sample))
        support = None if sample is None else built.support(sample)
        if sample is None or support is None or len(support) > LISTED:
            continue
        key = sample.id, float(parse_setting(str(lane.setting))[1].get("temperature", 0.0))
        if key not in solved:
            solved[key] = Ceiling(table_of(support, tokens, built.max_tokens), key[1])
        yield str(lane.setting), solved[key].value(int(str(lane.nfe)))


def ceiling_rows(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean score and mean ceiling of each setting, over the tasks that have one."""
    rows = []
    for entry in entries:
        settings = dict.fromkeys(point["setting"] for point in entry["points"])
        for setting in settings:
            known = [
                point
                for point in entry["points"]
                if point["setting"] == setting and point["ceiling"] is not None and point["score"] is not None
            ]
            if known:
                means = {key: float(np.mean([point[key] for point in known])) for key in ("tps", "score", "ceiling")}
                rows.append({"model": entry["model"], "setting": setting, "tasks": len(known), **means})
    return rows
