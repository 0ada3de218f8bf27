import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parallelbench.cli.main import app

KILLS = 20


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """(folder of the runs, what the killer reports): see killing.py, which checks every killed run itself."""
    base = tmp_path_factory.mktemp("killed")
    source = str(Path(__file__).resolve().parents[2] / "src")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), str(base), "7", str(KILLS)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.returncode == 0, done.stderr
    return base, json.loads(done.stdout)


def table(directory):
    done = CliRunner().invoke(app, ["leaderboard", str(directory), "--json", "--bootstrap", "50"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_twenty_kills_lose_no_lane_and_change_no_number(killed):
    base, report = killed
    assert len(report["counts"]) == KILLS
    assert table(base / "resumed") == table(base / "whole")
    assert sum(point["n"] for entry in table(base / "resumed") for point in entry["points"]) == report["total"]


def test_the_kills_hit_a_run_that_was_writing(killed):
    _, report = killed
    assert len({count for count in report["counts"] if 0 < count < report["total"]}) >= 8
    assert report["made"] >= KILLS, "stores whose making was interrupted"


def test_ctrl_c_says_what_to_do_and_keeps_the_lanes(killed):
    _, report = killed
    assert report["interrupt"] == {
        "code": 1,
        "said": "Interrupted. What was finished is stored; the same command goes on from there.\n",
        "lanes": report["interrupt"]["lanes"],
    }
    assert 0 < report["interrupt"]["lanes"] < report["total"]
