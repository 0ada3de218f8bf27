"""How every command speaks: results on stdout, everything else on stderr, errors in one sentence."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from parallelbench.errors import RunError, UsageError
from parallelbench.report.finite import finite
from parallelbench.report.plain import plain

NARROWEST = 100
"""Width of tables where the terminal does not tell its own (a pipe, a log)."""


def whole_number(text: str) -> int:
    """The number an option was given, or a refusal that shows it."""
    try:
        return int(str(text))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a whole number.") from error


WHOLE: dict[str, Any] = {"parser": whole_number, "metavar": "N"}
"""Settings of options that take a whole number."""
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]


def stdout() -> Console:
    """The console for results."""
    return _console(sys.stdout.isatty(), stderr=False)


def stderr() -> Console:
    """The console for progress and remarks."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(is_terminal: bool, stderr: bool) -> Console:
    return Console(stderr=stderr, width=None if is_terminal else NARROWEST, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout; numbers that JSON lacks become null."""
    sys.stdout.write(json.dumps(finite(value), indent=2, default=str) + "\n")


def note(text: str) -> None:
    """A remark on stderr, harmless whatever it quotes."""
    sys.stderr.write(plain(text, keep="\n") + "\n")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show (done, total, remark) on stderr: a bar on a terminal, a line every few seconds elsewhere."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=stderr()) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total, remark: bar.update(
                task, completed=done, total=total, description=f"{what} {remark}"
            )
        return
    began = last = time.monotonic()

    def line(done: int, total: int, remark: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 10 or done == total:
            last = now
            note(f"{what} {remark}: {done} of {total} ({now - began:.0f} s)")

    yield line


@contextmanager
def faults_told() -> Iterator[None]:
    """Turn the package's own errors into one sentence on stderr and an exit code: 2 for bad usage, else 1."""
    try:
        yield
    except UsageError as error:
        note(f"Error: {error}")
        raise typer.Exit(2) from error
    except RunError as error:
        note(f"Error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        note("Interrupted. What was finished is stored; the same command goes on from there.")
        raise typer.Exit(1) from error


def write_text(file: Path, text: str) -> None:
    """Write a whole file.

    Raises:
        RunError: it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"Cannot write {file}: {error.strerror}.") from error


def write_lines(lines: Iterator[str], output: Path | None) -> int:
    """Write lines to a file, or to stdout when `output` is None; returns how many."""
    count = 0
    try:
        stream = sys.stdout if output is None else output.open("w", encoding="utf-8")
    except OSError as error:
        raise RunError(f"Cannot write {output}: {error.strerror}.") from error
    try:
        for count, line in enumerate(lines, start=1):  # noqa: B007
            stream.write(line + "\n")
    finally:
        if output is not None:
            stream.close()
    return count
