"""`pb train`: a small model of one's own, trained from scratch on the tasks' train split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json
from parallelbench.errors import UsageError, lookup

if TYPE_CHECKING:
    from parallelbench.training.loop import Progress

Many = list[str] | None


def train(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Checkpoints and the model; the same command goes on.")],
    task: Annotated[
        Many, typer.Option(metavar="NAME", help="Task or category; repeatable; see `pb list tasks`.")
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="tiny: the recipe of the built-in model.")] = None,
    process: Annotated[
        str | None, typer.Option(metavar="NAME", help="masked, uniform or causal. Default: masked.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps. Default: 10000.", **WHOLE)] = None,
    batch: Annotated[int | None, typer.Option(help="Samples a step. Default: 64.", **WHOLE)] = None,
    rate: Annotated[float | None, typer.Option(metavar="X", help="Peak learning rate. Default: 0.002.")] = None,
    weight: Annotated[
        Many, typer.Option(metavar="TASK=X", help="How often a task is drawn, relative to 1; repeatable.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Channels. Default: 128.", **WHOLE)] = None,
    layers: Annotated[int | None, typer.Option(help="Blocks. Default: 4.", **WHOLE)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, samples and hiding. Default: 0.", **WHOLE)] = None,
    look: Annotated[int, typer.Option(help="Steps between evaluations; 0 for none.", **WHOLE)] = 1000,
    samples: Annotated[int, typer.Option(help="Held-out samples a task of an evaluation.", **WHOLE)] = 16,
    json: Json = False,
) -> None:
    """Train a small model from scratch, to be decoded with `pb run --model DIR`.

    An interrupted training goes on from its last checkpoint, bit for bit on one thread.

    Example: pb train --task waiting_line/copy --steps 500 --out models/copy
    """
    with faults_told():
        given = {
            "tasks": task, "process": process, "steps": steps, "batch": batch, "rate": rate, "width": width,
            "layers": layers, "seed": seed,
        }  # fmt: skip
        from parallelbench.training.loop import Habits
        from parallelbench.training.loop import train as carry_out

        settings = resolve(preset, given, weight)
        last: list[Progress] = []

        def tell(progress: "Progress") -> None:
            last[:] = [progress]
            note(news(progress))

        training = carry_out(settings, out, Habits(look=look, samples=samples), tell)
        if not last:
            note(f"{out} has its {training.step} steps already.")
        note(f"model: {out}  (try: pb run --model {out} --task {settings.tasks[0]} --method confidence)")
        if json:
            print_json({"out": str(out), "step": training.step, **({} if not last else summary(last[0]))})


def resolve(preset: str | None, given: dict[str, Any], weight: Many) -> Any:
    """The preset with every given value put over it.

    Raises:
        UsageError: an unknown preset, no task, or a value that no training can have.
    """
    from parallelbench.training.presets import PRESETS
    from parallelbench.training.settings import TrainSettings

    chosen = dict(lookup(PRESETS, preset, "preset")) if preset else {}
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None and v != []}
    merged = {**chosen, **changes}
    if "tasks" not in merged:
        raise UsageError("Give the tasks to train on, e.g. --task waiting_line, or --preset tiny.")
    if "tasks" in changes:
        merged.pop("weights", None)
    merged["weights"] = {**merged.get("weights", {}), **weights_of(weight or [])}
    return TrainSettings(**merged)


def weights_of(texts: list[str]) -> dict[str, float]:
    """TASK=X options as full task names with numbers.

    Raises:
        UsageError: no such task, or no number.
    """
    from parallelbench.tasks import expand_tasks

    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            raise UsageError(f"--weight {text!r}: expected TASK=NUMBER, e.g. --weight waiting_line/sort=4.") from None
        found |= {task.name: number for task in expand_tasks((name,))}
    return found


def news(progress: "Progress") -> str:
    """One line, or two with an evaluation."""
    each = ", ".join(f"{name.split('/')[-1]} {loss:.2f}" for name, loss in progress.by_task.items())
    line = f"step {progress.step} of {progress.steps} ({progress.seconds:.0f} s): loss {progress.loss:.3f} ({each})"
    if progress.accuracy:
        found = ", ".join(f"{name.split('/')[-1]} {100 * share:.0f}" for name, share in progress.accuracy.items())
        line += f"\n  solved, percent: {found}"
    return line


def summary(progress: "Progress") -> dict[str, Any]:
    """The last news for `--json`."""
    return {
        "loss": progress.loss,
        "loss_by_task": dict(progress.by_task),
        "accuracy": dict(progress.accuracy),
        "seconds": progress.seconds,
    }
