"""`pb inspect-dependencies`: a model's attention between masks beside what the answers really tie together."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, stdout
from parallelbench.errors import UsageError

if TYPE_CHECKING:
    from parallelbench.models.base import Denoiser
    from parallelbench.models.ideal import IdealDenoiser
    from parallelbench.tasks.base import Sample, Task


def inspect_dependencies(
    model: Annotated[str, typer.Option(metavar="MODEL", help="Whose attention; see `pb list models`.")],
    task: Annotated[str, typer.Option(metavar="NAME", help="One task; see `pb list tasks`.")],
    sample: Annotated[int, typer.Option(help="Number of the sample, from 0.", **WHOLE)] = 0,
    samples: Annotated[int, typer.Option(help="So many samples from that one on, and their mean.", **WHOLE)] = 1,
    known: Annotated[int, typer.Option(help="So many leftmost tokens of a correct answer are visible.", **WHOLE)] = 0,
    layers: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the layers, the last ones, that count.")
    ] = 0.3,
    bits: Annotated[
        float, typer.Option(metavar="BITS", help="Mutual information above which a pair is an edge.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Seed of the sample.", **WHOLE)] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the figure here, SVG and PNG.")] = None,
    json: Json = False,
) -> None:
    """Compare a model's attention between masked positions with their exact mutual information.

    AUC is the probability that a pair that is tied together gets more attention than one that is not: 1 is perfect,
    0.5 a coin. Order is Spearman's rank correlation of attention and bits among the tied pairs. Beside each stands
    that of mere nearness.

    Example: pb inspect-dependencies --model tiny --task latin_square --sample 3 --out figures
    """
    with faults_told():
        if out is not None:
            from parallelbench.report.figures import require_figures

            require_figures()
        if not 0 < layers <= 1 or bits < 0:
            raise UsageError(f"--layers is a share above 0 up to 1, --bits at least 0; got {layers:g} and {bits:g}.")
        if samples < 1:
            raise UsageError(f"--samples {samples}: expected at least 1.")
        each = _compare(model, task, range(sample, sample + samples), seed, known, layers, bits)
        files = [] if out is None else [file for found in each for file in _draw(found, out)]
        result = each[0] if samples == 1 else _mean(each)
        if json:
            print_json({**result, "files": list(map(str, files))})
        else:
            _show({key: value for key, value in result.items() if key not in ("attention", "information", "each")})
        for file in files:
            note(f"written: {file}")


def _compare(
    model: str, task_name: str, numbers: range, seed: int, known: int, layers: float, bits: float
) -> list[dict[str, Any]]:
    """Of each sample both graphs [m, m] of the m masked positions, and how well the first finds the second's edges."""
    import numpy as np  # these bring torch along, which --help does without

    from parallelbench.decoding.forwards import last
    from parallelbench.models.registry import load_denoiser
    from parallelbench.tasks import load_task
    from parallelbench.theory.dependence import edge_auc, edge_order

    task = load_task(task_name)
    drawn = task.samples(seed, numbers.stop)[numbers.start :]
    denoiser = load_denoiser(model, [(task, sample) for sample in drawn])
    if "attention" not in denoiser.spec.capabilities:
        raise UsageError(f"{denoiser.spec.name} shows no attention; give a transformer checkpoint, tiny or ideal.")
    count = last(layers, denoiser.depth)  # type: ignore[attr-defined]
    each = []
    for sample in drawn:
        ideal = _ideal_of(denoiser, task, sample)
        canvas, masked = _canvas(denoiser, ideal, task, sample, known)
        looks, exact = (_graph(one, canvas, masked, count) for one in (denoiser, ideal))
        place = np.flatnonzero(masked.numpy())
        near = -np.abs(place[:, None] - place[None, :]).astype(np.float64)
        pairs, edges = len(place) * (len(place) - 1) // 2, int((exact > bits).sum()) // 2
        found = {
            "model": denoiser.spec.name, "task": task.name, "sample": sample.id, "known": known, "layers": count,
            "masks": len(place), "pairs": pairs, "edges": edges, "auc": edge_auc(looks, exact > bits),
            "auc_nearness": edge_auc(near, exact > bits), "order": edge_order(looks, exact, exact > bits),
            "order_nearness": edge_order(near, exact, exact > bits), "attention": looks.tolist(),
            "information": exact.tolist(),
        }  # fmt: skip
        each.append(found)
    return each


