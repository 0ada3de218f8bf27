"""`pb theory table1`: formulas, exact numbers and measured numbers of the case study side by side."""

from collections.abc import Callable, Iterator
from typing import Any

from parallelbench.cli.theory_runs import bench
from parallelbench.decoding import parse_method
from parallelbench.errors import UsageError
from parallelbench.theory.ceiling import partition_accuracy
from parallelbench.theory.closed_forms import TABLE1
from parallelbench.theory.intervals import binomial_interval
from parallelbench.theory.measures import total_correlation
from parallelbench.theory.operations import LARGEST, operation

COLUMNS = ("operation", "quantity", "formula", "exact", "measured", "low", "high", "limit", "agrees")
THRESHOLDS = (0.4, 0.6, 0.95)
LARGEST_LISTED = 7
EDGE = 1e-9


def table_rows(n: int, lanes: int, seed: int, listen: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """The loss C of one step, and greedy accuracies for top-k (k = 1, 2, n) and thresholds.

    `exact` is computed from the answers themselves, `measured` by the loop with the ideal denoiser; both are None
    where there is none (an accuracy of orders of more than 7 items, a loss that is not an accuracy).

    Raises:
        UsageError: n is out of reach.
    """
    if not 2 <= n <= LARGEST:
        raise UsageError(f"n={n} is not allowed; n is a whole number from 2 to {LARGEST}.")
    ready = bench("ideal", dict.fromkeys(TABLE1, [n]))
    cells = [cell for name in TABLE1 for cell in _cells(name, n)]
    rows = []
    for done, cell in enumerate(cells, start=1):
        setting = cell.pop("setting")
        if setting is not None:
            correct = ready.correct(cell["operation"], n, parse_method(setting), lanes, seed)
            cell["measured"] = correct / lanes
            cell["low"], cell["high"] = binomial_interval(correct, lanes)
        rows.append({**cell, "agrees": _agrees(cell)})
        listen(done, len(cells))
    return rows


def _cells(name: str, n: int) -> Iterator[dict[str, Any]]:
    row, answers = TABLE1[name], operation(name, n)
    empty = {"measured": None, "low": None, "high": None, "limit": None}
    yield {
        "operation": name, "quantity": "C(Y|X) bits", "formula": row.correlation(n),
        "exact": total_correlation(answers), **empty, "limit": row.limit, "setting": None,
    }  # fmt: skip
    for k in sorted({1, 2, n}):
        yield {
            "operation": name, "quantity": f"accuracy, k={k}", "formula": row.top_k(n, k),
            "exact": _exact(name, n, k), **empty, "setting": f"confidence:k={k}",
        }  # fmt: skip
    for tau in THRESHOLDS:
        yield {
            "operation": name, "quantity": f"accuracy, tau={tau}", "formula": row.threshold(n, tau), "exact": None,
            **empty, "setting": f"threshold:tau={tau}",
        }  # fmt: skip


def _exact(name: str, n: int, k: int) -> float | None:
    """Greedy accuracy of k positions a step by following every path; which positions does not matter here.

    As long as nothing is replaced all positions are alike, and afterwards all are certain.
    """
    if name == "shuffle" and n > LARGEST_LISTED:
        return None
    steps = [list(range(start, min(start + k, n))) for start in range(0, n, k)]
    return partition_accuracy(operation(name, n), steps, temperature=0.0)


def _agrees(cell: dict[str, Any]) -> bool:
    formula, exact = cell["formula"], cell["exact"]
    near = exact is None or abs(formula - exact) < EDGE * max(1, abs(formula))
    return bool(near and (cell["low"] is None or cell["low"] - EDGE <= formula <= cell["high"] + EDGE))
