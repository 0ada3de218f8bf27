"""`pb list`, `pb show` and `pb export-chat`: what there is, before anything runs."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, stdout, write_lines
from parallelbench.errors import UsageError, lookup
from parallelbench.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelbench.decoding.methods import Entry, Parameter
    from parallelbench.tasks.base import Support

SHOWN_ANSWERS = 5
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Take tasks from a folder of published files instead.")]


def list_(
    what: Annotated[str, typer.Argument(help="tasks, methods or models.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """List tasks, methods or models.

    Example: pb list methods
    """
    with faults_told():
        rows = lookup({"tasks": lambda: _tasks(data), "methods": _methods, "models": _models}, what, "list")()
        if json:
            print_json(rows)
            return
        table = Table(box=None, pad_edge=False)
        for column in SUMMARY[what]:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(row[column])) for column in SUMMARY[what]))
        stdout().print(table)


SUMMARY = {
    "tasks": ("name", "version", "max_tokens", "parallel", "samples", "options"),
    "methods": ("name", "kind", "summary", "defaults", "source", "checked"),
    "models": ("name", "summary", "parameters"),
}


def _tasks(data: Path | None) -> list[dict[str, Any]]:
    from parallelbench.tasks import describe, expand_tasks  # takes a while, which the other commands do without

    return [describe(task) for task in expand_tasks(["all"], data)]


def _methods() -> list[dict[str, Any]]:
    from parallelbench.decoding.methods import METHODS  # brings torch along, which --help does without

    return [_describe_method(entry) for entry in METHODS.values()]


def _describe_method(entry: "Entry") -> dict[str, Any]:
    """A row of the table of methods, ready for JSON; the sweep is the one for 32 tokens."""
    from parallelbench.decoding.methods import declared, default_sweep

    sweep = [dict(values) for values in entry.sweep(32)]
    return {
        "name": entry.name,
        "kind": entry.kind,
        "summary": entry.summary,
        "source": entry.source,
        "checked": entry.checked,
        "requires": sorted(entry.requires),
        "defaults": {p.name: p.default for p in entry.parameters},
        "parameters": {
            p.name: {
                "default": p.default,
                "allowed": p.allowed,
                "low": p.low,
                "high": p.high,
                "choices": list(p.choices),
                "meaning": p.doc,
                "sweep": [values[p.name] for values in sweep if p.name in values],
            }
            for p in own_first(entry, declared(entry))
        },
        "sweep": sweep,
        "settings": default_sweep(entry.name, 32),
    }


def own_first(entry: "Entry", known: "Mapping[str, Parameter]") -> "list[Parameter]":
    """The method's own parameters, then those that all methods have."""
    own = {p.name for p in entry.parameters}
    return [*entry.parameters, *(p for name, p in known.items() if name not in own)]


def _models() -> list[dict[str, Any]]:
    from parallelbench.models.registry import MODELS

    return [{"name": m.name, "summary": m.summary, "parameters": dict(m.parameters)} for m in MODELS.values()]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_default(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value))


def _default(item: Any) -> str:
    value = item.get("default") if isinstance(item, dict) else item
    return "-" if value is None else str(value)


def show(
    task: Annotated[str, typer.Argument(help="Task name, e.g. shuffle or waiting_line/shuffle@n=15.")],
    sample: Annotated[int, typer.Option(help="Which sample, from 0.", **WHOLE)] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the samples.", **WHOLE)] = 0,
    split: Annotated[str, typer.Option(metavar="NAME", help="test or train.")] = "test",
    data: Data = None,
    json: Json = False,
) -> None:
    """Show a sample: its prompt and its correct answers.

    Example: pb show shuffle --sample 3
    """
    with faults_told():
        from parallelbench.tasks import load_task
        from parallelbench.tasks.common import SPLITS

        found = load_task(task, data)
        lookup(dict.fromkeys(SPLITS), split, "split")
        available = found.available(split)  # type: ignore[arg-type]
        if sample < 0 or (available is not None and sample >= available):
            count = "any number" if available is None else available
            raise UsageError(f"{found.name}: no sample {sample}; the {split} split has {count}, counted from 0.")
        item = found.samples(seed, sample + 1, split)[sample]  # type: ignore[arg-type]
        support = found.support(item)
        answers = [] if support is None else [text for text, _ in zip_first(support, SHOWN_ANSWERS)]
        if json:
            print_json(
                {
                    "task": found.name, "version": found.version, "sample": item.id, "max_tokens": found.max_tokens,
                    "messages": [dict(message) for message in item.messages], "template": item.template,
                    "answer": item.answer, "answers": None if support is None else len(support), "shown": answers,
                }
            )  # fmt: skip
            return
        console = stdout()
        console.rule(Text(item.id), align="left")
        for message in item.messages:
            console.print(Text(f"{message['role']}:", style="bold"))
            console.print(Text(plain(message["content"], keep="\n")))
        count = "not listed" if support is None else f"{len(support)}"
        console.print(Text(f"correct answers: {count}", style="bold"))
        for answer in answers:
            console.print(Text(plain(answer, keep="\n")), soft_wrap=True)
        if support is not None and len(support) > len(answers):
            console.print(Text(f"... and {len(support) - len(answers)} more"))


def zip_first(support: "Support", count: int) -> list[tuple[str, float]]:
    """The first few answers of a support that may be too large to list."""
    return [answer for answer, _ in zip(support, range(count), strict=False)]


def export_chat(
    task: Annotated[list[str], typer.Argument(help="Tasks or categories.")],
    samples: Annotated[int, typer.Option(help="Samples a task.", **WHOLE)],
    seed: Annotated[int, typer.Option(help="Seed of the samples.", **WHOLE)] = 0,
    split: Annotated[str, typer.Option(metavar="NAME", help="train or test; they never share a sample.")] = "train",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write; default: stdout.")
    ] = None,
) -> None:
    """Write samples with answers as chat JSONL for fine-tuning.

    Example: pb export-chat waiting_line --samples 2000 -o train.jsonl
    """
    with faults_told():
        from parallelbench.tasks import expand_tasks
        from parallelbench.tasks.export import export_chat as chat_records

        records = (
            json_module.dumps(record, ensure_ascii=False)
            for found in expand_tasks(task)
            for record in chat_records(found, seed, samples, split)  # type: ignore[arg-type]
        )
        count = write_lines(records, out)
        note(f"{count} samples written to {out or 'stdout'}")
