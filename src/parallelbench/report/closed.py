"""Closed forms of the paper's case study, for the tasks that are list operations."""

from typing import Any

from parallelbench.settings import parse_setting
from parallelbench.theory.closed_forms import TABLE1

LENGTHS = (3, 4, 5, 6)
"""Items of a line where the task's name does not say how many."""


def closed_form(task: str) -> dict[str, Any] | None:
    """Accuracy of the ideal model at k items a step on n one-token items, a line for each n; None for other tasks.

    Source: ParallelBench (arXiv 2510.04767), Table 1. Greedy decoding; accuracies in percent.
    """
    name, options = parse_setting(task, "@")
    operation = name.rpartition("/")[2]
    given = options.get("n")
    if not name.startswith("waiting_line/") or operation not in TABLE1:
        return None
    lengths = (given,) if isinstance(given, int) else LENGTHS
    top_k = TABLE1[operation].top_k
    return {
        "task": task,
        "operation": operation.replace("_", " "),
        "series": [
            {"label": f"n = {n}", "points": [[k, 100 * top_k(n, k)] for k in range(1, n + 1)]} for n in lengths if n > 0
        ],
    }
