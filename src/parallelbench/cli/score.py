"""`pb score`: judge anybody's answers without running a model."""

import json as json_module
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from parallelbench import __version__
from parallelbench.cli.output import Json, faults_told, note, print_json, progress_bar, stdout, write_lines
from parallelbench.errors import UsageError, lookup
from parallelbench.report.plain import plain

if TYPE_CHECKING:  # scorers take a while to import, which the other commands do without
    from parallelbench.tasks import CountedTask
    from parallelbench.tasks.base import Sample, Score

RESAMPLES = 2000
JUDGE_TOKENS = 512
SHOWN_REASONS = 5
FAILURE = "failure: "
Answer = tuple["Sample", str]


def score(
    task: Annotated[str, typer.Argument(help="Task name, e.g. summarization or words_to_sentence/easy@n=5.")],
    predictions: Annotated[
        Path, typer.Option(help='JSON lines {"prediction": TEXT, "index": N or "id": ID}; none of both: by line.')
    ],
    data: Annotated[Path | None, typer.Option(help="Take the task from a folder of published files.")] = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    profile: Annotated[str, typer.Option(help="Scoring: native or pb2025.")] = "native",
    grammar: Annotated[
        str, typer.Option(help="harper, linkgrammar, none, languagetool:url=http://HOST:PORT or :jar=PATH.")
    ] = "harper",
    bertscore: Annotated[
        str, typer.Option(help="Encoder: none, minilm, or a directory or model id with :layer=N.")
    ] = "none",
    judge: Annotated[
        str, typer.Option(help="Model that rates each answer as an extra; see `pb list models`.")
    ] = "none",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write every judgement there as JSON lines.")] = None,
    json: Json = False,
) -> None:
    """Score answers that somebody else produced; exits 1 if a backend failed on any of them.

    Example: pb score summarization --predictions answers.jsonl --bertscore minilm
    """
    with faults_told():
        from parallelbench.tasks import load_task
        from parallelbench.tasks.base import PROFILES
        from parallelbench.tasks.scoring.batch import score_many
        from parallelbench.tasks.scoring.bertscore import set_bertscore
        from parallelbench.tasks.scoring.grammar import set_grammar
        from parallelbench.tasks.scoring.judge import set_judge

        lookup(dict.fromkeys(PROFILES), profile, "profile")
        found = load_task(task, data)
        answers = read_predictions(predictions, found, split, seed)
        set_grammar(grammar)
        set_bertscore(bertscore)
        set_judge(None if judge == "none" else ask_with(judge), judge)
        scores = []
        with progress_bar("scoring") as show:
            for done, judged in enumerate(score_many(found, answers, profile), start=1):  # type: ignore[arg-type]
                scores.append(judged)
                show(done, len(answers), found.name)
        summary = summarise(found, answers, scores, profile)
        rows = [judgement(*pair) for pair in zip(answers, scores, strict=True)]
        if out is not None:
            write_lines((json_module.dumps(row) for row in rows), out)
        if json:
            print_json({**summary, "samples": rows})
        else:
            show_summary(summary)
        note(f"signature: {summary['signature']}")
        failed = sum(judged.why.startswith("unscored: ") and not judged.parts for judged in scores)
        if failed:
            note(f"{failed} of {len(scores)} texts could not be judged: a backend failed.")
            raise typer.Exit(1)


