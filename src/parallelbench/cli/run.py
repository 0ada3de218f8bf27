"""`pb run`: decode, score and store, then print the leaderboard."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, progress_bar, stdout
from parallelbench.errors import UsageError, lookup

if TYPE_CHECKING:
    from parallelbench.runs.execute import RunResult
    from parallelbench.runs.plan import RunSettings

Many = list[str] | None
Family = Annotated[
    str | None, typer.Option(metavar="NAME", help="Force the family of checkpoints; see `pb models families`.")
]
Adapter = Annotated[
    Path | None, typer.Option(metavar="DIR", help="LoRA adapter of checkpoints, e.g. from `pb train --model DIR`.")
]
METHOD = (
    "A method's sweep, or one setting such as threshold:tau=0.9; repeatable; see `pb list methods`. Default: the core "
    "methods."
)
GRAMMAR = (
    "Judge of the text tasks: harper, linkgrammar, none, languagetool:url=http://HOST:PORT or :jar=PATH. "
    "Default: harper."
)
BERTSCORE = (
    "Encoder that compares paraphrases with their source: minilm, or a directory or model id with :layer=N. "
    "Default: none."
)


def run(
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="quick (10 samples a task), standard (all) or paper (its block sizes).")
    ] = "standard",
    model: Annotated[
        Many, typer.Option(metavar="NAME", help="Repeatable; see `pb list models`. Default: ideal and tiny.")
    ] = None,
    family: Family = None,
    adapter: Adapter = None,
    task: Annotated[
        Many, typer.Option(metavar="NAME", help="Task or category; repeatable; see `pb list tasks`. Default: all.")
    ] = None,
    method: Annotated[Many, typer.Option(metavar="NAME", help=METHOD)] = None,
    samples: Annotated[int | None, typer.Option(help="Samples a task.", **WHOLE)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of samples and decoding. Default: 0.", **WHOLE)] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run the published files of this folder instead.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Scoring and numerics: native or pb2025. Default: native.")
    ] = None,
    grammar: Annotated[str | None, typer.Option(metavar="NAME", help=GRAMMAR)] = None,
    bertscore: Annotated[str | None, typer.Option(metavar="NAME", help=BERTSCORE)] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where results go. Default: runs/PRESET.")] = None,
    batch_size: Annotated[int, typer.Option(help="Lanes decoded together; changes no result.", **WHOLE)] = 64,
    executor: Annotated[
        str, typer.Option(metavar="NAME", help="local, or ray for a cluster; changes no result.")
    ] = "local",
    json: Json = False,
) -> None:
    """Measure the speed-quality trade-off of models and unmasking methods.

    The same command goes on where an interrupted one stopped.

    Example: pb run --preset quick --task waiting_line --method threshold:tau=0.9
    """
    with faults_told():
        given: dict[str, Any] = {
            "models": told(model, family=family, adapter=adapter), "tasks": task, "methods": method, "samples": samples,
            "seed": seed, "data": data, "profile": profile, "grammar": grammar, "bertscore": bertscore,
        }  # fmt: skip
        carry_out(resolve(preset, given), out or Path("runs") / preset, batch_size, executor, json)


def carry_out(settings: "RunSettings", directory: Path, batch_size: int, executor: str, json: bool) -> None:
    """Run with progress on stderr, print what came out, and exit 1 if a lane failed."""
    from parallelbench.runs.execute import run as execute  # brings torch along, which --help does without

    with progress_bar("decoding") as show:
        result = execute(settings, directory, batch_size, lambda p: show(p.done, p.total, p.model), executor)
    report(result, json)
    if result.failed:
        note(f"{result.failed} lanes ended in an error; the same command tries them again.")
        note(f"The first error: {result.error}")
        raise typer.Exit(1)


def told(models: Many, **parameters: str | Path | None) -> Many:
    """The models, every checkpoint among them told the parameters that were given.

    Raises:
        UsageError: parameters without a checkpoint.
    """
    given = {key: str(value) for key, value in parameters.items() if value is not None}
    if not given:
        return models
    from parallelbench.models.families.load import is_checkpoint, with_parameter

    if not models or not any(map(is_checkpoint, models)):
        raise UsageError(f"--{next(iter(given))} belongs to checkpoints; give one with --model DIR.")
    for key, value in given.items():
        models = [with_parameter(text, key, value) if is_checkpoint(text) else text for text in models]
    return models


def resolve(preset: str, given: dict[str, Any]) -> "RunSettings":
    """The preset with every given value put over it.

    Raises:
        UsageError: an unknown preset, or a value that no run can have.
    """
    from parallelbench.runs.plan import PRESETS, RunSettings

    chosen: dict[str, Any] = dict(lookup(PRESETS, preset, "preset"))
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None and v != []}
    settings = replace(RunSettings(), **{**chosen, **changes})
    return settings if "models" in changes else replace(settings, models=_built_in(settings))


def _built_in(settings: "RunSettings") -> tuple[str, ...]:
    """The models of a run that names none: ideal, and tiny where it knows a task and can do every method."""
    from parallelbench.decoding import parse_method
    from parallelbench.decoding.forwards import missing
    from parallelbench.models.registry import load_denoiser
    from parallelbench.tasks import expand_tasks

    tiny = load_denoiser("tiny").spec
    able = not any(missing(parse_method(text), tiny.capabilities) for text in settings.methods)
    names = {task.name.partition("@")[0] for task in expand_tasks(settings.tasks, settings.data)}
    known = settings.data is None and bool(names & (tiny.tasks or frozenset()))
    return ("ideal", "tiny") if able and known else ("ideal",)


def report(result: "RunResult", json: bool) -> None:
    """Print the leaderboard of the lanes that were asked for, and where the results lie."""
    from parallelbench.analysis.pbx import leaderboard
    from parallelbench.report.tables import leaderboard_table
    from parallelbench.runs.store import read_frame

    frame = read_frame(result.directory)
    entries = leaderboard(frame[frame["lane_id"].isin(result.lanes)])
    if json:
        print_json(entries)
    else:
        stdout().print(leaderboard_table(entries))
    cost = result.cost
    saved = f"{cost.forwards_executed} forwards executed for {cost.forwards_counted} counted"
    if cost.rows_counted != cost.forwards_counted:  # forwards of several canvases
        saved = f"{cost.forwards_executed} canvases executed for {cost.rows_counted} counted"
        saved += f", in {cost.forwards_counted} forwards"
    note(f"{result.decoded} lanes decoded, {result.skipped} were there already; {saved}.")
    note(f"signature: {result.signature}")
    note(f"results: {result.directory}  (again: pb leaderboard {result.directory})")
