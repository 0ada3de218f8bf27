import json
import re

import pytest

from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store
from shared import shared

PBS = [f"PB{x}" for x in (90, 80, 75, 70, 60)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    asked = {"tasks": ("copy", "shuffle"), "methods": ("confidence:k=1", "confidence:k=32", "threshold:tau=0.9")}
    run(RunSettings(**asked, samples=2, grammar="none"), path)
    return path


def test_json_lists_every_method_with_its_points(pb, directory):
    done = pb("leaderboard", directory, "--json")
    entries = json.loads(done.out)
    assert done.code == 0 and done.raw_err == ""
    assert [(entry["model"], entry["method"]) for entry in entries] == [("ideal", "confidence"), ("ideal", "threshold")]
    for entry in entries:
        assert set(PBS) <= set(entry) and len(entry["points"]) in (2, 4)
    assert entries[0]["PB90"] == entries[0]["PB60"] == 1, "k=32 is right on copy only: 50 percent"


def test_no_bootstrap_leaves_intervals_out(pb, directory):
    (first, _) = json.loads(pb("leaderboard", directory, "--json", "--bootstrap", "0").out)
    assert first["intervals"] == {}
    (first, _) = json.loads(pb("leaderboard", directory, "--json", "--bootstrap", "20").out)
    assert set(first["intervals"]) == set(PBS)


def test_scores_by_task_are_shown_on_request(pb, directory):
    done = pb("leaderboard", directory, "--scores", "confidence")
    assert done.code == 0 and "waiting_line/shuffle" in done.out and "k=32" in done.out
    assert "waiting_line/shuffle" not in pb("leaderboard", directory).out


def test_speed_can_be_counted_in_rows(pb, refused, tmp_path):
    asked = {"tasks": ("copy", "shuffle"), "methods": ("freedave:d=8",), "samples": 2, "grammar": "none"}
    run(RunSettings(**asked), tmp_path / "rows")
    ((forwards,), (rows,)) = (
        json.loads(pb("leaderboard", tmp_path / "rows", "--against", cost, "--json").out) for cost in ("nfe", "rows")
    )
    (point,) = rows["curve"]
    assert point == {**forwards["curve"][0], **{key: point[key] for key in ("tps", "effective_tps", "harmonic_tps")}}
    assert point["rows"] > point["nfe"] and 0 < rows["PB80"] <= 1 < forwards["PB80"]
    assert "tokens per row" in pb("leaderboard", tmp_path / "rows", "--against", "rows").out
    assert "Unknown cost 'row'" in refused("leaderboard", tmp_path / "rows", "--against", "row")
    shown = pb("leaderboard", tmp_path / "rows", "--against", "rows", "--scores", "freedave").out
    lines = {cells[0]: cells[-1] for cells in (re.split(" {2,}", line.strip()) for line in shown.splitlines())}
    assert float(lines["rows a sample"]) > float(lines["forwards a sample"]) and float(lines["tokens per row"]) <= 1
    alone = pb("leaderboard", tmp_path / "rows", "--scores", "freedave").out
    assert "tokens per step" in alone and "tokens per row" not in alone


def test_directories_are_merged_and_a_lane_counts_once(pb, directory):
    once, twice = (json.loads(pb("leaderboard", *[directory] * n, "--json").out) for n in (1, 2))
    assert once == twice


def test_models_are_compared_on_the_tasks_that_all_have(pb, refused, tmp_path):
    asked = {"methods": ("confidence:k=4",), "samples": 2, "grammar": "none"}
    for model, tasks in {"ideal": ("copy", "shuffle"), "tiny": ("copy", "sort")}.items():
        run(RunSettings((model,), tasks, **asked), tmp_path / model)
    both = (tmp_path / "ideal", tmp_path / "tiny")
    run(RunSettings(("ideal",), ("sort", "reverse"), **asked), both[0])
    ideal, tiny = json.loads(pb("leaderboard", *both, "--common", "--json").out)
    tasks = ["waiting_line/copy", "waiting_line/sort"]
    assert [point["task"] for point in ideal["points"]] == tasks and ideal["tasks"] == tiny["tasks"] == 2
    alone = json.loads(pb("leaderboard", both[1], "--json").out)
    assert [tiny] == alone, "leaving out other models' tasks changes nothing of its own"
    told = " ".join(pb("leaderboard", *both).out.split())
    assert "(ideal 4, tiny 2): pb leaderboard --common ranks on those that all have." in told
    assert "--common" not in pb("leaderboard", *both, "--common").out + pb("leaderboard", both[1]).out
    run(RunSettings(("tiny",), ("reverse",), **asked), tmp_path / "other")
    run(RunSettings(("ideal",), ("shuffle",), **asked), tmp_path / "shuffle")
    assert "No task has lanes of every model (ideal, tiny)" in refused(
        "leaderboard", tmp_path / "other", tmp_path / "shuffle", "--common"
    )
    assert "--common and --against need run directories" in refused("leaderboard", "--curves", tmp_path, "--common")


def test_ceilings_stand_beside_models_that_have_none(pb, tmp_path):
    """An autoregressive model in the table costs the others nothing."""
    run(RunSettings(("tiny", "tiny-ar"), ("copy",), ("confidence:k=32",), samples=2, grammar="none"), tmp_path)
    done = pb("leaderboard", tmp_path, "--ceiling", "--json")
    assert done.code == 0
    assert "No ceilings for tiny-ar: 'tiny-ar' decodes by itself" in done.err and "for tiny:" not in done.err
    found = {entry["model"]: [point["ceiling"] for point in entry["points"]] for entry in json.loads(done.out)}
    assert found == {"tiny": [100.0], "tiny-ar": [None]}
    assert pb("report", tmp_path, "--bootstrap", "0").err.count("No ceilings for tiny-ar") == 1


def test_profiles_are_told_apart(pb, refused, directory, tmp_path):
    other = tmp_path / "pb2025"
    run(RunSettings(tasks=("copy",), methods=("confidence:k=1",), samples=1, profile="pb2025", grammar="none"), other)
    assert "mix profile values 'native', 'pb2025'" in refused("leaderboard", directory, other)
    done = pb("leaderboard", directory, other, "--profile", "pb2025", "--json")
    assert [entry["profile"] for entry in json.loads(done.out)] == ["pb2025"]
    assert "Unknown profile 'pb25'" in refused("leaderboard", directory, "--profile", "pb25")


def test_nothing_to_rank_is_told(refused, directory, tmp_path):
    Store(tmp_path / "empty", create=True).close()
    assert f"No lanes yet in {tmp_path / 'empty'}; `pb run` makes them." in refused("leaderboard", tmp_path / "empty")
    assert "No lanes of profile pb2025 yet" in refused("leaderboard", directory, "--profile", "pb2025")
    assert "missing is no run directory: it holds no lanes.sqlite." in refused("leaderboard", "missing", "--json")
    assert "Give either run directories or --curves DIR" in refused("leaderboard")
    assert "Give either run directories or --curves DIR" in refused("leaderboard", directory, "--curves", directory)
    assert "Unknown method 'confidense'. Did you mean 'confidence'?" in refused(
        "leaderboard", directory, "--scores", "confidense"
    )
    assert "bootstrap=-1" in refused("leaderboard", directory, "--bootstrap", "-1")


def test_curves_that_are_not_there_are_told(refused, tmp_path):
    assert "'nowhere' is not a folder" in refused("leaderboard", "--curves", "nowhere", "--json")
    assert "holds no published curves" in refused("leaderboard", "--curves", tmp_path)


def test_curves_give_a_table_too(pb, refused, tmp_path):
    (tmp_path / "klass.csv").write_text("task,tps,accuracy\navg,1.0,95\navg,2.0,75\n")
    done = pb("leaderboard", "--curves", tmp_path)
    assert done.code == 0 and "klass" in done.out and "1.75" in done.out
    assert "--scores needs run directories" in refused("leaderboard", "--curves", tmp_path, "--scores", "klass")


@pytest.mark.parametrize("model", ["llada15", "dream"])
def test_published_leaderboards_come_out_of_their_curves(pb, model):
    folder = shared(f"published/{model}")
    found = {entry["method"]: entry for entry in json.loads(pb("leaderboard", "--curves", folder, "--json").out)}
    expected = json.loads((folder / "leaderboard.json").read_text())["results"]
    for method in set(expected) - {"dus"}:  # its published numbers are not those of its curve
        got = {x: found[method][f"PB{x}"] for x in expected[method]}
        assert got == pytest.approx(expected[method], abs=1e-3), method
    assert {"80", "75", "70"} == set(expected["random"]) and len(expected) >= 8
