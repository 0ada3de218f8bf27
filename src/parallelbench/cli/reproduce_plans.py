"""The paper's experiments as runs of ours: what is decoded, and what is drawn of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from parallelbench.analysis import experiments as rows

TOP_K = ("random", "left_to_right", "confidence", "margin", "entropy")
KS = (1, 2, 4, 8, 16, 32)
BLOCKS = (2, 4, 8, 16, 32)
STEPS = (1, 2, 4, 8, 16, 32)
UNIFORM = tuple(f"tiny-uniform:steps={steps}" for steps in STEPS)
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
        models: Models where none are given, those of them that the package holds.
        log_x: Whether x doubles from mark to mark.
        is_map: Whether every mark stands alone, with its name.
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
    is_map: bool = False


TWO = ("confidence:k=1", "confidence:k=2")
"""Two tokens a step, and beside it one, as the autoregressive models of the paper's tables write."""


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
            models=("ideal", "tiny", "tiny-ar"),
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
            samples=30, is_map=True,
        ),
        Experiment(
            "fig7", "What an oracle that picks each sample's threshold would reach",
            "far above every single threshold",
            LISTS, tuple(f"threshold:tau={t}" for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)),
            rows.oracle, ("tokens per step", "mean score, percent"), samples=50,
        ),
        Experiment(
            "fig8", "Trained on the task: index and random operations",
            "after training, index tasks are parallel; random ones still are not",
            (*INDEX, *RANDOM), tuple(f"confidence:k={k}" for k in KS), rows.by_k,
            ("tokens per step", "score, percent"), models=("tiny", *UNIFORM, "tiny-ar"), log_x=True,
        ),
        Experiment(
            "fig13", "What a prefix cache costs (blocks of 8 tokens)", "stale keys and values lower the score",
            LISTS, tuple(f"confidence:k={k},block=8{cache}" for k in (1, 2, 4, 8) for cache in ("", ",cache=prefix")),
            rows.by_cache, ("tokens per step", "score, percent"), samples=25, models=("tiny",), log_x=True,
        ),
        Experiment(
            "fig20", "Absorbing and uniform noise",
            "sets both kinds of noise, fine-tuned task by task, against the number of steps",
            ("waiting_line",), tuple(f"{name}:k={32 // steps}{rest}" for name, rest in
                                     (("random", ",temperature=1"), ("confidence", "")) for steps in STEPS),
            rows.by_steps, ("steps", "score, percent"), samples=50, models=("tiny", *UNIFORM), log_x=True,
        ),
        Experiment(
            "table5", "Waiting line with 15 people: one and two tokens a step",
            "diffusion models fall behind autoregressive ones of their size on random operations",
            tuple(f"waiting_line/{name}@n=15" for name in ("copy", "reverse", "sort", "shuffle", "insert_index",
                  "insert_random", "remove_index", "remove_random", "replace_index", "replace_random")),
            TWO, rows.by_task, ("", "score, percent"), samples=50, models=("ideal",),
        ),
        Experiment(
            "table6", "Text writing: one and two tokens a step", "diffusion models lose grammar in parallel",
            ("text", "words_to_sentence"), TWO, rows.by_task, ("", "score, percent"),
            samples=50, models=("ideal",),
        ),
        Experiment(
            "table7", "Puzzles: one and two tokens a step", "Sudoku can be filled in parallel, a Latin square cannot",
            ("puzzle",), TWO, rows.by_task, ("", "score, percent"), models=("ideal", "tiny", "tiny-ar"),
        ),
    )
}  # fmt: skip
