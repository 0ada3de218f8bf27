"""The timing scripts run and print what they promise, at sizes too small to time anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = [
    "--layers=1", "--width=16", "--vocabulary=50", "--prompt=5", "--length=8", "--repeat=2", "--samples=1",
    "--task", "waiting_line/shuffle", "--batch", "1", "3", "--setting", "confidence:k=2", "threshold:tau=0.5",
]  # fmt: skip


def run_loop(*more):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("benchmarks/ is not beside tests/ (an installed package has none)")
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "loop.py"), *TINY, *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_loop_benchmark_measures_both_ratios_and_the_sharing():
    found = json.loads(run_loop("--json"))
    rows = found["loop"]
    assert [(row["setting"], row["batch"]) for row in rows] == [
        (setting, batch) for setting in ("confidence:k=2", "threshold:tau=0.5") for batch in (1, 3)
    ]
    assert [row["nfe"] for row in rows[:2]] == [4, 12]  # 8 tokens, 2 a step, for 1 and 3 lanes
    for row in rows:
        assert 0 < row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert 0 < row["speedup_low"] <= row["speedup"] <= row["speedup_high"]
        assert row["same_as_plain"], "the plain loop decodes something else, so its time compares nothing"
    sweep = found["sweep"]
    assert 0 < sweep["executed"] < sweep["counted"]
    assert sweep["executed_share"] == sweep["executed"] / sweep["counted"]


def test_without_json_the_ratios_stand_in_a_table():
    text = run_loop("--samples=0")
    header, *rows = text.splitlines()[1:]
    assert "decode / bare" in header and "plain / decode" in header
    assert [row.split()[:2] for row in rows] == [
        [setting, batch] for setting in ("confidence:k=2", "threshold:tau=0.5") for batch in ("1", "3")
    ]


def test_the_reading_benchmark_times_commands_over_lanes_it_made_up(tmp_path):
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "report.py"), "--lanes", "500", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    more = ["--command", "leaderboard", "compare", "--keep", str(tmp_path / "run")]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lanes"] == 500 and set(found["commands"]) == {"leaderboard", "compare"}
    for row in found["commands"].values():
        assert row["rc"] == 0, row["told"]
        assert row["seconds"] > 0 and 0.05 < row["gigabytes"] < 2 and 0 < row["cpu_seconds"]


def test_the_methods_benchmark_prints_a_row_for_each_method_that_looks_further():
    sizes = ["--layers=2", "--width=16", "--vocabulary=50", "--prompt=5", "--length=8", "--repeat=1", "--batch=2"]
    names = ["threshold", "dawn", "rpd", "freedave", "diffusion_gemma"]
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "methods.py"), *sizes, "--method", *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()[1:]
    assert header.split()[0] == "setting" and [row.partition(":")[0] for row in rows] == names
    assert all(float(row.split()[2]) > 0 and int(row.split()[1]) > 0 for row in rows)