def _mean(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the samples in which a number is defined, the range of the AUC, how often it beats nearness."""
    told = {key: each[0][key] for key in ("model", "task", "known", "layers", "masks", "pairs")}
    told |= {"samples": len(each), "edges": fmean(found["edges"] for found in each)}
    for key in ("auc", "auc_nearness", "order", "order_nearness"):
        defined = [found[key] for found in each if found[key] is not None]
        told[key] = fmean(defined) if defined else None
    defined = [found for found in each if found["auc"] is not None]
    aucs = [found["auc"] for found in defined]
    told |= {"auc_range": [min(aucs), max(aucs)] if defined else None}
    told |= {"ahead": sum(found["auc"] > found["auc_nearness"] for found in defined)}
    return {**told, "each": each}


def _ideal_of(denoiser: "Denoiser", task: "Task", sample: "Sample") -> "IdealDenoiser":
    """The exact denoiser of the sample in the model's own tokens."""
    from parallelbench.models.ideal import IdealDenoiser, Special

    spec = denoiser.spec
    special = Special(spec.mask_id, spec.eos_id, spec.pad_id)
    name = f"ideal in the tokens of {spec.name}"
    return IdealDenoiser(
        name, denoiser.tokenizer, denoiser.encode, spec.vocab_size, special, [(task, sample)], 0.0
    )  # fmt: skip


def _canvas(denoiser: "Denoiser", ideal: "IdealDenoiser", task: "Task", sample: "Sample", known: int) -> Any:
    """[1, L] prompt, the first tokens of the answer with one token after the other, masks; [G] which are masks."""
    import torch

    from parallelbench.decoding import Lane, decode, parse_method

    prompt = denoiser.encode(sample.messages)
    if known > task.max_tokens:
        raise UsageError(f"--known {known}: {task.name} has {task.max_tokens} tokens.")
    lane = Lane(sample.id, tuple(prompt), task.max_tokens, parse_method("left_to_right"))
    (answer,) = decode(ideal, [lane])
    if answer.error is not None:
        raise UsageError(answer.error)
    region = [*answer.tokens[:known], *[denoiser.spec.mask_id] * (task.max_tokens - known)]
    return torch.tensor([[*prompt, *region]]), torch.arange(task.max_tokens) >= known


def _graph(denoiser: Any, canvas: Any, masked: Any, count: int) -> Any:
    """[m, m] symmetric attention, or bits, between the masked positions."""
    import torch

    rows = torch.zeros_like(canvas, dtype=torch.bool)
    maps = denoiser.attended(canvas, torch.ones_like(rows), rows, count)[1][0].double().cpu()
    start = canvas.shape[1] - len(masked)
    among = maps[start:, start:][masked][:, masked]
    return ((among + among.T) / 2).fill_diagonal_(0.0).numpy()


def _draw(found: dict[str, Any], out: Path) -> list[Path]:
    from parallelbench.report.figures import dependency_figure, save_figure

    out.mkdir(parents=True, exist_ok=True)
    stem = f"dependencies-{found['sample']}".replace("/", "-").replace(".", "-")
    return save_figure(dependency_figure(found), out / stem)


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from parallelbench.report.plain import plain

    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in result.items():
        numbers = value if isinstance(value, list) else [value]
        shown = " to ".join(f"{number:.3f}" if isinstance(number, float) else str(number) for number in numbers)
        table.add_row(key, Text(plain("not defined: all pairs are alike" if value is None else shown)))
    stdout().print(table)
