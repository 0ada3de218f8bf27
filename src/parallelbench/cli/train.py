"""`pb train`: a small model from scratch, or LoRA adapters for a checkpoint, on the tasks' train split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json
from parallelbench.errors import UsageError, lookup

if TYPE_CHECKING:
    from parallelbench.training.loop import Progress

Many = list[str] | None
SCRATCH = "From scratch"
TUNING = "Fine-tuning (with --model)"


Whole = int | None
Batch = Annotated[Whole, typer.Option(help="Samples a step. Default: 64; fine-tuning: 32.", **WHOLE)]
Seed = Annotated[Whole, typer.Option(help="Seed of weights, samples and hiding. Default: 0.", **WHOLE)]
Rate = Annotated[
    float | None, typer.Option(metavar="X", help="Peak learning rate. Default: 0.002; fine-tuning: 0.00001.")
]
Process = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="masked, uniform or causal. Default: masked.", rich_help_panel=SCRATCH),
]
Steps = Annotated[Whole, typer.Option(help="Optimizer steps. Default: 10000.", rich_help_panel=SCRATCH, **WHOLE)]
Weight = Annotated[
    Many,
    typer.Option(
        metavar="TASK=X", help="How often a task is drawn, relative to 1; repeatable.", rich_help_panel=SCRATCH
    ),
]
Width = Annotated[Whole, typer.Option(help="Channels. Default: 128.", rich_help_panel=SCRATCH, **WHOLE)]
Layers = Annotated[Whole, typer.Option(help="Blocks. Default: 4.", rich_help_panel=SCRATCH, **WHOLE)]
Look = Annotated[
    Whole,
    typer.Option(help="Steps between evaluations; 0 for none. Default: 1000.", rich_help_panel=SCRATCH, **WHOLE),
]
Epochs = Annotated[
    Whole, typer.Option(help="Times every sample is seen. Default: 10.", rich_help_panel=TUNING, **WHOLE)
]
Samples = Annotated[Whole, typer.Option(help="Samples a task. Default: 20000.", rich_help_panel=TUNING, **WHOLE)]
Validation = Annotated[
    Whole, typer.Option(help="Held-out samples a task. Default: 5000.", rich_help_panel=TUNING, **WHOLE)
]
Rank = Annotated[
    Whole, typer.Option(help="Rank of the adapters, half their alpha. Default: 128.", rich_help_panel=TUNING, **WHOLE)
]


def train(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model or the adapter goes.")],
    task: Annotated[
        Many, typer.Option(metavar="NAME", help="Task or category; repeatable; see `pb list tasks`.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="tiny (the built-in model's recipe) or paper-lora (the paper's).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="DIR", help="Fine-tune this checkpoint instead of starting from scratch.")
    ] = None,
    batch: Batch = None,
    rate: Rate = None,
    seed: Seed = None,
    process: Process = None,
    steps: Steps = None,
    weight: Weight = None,
    width: Width = None,
    layers: Layers = None,
    look: Look = None,
    epochs: Epochs = None,
    samples: Samples = None,
    validation: Validation = None,
    rank: Rank = None,
    json: Json = False,
) -> None:
    """Train a small model from scratch, or fine-tune a checkpoint with LoRA.

    From scratch, the same command goes on where an interrupted one stopped, bit for bit on one thread.

    Example: pb train --task waiting_line/copy --steps 500 --out models/copy
    """
    with faults_told():
        both = {"tasks": task, "batch": batch, "rate": rate, "seed": seed}
        scratch = {
            "process": process, "steps": steps, "weights": weight, "width": width, "layers": layers, "look": look,
        }  # fmt: skip
        tuning = {"epochs": epochs, "samples": samples, "validation": validation, "rank": rank}
        if model is None and preset != "paper-lora":
            _refuse(tuning, "fine-tuning; give --model DIR")
            told = _from_scratch(out, preset, {**both, **scratch})
        else:
            _refuse(scratch, "training from scratch; leave --model out")
            told = _fine_tune(out, model, preset, {**both, **tuning})
        if json:
            print_json({"out": str(out), **told})


def _refuse(options: dict[str, Any], belong: str) -> None:
    given = [name.removesuffix("s") if name == "weights" else name for name, value in options.items() if value]
    if given:
        raise UsageError(f"--{given[0]} belongs to {belong}.")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if v is not None and v != []}


def _from_scratch(out: Path, preset: str | None, options: dict[str, Any]) -> dict[str, Any]:
    from parallelbench.training.loop import Habits
    from parallelbench.training.loop import train as carry_out

    look = options.pop("look")
    settings = resolve(preset, options)
    last: list[Progress] = []

    def tell(progress: "Progress") -> None:
        last[:] = [progress]
        note(news(progress))

    training = carry_out(settings, out, Habits() if look is None else Habits(look=look), tell)
    if not last:
        note(f"{out} has its {training.step} steps already.")
    note(f"model: {out}  (try: pb run --model {out} --task {settings.tasks[0]} --method confidence)")
    return {"step": training.step, **({} if not last else summary(last[0]))}


def resolve(preset: str | None, options: dict[str, Any]) -> Any:
    """The preset with every given value put over it.

    Raises:
        UsageError: an unknown preset, no task, or a value that no training can have.
    """
    from parallelbench.training.presets import PRESETS
    from parallelbench.training.settings import TrainSettings

    chosen = dict(lookup(PRESETS, preset, "preset")) if preset else {}
    changes = _given(options)
    if "tasks" in changes:
        chosen.pop("weights", None)
    weights = {**chosen.get("weights", {}), **weights_of(changes.pop("weights", ()))}
    merged = {**chosen, **changes, "weights": weights}
    if "tasks" not in merged:
        raise UsageError("Give the tasks to train on, e.g. --task waiting_line, or --preset tiny.")
    return TrainSettings(**merged)


def weights_of(texts: tuple[str, ...]) -> dict[str, float]:
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


def _fine_tune(out: Path, model: str | None, preset: str | None, options: dict[str, Any]) -> dict[str, Any]:
    from parallelbench.training.lora import Epoch, LoraSettings, fine_tune

    if preset is not None:
        lookup({"paper-lora": None}, preset, "preset for fine-tuning")
    if model is None:
        raise UsageError("The preset paper-lora fine-tunes a checkpoint; name it with --model DIR.")
    given = _given(options)
    if "tasks" not in given:
        raise UsageError("Give the tasks to fine-tune on, e.g. --task waiting_line/shuffle.")
    if "rank" in given:
        given["alpha"] = 2 * given["rank"]
    settings = LoraSettings(model, **given)
    told: list[Epoch] = []

    def tell(epoch: Epoch) -> None:
        told.append(epoch)
        held_out = "" if epoch.validation is None else f", on held-out samples {epoch.validation:.3f}"
        note(f"epoch {epoch.number} of {epoch.epochs} ({epoch.step} steps): loss {epoch.loss:.3f}{held_out}")

    fine_tune(settings, out, tell)
    note(f"adapter: {out}  (try: pb run --model {model} --adapter {out} --task {settings.tasks[0]})")
    return {
        "step": told[-1].step, "loss": [epoch.loss for epoch in told],
        "validation": [epoch.validation for epoch in told],
    }  # fmt: skip


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
