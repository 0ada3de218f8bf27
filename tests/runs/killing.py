"""Kill `pb run` again and again; a script of its own, since it forks a process that has everything imported.

Usage: killing.py DIRECTORY SEED KILLS; prints what happened as JSON, exits non-zero where a promise is broken.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from typer.testing import CliRunner

from parallelbench.cli.main import app, run_app
from parallelbench.models.registry import word_tokenizer
from parallelbench.runs.store import FILE, Store, read_frame
from parallelbench.tasks.scoring.grammar import set_grammar

SETTINGS = [
    *("--preset", "quick", "--model", "ideal", "--samples", "2", "--grammar", "none", "--batch-size", "4"),
    *(word for task in ("copy", "shuffle", "latin_square", "sudoku") for word in ("--task", task)),
    *(word for name in ("random", "confidence", "threshold", "factor") for word in ("--method", name)),
]
WRITING = 8
"""Kills after which the store must have held different numbers of lanes, or they hit no run that was writing."""


def start(directory: Path, log: Path) -> int:
    """Fork a process that runs `pb run` into a directory; its output goes to `log`."""
    child = os.fork()
    if child:
        return child
    code = 70
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job started with `&` inherits "ignore"
    try:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.argv = ["pb", "run", *SETTINGS, "--out", str(directory)]
        run_app()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end_of(child: int) -> int:
    """Exit code of a child, minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def has_ended(child: int) -> bool:
    """Whether a child has come to its end; it can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def to_the_end(directory: Path, log: Path) -> float:
    """Run without interruption; returns the seconds it took."""
    began = time.perf_counter()
    code = end_of(start(directory, log))
    assert code == 0, f"exit code {code}: {log.read_text()}"
    return time.perf_counter() - began


def lanes_of(directory: Path) -> pd.DataFrame:
    """Everything that was stored but the time it took."""
    return read_frame(directory).drop(columns="seconds").set_index("lane_id").sort_index()


def check_part(directory: Path, whole: pd.DataFrame) -> int:
    """A killed run holds lanes of the whole one, each once and as it must be; returns how many."""
    if not (directory / FILE).exists() or not (directory / FILE).stat().st_size:
        return 0
    copy = directory.with_name("copy")  # looking at the original would tidy its write-ahead log up
    shutil.copytree(directory, copy)
    try:
        part = lanes_of(copy)
    finally:
        shutil.rmtree(copy)
    assert part.index.is_unique
    if len(part):
        pd.testing.assert_frame_equal(part, whole.loc[part.index], check_dtype=False)
    return len(part)


def kill_often(base: Path, rng: random.Random, kills: int, whole: pd.DataFrame, lifetime: float) -> list[int]:
    """Kill and resume one run at random moments of its life; returns the number of lanes after each kill."""
    counts: list[int] = []
    lap, directory = 0, base / "killed"
    while len(counts) < kills:
        child = start(directory, base / "killed.log")
        left = 1 - (counts[-1] if counts else 0) / len(whole)
        time.sleep(rng.uniform(0, 2 * lifetime * left / (kills - len(counts))))  # spread over what is left
        os.kill(child, signal.SIGKILL)
        if end_of(child) == -signal.SIGKILL:
            counts.append(check_part(directory, whole))
            continue
        assert check_part(directory, whole) == len(whole)  # it was done before the blow: begin anew
        lap += 1
        directory = base / f"killed{lap}"
    to_the_end(directory, base / "killed.log")
    directory.rename(base / "resumed")
    return counts


def kill_while_it_writes(base: Path, rng: random.Random, kills: int, whole: pd.DataFrame, lifetime: float) -> list[int]:
    """`kill_often`, anew where the machine has become so slow that few of the kills met a run that was writing."""
    counts: list[int] = []
    for lap in range(3):
        part = base / f"round{lap}"
        part.mkdir()
        counts = kill_often(part, rng, kills, whole, lifetime)
        if len({*counts} - {0, len(whole)}) >= WRITING:
            break
        lifetime = to_the_end(part / "again", part / "again.log")
    (part / "resumed").rename(base / "resumed")
    return counts


def interrupt(base: Path, whole: pd.DataFrame) -> dict[str, object]:
    """Press Ctrl-C in the middle of a run; one that was done before the blow does not count."""
    found: dict[str, object] = {}
    for lap in range(5):
        directory, log = base / f"interrupted{lap}", base / f"interrupted{lap}.log"
        written = directory / f"{FILE}-wal"
        child = start(directory, log)
        while not (written.exists() and written.stat().st_size > 100_000 or has_ended(child)):
            time.sleep(0.01)
        os.kill(child, signal.SIGINT)
        found = {"code": end_of(child), "said": log.read_text(), "lanes": check_part(directory, whole)}
        if found["lanes"] != len(whole):
            break
    return found


def kill_makers(base: Path, rng: random.Random, kills: int) -> int:
    """Kill processes that make new stores; every store must open afterwards. Returns how many there were."""
    for kill in range(kills):
        child = os.fork()
        if not child:
            for number in range(10_000):
                Store(base / f"made{kill}" / str(number), create=True).close()
            os._exit(0)
        time.sleep(rng.uniform(0.005, 0.05))
        os.kill(child, signal.SIGKILL)
        assert end_of(child) == -signal.SIGKILL
    made = [directory for directory in base.glob("made*/*") if directory.is_dir()]
    for directory in made:
        with Store(directory, create=True) as store:
            assert store.frame().empty
    return len(made)


def main(base: Path, seed: int, kills: int) -> None:
    """Everything, into subfolders of `base`."""
    torch.set_num_threads(1)  # a fork must find no threads
    set_grammar("none")
    word_tokenizer()
    warmed = CliRunner().invoke(app, ["run", *SETTINGS, "--out", str(base / "warm")])
    assert warmed.exit_code == 0, repr(warmed.exception)
    rng = random.Random(seed)
    lifetime = to_the_end(base / "whole", base / "whole.log")
    whole = lanes_of(base / "whole")
    report = {
        "total": len(whole),
        "seconds": lifetime,
        "counts": kill_while_it_writes(base, rng, kills, whole, lifetime),
        "interrupt": interrupt(base, whole),
        "made": kill_makers(base, rng, kills),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
