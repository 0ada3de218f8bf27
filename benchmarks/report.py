"""How long reading takes: commands over a made-up run directory of many lanes, with their time and memory.

Usage: python benchmarks/report.py [--lanes 200000] [--keep DIR] [--command leaderboard export figures ...]
Each command runs in a process of its own; "memory" is its largest resident set.
"""

import argparse
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parallelbench.runs.store import FILE, Store
from parallelbench.tasks import expand_tasks

METHODS = {
    **{name: ("static", [f"{name}:k={k}" for k in (1, 2, 4, 8, 16, 32)]) for name in
       ("random", "left_to_right", "confidence", "margin", "entropy")},
    **{name: ("adaptive", [f"{name}:tau={tau / 20:g}" for tau in range(10, 21)]) for name in ("threshold", "klass")},
    "wino": ("revising", [f"wino:tau={tau / 20:g}" for tau in range(10, 21)]),
}  # fmt: skip
COMMANDS = {
    "leaderboard": ("leaderboard", "{run}", "--json"),
    "compare": ("compare", "confidence:k=4", "threshold:tau=0.9", "--in", "{run}", "--model", "model-0", "--json"),
    "export": ("export", "{run}", "-o", "{run}/lanes.csv"),
    "figures": ("figures", "{run}", "-o", "{run}/figures"),
    "report": ("report", "{run}", "-o", "{run}/report.html"),
}


def rows(lanes: int):
    """Lanes of as many models as it takes, of all tasks and the sweeps of eight methods; reproducible."""
    draw = random.Random(0)
    tasks = [(task.name, task.max_tokens) for task in expand_tasks(["all"])]
    grid = [(method, kind, setting) for method, (kind, settings) in METHODS.items() for setting in settings]
    for number in range(lanes):
        rest, place = divmod(number, len(grid))
        method, kind, setting = grid[place]
        rest, sample = divmod(rest, 100)
        model, place = divmod(rest, len(tasks))
        task, length = tasks[place]
        k = int(setting.partition("k=")[2] or draw.randint(2, 12))
        order = [step // k for step in range(length)]
        draw.shuffle(order)
        right = draw.random() < 1 / (1 + k / 8)
        yield (
            f"{draw.getrandbits(80):020x}", "r", f"model-{model}", "1", task, 1, f"{task}.1/test/0/{sample}", sample,
            method, setting, kind, 0, "native", "harper-0.2.0", "float32/lowest", length,
            json.dumps([draw.randrange(30_000) for _ in range(length)]), "word " * (length // 2), float(right),
            float(right), "" if right else "'Maria' is missing", '{"copied": 0.0}', -(-length // k), -(-length // k),
            draw.randint(length // 2, length), json.dumps(order), "[[1, 5, 0, 1]]" if kind == "revising" else "[]", 0,
            0.01, None,
        )  # fmt: skip


def make(directory: Path, lanes: int) -> None:
    """Write a run directory."""
    with Store(directory, create=True) as store:
        store.add_run("r", "2026-01-01T00:00:00+00:00", {"tasks": ["all"]}, {"machine": "made up"}, "made up")
    connection = sqlite3.connect(directory / FILE)
    connection.executemany(f"INSERT INTO lanes VALUES ({', '.join('?' * 30)})", rows(lanes))
    connection.commit()
    connection.close()


def measure(words: tuple[str, ...]) -> dict[str, object]:
    """Run a command in a child."""
    code = f"import sys; sys.argv = ['pb', *{words!r}]; from parallelbench.cli.main import run_app; run_app()"
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, told = child.communicate()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "rc": child.returncode, "told": told.decode()[-300:] if child.returncode else ""}


def measured_alone(words: tuple[str, ...]) -> dict[str, object]:
    """`measure` in a fork, so that processor time and memory are this command's alone."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        found = measure(words)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        found["cpu_seconds"] = spent.ru_utime + spent.ru_stime
        found["gigabytes"] = spent.ru_maxrss / 2**20
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        return json.load(stream)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="make the run directory here, or use the one that is here")
    parser.add_argument("--command", nargs="+", choices=COMMANDS, default=["leaderboard", "compare", "export"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = asked.keep or Path(scratch) / "run"
        if not (run / FILE).is_file():
            make(run, asked.lanes)
        found = {name: measured_alone(tuple(word.format(run=run) for word in COMMANDS[name])) for name in asked.command}
        size = (run / FILE).stat().st_size / 2**20
    if asked.json:
        print(json.dumps({"lanes": asked.lanes, "megabytes": size, "commands": found}))
        return
    print(f"{asked.lanes} lanes, {size:.0f} MiB")
    for name, row in found.items():
        print(
            f"{name:12} {row['seconds']:6.1f} s  {row['cpu_seconds']:6.1f} s CPU  {row['gigabytes']:5.2f} GiB"
            f"  {row['told'] or ''}"
        )


if __name__ == "__main__":
    main()