def read_predictions(path: Path, task: "CountedTask", split: str, seed: int) -> list[Answer]:
    """The answers of a file with the samples they belong to.

    Raises:
        UsageError: the file cannot be read, holds no prediction, or a line is no prediction for a sample.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    rows = [(number, _row(path, number, line)) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise UsageError(f"{path} holds no predictions.")
    places = [row.get("index", at) for at, (_, row) in enumerate(rows) if "id" not in row]
    largest = max((place for place in places if type(place) is int), default=-1)
    available = task.available(split)  # type: ignore[arg-type]
    count = max(largest + 1, task.default_count) if available is None else available
    samples = task.samples(seed, count, split)  # type: ignore[arg-type]
    known: dict[object, Sample] = {**dict(enumerate(samples)), **{sample.id: sample for sample in samples}}
    answers = []
    for at, (number, row) in enumerate(rows):
        place = row.get("id", row.get("index", at))
        if type(place) not in (int, str) or place not in known:
            raise UsageError(f"{path}, line {number}: {task.name} has no sample {place!r:.80} ({count} from 0).")
        answers.append((known[place], row["prediction"]))
    return answers


def _row(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json_module.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}: not JSON ({error}).") from error
    if not isinstance(row, dict) or not isinstance(row.get("prediction"), str):
        raise UsageError(f'{path}, line {number}: expected {{"prediction": TEXT, "index": N}}, got {line!r:.80}.')
    return row


def ask_with(model: str) -> Any:
    """A prompt-to-text function of a generator; an answer of `JUDGE_TOKENS` leaves room to think first.

    Raises:
        UsageError: an unknown model, or one that does not write by itself.
    """
    from parallelbench.models.generators.base import Generator, Request  # models bring torch along
    from parallelbench.models.registry import load_model

    generator = load_model(model)
    if not isinstance(generator, Generator):
        raise UsageError(f"{model!r} cannot judge: it does not write by itself.")

    def ask(prompt: str) -> str:
        request = Request("judge", [{"role": "user", "content": prompt}], JUDGE_TOKENS, 0)
        return next(iter(generator.generate([request], 1))).text

    return ask


def judgement(answer: Answer, judged: "Score") -> dict[str, Any]:
    """One answer's row of the result."""
    sample, text = answer
    return {
        "id": sample.id, "index": sample.index, "prediction": text, "score": judged.lenient,
        "score_strict": judged.strict, "why": judged.why, "parts": dict(judged.parts),
    }  # fmt: skip


def summarise(
    task: "CountedTask", answers: Sequence[Answer], scores: "Sequence[Score]", profile: str
) -> dict[str, Any]:
    """Means in percent with the interval over samples, means of the parts, texts with each kind of failure."""
    from parallelbench.tasks.scoring.bertscore import bertscore_signature
    from parallelbench.tasks.scoring.grammar import grammar_signature
    from parallelbench.tasks.scoring.judge import judge_signature

    known = [(sample.id, s.lenient) for (sample, _), s in zip(answers, scores, strict=True) if s.lenient is not None]
    names = dict.fromkeys(name for s in scores for name in s.parts if not name.startswith(FAILURE))
    versions = {
        "task": f"{task.name}.{task.version}", "n": len(scores), "profile": profile, "grammar": grammar_signature(),
        "bertscore": bertscore_signature(), "judge": judge_signature(), "pb": __version__,
    }  # fmt: skip
    return {
        "task": task.name,
        "n": len(scores),
        "unscored": len(scores) - len(known),
        "score": _percent(s.lenient for s in scores),
        "interval": _interval(known, task.name),
        "score_strict": _percent(s.strict for s in scores),
        "parts": {name: _mean(s.parts.get(name) for s in scores) for name in names},
        "failures": dict(Counter(n.removeprefix(FAILURE) for s in scores for n in s.parts if n.startswith(FAILURE))),
        "why": dict(Counter(s.why for s in scores if s.why).most_common(SHOWN_REASONS)),
        "signature": "|".join(f"{key}:{value}" for key, value in versions.items() if value != "none"),
    }


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _percent(values: Iterator[float | None]) -> float | None:
    mean = _mean(values)
    return None if mean is None else 100 * mean


def _interval(known: Sequence[tuple[str, float]], task: str) -> list[float] | None:
    """95 % bootstrap interval over samples, in percent; several answers to a sample count as their mean."""
    import numpy as np

    from parallelbench.analysis.bootstrap import draw, interval  # brings pandas along, which no other command needs

    by_sample: dict[str, list[float]] = {}
    for name, value in known:
        by_sample.setdefault(name, []).append(value)
    if not by_sample:
        return None
    means = np.array([fmean(values) for values in by_sample.values()])
    return interval(100 * (draw(len(means), RESAMPLES, 0, task) @ means) / len(means))


def show_summary(summary: Mapping[str, Any]) -> None:
    """The summary as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)

    def row(name: str, value: float | None, after: str = "", decimals: int = 1) -> None:
        shown = "–" if value is None else f"{value:.{decimals}f}"
        table.add_row(Text(plain(name)), Text(shown, justify="right"), Text(plain(after), "dim"))

    low, high = summary["interval"] or (float("nan"), float("nan"))
    row("score", summary["score"], f"95 % interval {low:.1f}–{high:.1f}" if summary["interval"] else "")
    row("strict score", summary["score_strict"])
    row("answers", summary["n"], f"{summary['unscored']} unscored", 0)
    for name, value in summary["parts"].items():
        row(name, value, "mean", 3)
    for name, count in summary["failures"].items():
        row(name, count, "answers with this failure", 0)
    for why, count in summary["why"].items():
        row("reason", count, f"{why:.70}", 0)
    stdout().print(table)
