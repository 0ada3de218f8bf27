"""The paper's experiments as runs of ours: what is decoded, and what is drawn of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from parallelbench.analysis import experiments as rows

TOP_K = ("random", "left_to_right", "confidence", "margin", "entropy")
KS = (1, 2, 4, 8, 16, 32)
BLOCKS = (2, 4, 8, 16, 32)
LISTS = ("waiting_line", "puzzle")
INDEX = tuple(f"waiting_line/{name}_index" for name in ("insert", "remove", "replace"))
RANDOM = tuple(f"waiting_line/{name}" for name in ("shuffle", "insert_random", "remove_random", "replace_random"))


@dataclass(frozen=True)
class Experiment:
    """One figure or table of the paper.

    Attributes:
        name: Its name there.
        title: What it shows.
        finding: What the paper finds.
        tasks: Tasks decoded.
        methods: Methods or settings.
        rows: Lanes -> rows of the figure.
        axes: Titles of x and y.
        samples: Samples a task.
        models: Models where none are given.
        log_x: Whether x doubles from mark to mark.
        lines: Whether marks of a series are joined.
    """

    name: str
    title: str
    finding: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    rows: rows.Rows
    axes: tuple[str, str]
    samples: int = 100
    models: tuple[str, ...] = ("ideal", "tiny")
    log_x: bool = False
    lines: bool = True


def _at_two(*methods: str) -> tuple[str, ...]:
    return tuple(f"{method}:k=2" for method in methods)


EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one
    for one in (
        Experiment(
            "fig3", "Score against tokens per step", "every method loses score as it commits more tokens a step",
            LISTS, (*(f"{name}:k={k}" for name in TOP_K for k in KS),
                    *(f"threshold:tau={t}" for t in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0))),
            rows.mean_curves, ("tokens per step", "mean score, percent"), samples=30, log_x=True,
        ),
        Experiment(
            "fig4", "Reverse and shuffle against list length",
            "in parallel, reversing is easy and shuffling hard; one by one, the other way round",
            tuple(f"waiting_line/{name}@n={n}" for name in ("reverse", "shuffle") for n in (3, 4, 5, 6)),
            ("confidence:k=1", "confidence:k=4"), rows.by_length, ("items n", "score, percent"),
        ),
        Experiment(
            "fig5", "Score against block length at two tokens a step",
            "list tasks prefer small blocks, that is, left to right",
            LISTS, tuple(f"confidence:k=2,block={block}" for block in BLOCKS),
            rows.by_block, ("block length", "score, percent"), samples=50, log_x=True,
        ),
        Experiment(
            "fig6", "Map of the tasks",
            "copying and index tasks are parallel; shuffling and Latin squares are not and want left to right",
            LISTS, (*(f"{name}:k={k}" for name in ("confidence", "margin", "entropy") for k in KS),
                    *(f"{name}:k=2,block={b}" for name in ("confidence", "margin", "entropy") for b in BLOCKS)),
            rows.task_map, ("parallelizability", "left-to-right fitness, %/token"),
            samples=30, lines=False,
        ),
        Experiment(
            "fig7", "What an oracle that picks each sample's threshold would reach",
            "far above every single threshold",
            LISTS, tuple(f"threshold:tau={t}" for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)),
            rows.oracle, ("tokens per step", "mean score, percent"), samples=50, log_x=True,
        ),
        Experiment(
            "fig8", "Trained on the task: index and random operations",
            "after training, index tasks are parallel; random ones still are not",
            (*INDEX, *RANDOM), tuple(f"confidence:k={k}" for k in KS), rows.by_k,
            ("tokens per step (k)", "score, percent"), models=("tiny",), log_x=True,
        ),
        Experiment(
            "table5", "Waiting line with 15 people at two tokens a step",
            "diffusion models fall behind autoregressive ones of their size on random operations",
            tuple(f"waiting_line/{name}@n=15" for name in ("copy", "reverse", "sort", "shuffle", "insert_index",
                  "insert_random", "remove_index", "remove_random", "replace_index", "replace_random")),
            _at_two("confidence"), rows.by_task, ("", "score, percent"), samples=5, models=("ideal",), lines=False,
        ),
        Experiment(
            "table6", "Text writing at two tokens a step", "diffusion models lose grammar in parallel",
            ("text", "words_to_sentence"), _at_two("confidence"), rows.by_task, ("", "score, percent"),
            samples=50, models=("ideal",), lines=False,
        ),
        Experiment(
            "table7", "Puzzles at two tokens a step", "Sudoku can be filled in parallel, a Latin square cannot",
            ("puzzle",), _at_two("confidence"), rows.by_task, ("", "score, percent"), lines=False,
        ),
    )
}  # fmt: skip
