"""`pb report` and `pb trace --html`: what is written, what is told, what is refused."""

import csv
import json

import pytest

from parallelbench.runs.store import Store
from parallelbench.training.loop import Habits, train
from parallelbench.training.settings import TrainSettings
from report.pages import data_of, hostile_lane, hostile_run, small_run
from shared import shared


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"), tasks=("copy", "shuffle"), samples=2)


def unpacked(table, *columns):
    """Rows of a packed table."""
    columns = [
        [table["levels"][name][code] for code in table["columns"][name]]
        if name in table["levels"]
        else table["columns"][name]
        for name in columns
    ]
    return list(zip(*columns, strict=True))


def test_the_page_holds_the_leaderboards_numbers(pb, directory, tmp_path):
    done = pb("report", directory, "-o", "page.html", "--bootstrap", "20")
    assert done.code == 0 and done.out == "" and "page.html: 0." in done.err
    data = data_of((tmp_path / "page.html").read_text())
    (view,) = data["profiles"]
    entries = json.loads(pb("leaderboard", directory, "--json", "--bootstrap", "20").out)
    assert [row["PB80"] for row in view["board"]] == [entry["PB80"] for entry in entries]
    assert view["board"][0]["intervals"] == entries[0]["intervals"]
    rows = unpacked(view["points"], "task", "setting", "score")
    found = {(task, setting): score for task, setting, score in rows}
    expected = {(p["task"], p["setting"]): p["score"] for entry in entries for p in entry["points"]}
    assert found == pytest.approx(expected, abs=1e-4)


def test_ceilings_closed_forms_and_groups_come_along(pb, directory, tmp_path):
    assert pb("report", directory, "-o", "page.html", "--bootstrap", "0", "--traces", "0").code == 0
    data = data_of((tmp_path / "page.html").read_text())
    (view,) = data["profiles"]
    assert [group["name"] for group in view["groups"]] == ["all tasks", "waiting_line"]
    rows = unpacked(view["means"], "group", "setting", "score", "ceiling")
    fixed = [row for row in rows if row[1].startswith("confidence")]
    assert len(fixed) == 6 and all(ceiling >= score for _, _, score, ceiling in fixed)
    assert {ceiling for _, setting, _, ceiling in rows if setting.startswith("threshold")} == {None}
    assert [found["operation"] for found in view["closed"]] == ["copy", "shuffle"]
    assert view["closed"][1]["series"][0]["points"] == [
        [1, 100.0],
        [2, pytest.approx(100 * 6 / 9)],
        [3, pytest.approx(100 * 6 / 27)],
    ]
    assert data["traces"]["lanes"] == [] and "--traces" in data["traces"]["why"]
    assert pb("report", directory, "-o", "page.html", "--bootstrap", "0", "--ceilings", "none").code == 0
    (view,) = data_of((tmp_path / "page.html").read_text())["profiles"]
    assert {value for (value,) in unpacked(view["points"], "ceiling")} == {None}


def test_published_curves_take_our_names(pb, directory, tmp_path):
    (tmp_path / "llada").mkdir()
    (tmp_path / "llada" / "topk-margin.csv").write_text("task,tps,accuracy\navg,1,85\ntextwriting-w2s_easy,1,80\n")
    done = pb("report", directory, "--curves", "llada", "--bootstrap", "0", "--traces", "0")
    assert done.code == 0
    published = data_of((tmp_path / "report.html").read_text())["published"]
    assert [(row["method"], row["file"], row["PB80"]) for row in published["board"]] == [("margin", "topk-margin", 1.0)]
    assert unpacked(published["points"], "task", "score") == [("avg", 85), ("words_to_sentence/easy", 80)]


def test_the_published_models_are_overlaid_whole(pb, directory, tmp_path):
    folders = [shared("published/dream"), shared("published/llada15")]
    plain = ("--bootstrap", "0", "--traces", "0", "--ceilings", "none")
    assert pb("report", directory, *(word for f in folders for word in ("--curves", f)), *plain).code == 0
    published = data_of((tmp_path / "report.html").read_text())["published"]
    assert published["models"] == ["dream", "llada15"]
    rows = []
    for file in (file for folder in folders for file in sorted(folder.glob("*.csv"))):
        with file.open(newline="") as lines:
            numbers = [(float(row["tps"]), float(row["accuracy"])) for row in csv.DictReader(lines)]
        rows += [(file.parent.name, file.stem, *pair) for pair in numbers]
    found = unpacked(published["points"], "model", "file", "tps", "score")
    assert len(rows) > 1000 and [row[:2] for row in found] == [row[:2] for row in rows]
    for column in (2, 3):
        assert [row[column] for row in found] == pytest.approx([row[column] for row in rows], abs=1e-4)
    tasks = {task for (task,) in unpacked(published["points"], "task")}
    assert {"waiting_line/copy", "puzzle/sudoku", "words_to_sentence/hard", "avg"} <= tasks
    assert {row["method"] for row in published["board"]} >= {"confidence", "threshold", "left_to_right", "wino"}


def test_runs_tell_their_settings_and_what_was_executed(pb, directory, tmp_path):
    pb("report", directory, "-o", "page.html", "--bootstrap", "0", "--traces", "0")
    (run,) = data_of((tmp_path / "page.html").read_text())["runs"]
    assert run["settings"]["samples"] == 2 and run["signature"].startswith("models:ideal@") and run["lanes"] == 28
    assert 0 < run["executed"]["forwards_executed"] <= run["executed"]["forwards_counted"]


def test_json_says_what_was_written(pb, directory, tmp_path):
    told = json.loads(pb("report", directory, "--json", "--bootstrap", "0", "--traces", "0").out)
    assert told["file"] == "report.html" and told["bytes"] == (tmp_path / "report.html").stat().st_size
    assert told["bytes"] < 300_000


def test_an_empty_directory_gives_a_page_that_says_so(pb, tmp_path):
    Store(tmp_path / "empty", create=True).close()
    done = pb("report", "empty")
    assert done.code == 0 and "No lanes yet in empty; `pb run` makes them." in done.err
    data = data_of((tmp_path / "report.html").read_text())
    assert data["profiles"] == [] and data["notes"] == ["No lanes yet in empty; `pb run` makes them."]


def test_traces_of_a_trained_model_show_its_words(pb, tmp_path):
    steps = {"steps": 2, "batch": 2, "width": 16, "layers": 1, "heads": 2, "hidden": 16, "warm": 1}
    train(TrainSettings(("waiting_line/copy@n=2",), **steps), tmp_path / "model", Habits(look=0), lambda told: None)
    model = str(tmp_path / "model")
    small_run(tmp_path / "run", models=(model,), tasks=("copy@n=2",), methods=("confidence:k=16",), samples=1)
    assert pb("report", "run", "--bootstrap", "0").code == 0
    (lane,) = data_of((tmp_path / "report.html").read_text())["traces"]["lanes"]
    shown = [piece for step in lane["steps"] for _, piece, *_ in step["set"]]
    assert shown and not any(piece.startswith("#") for piece in shown)


def test_a_run_of_adaptive_methods_alone_gives_a_page(pb, tmp_path):
    small_run(tmp_path / "run", methods=("threshold:tau=0.5", "threshold:tau=0.9"))
    for ceilings in ("lists", "all", "none"):
        assert pb("report", "run", "--bootstrap", "0", "--ceilings", ceilings).code == 0
        (view,) = data_of((tmp_path / "report.html").read_text())["profiles"]
        assert {method for (method,) in unpacked(view["points"], "method")} == {"threshold"}
        assert {value for (value,) in unpacked(view["points"], "ceiling")} == {None}


def test_a_single_point_is_told(pb, tmp_path):
    small_run(tmp_path / "one", tasks=("copy",), methods=("confidence:k=4",), samples=1)
    done = pb("report", "one")
    assert done.code == 0 and "one setting only of confidence, so a point and no curve" in done.err
    (view,) = data_of((tmp_path / "report.html").read_text())["profiles"]
    assert view["gap"] == [] and unpacked(view["points"], "score") == [(100,)]


def test_failed_and_unscored_lanes_are_told(pb, tmp_path):
    hostile_run(tmp_path / "bad")
    done = pb("report", "bad")
    assert done.code == 0 and "1 of 8 lanes ended in an error" in done.err and "1 of 8 lanes are unscored" in done.err
    (view,) = data_of((tmp_path / "report.html").read_text())["profiles"]
    assert view["counts"] == {"lanes": 8, "failed": 1, "unscored": 1, "samples": "8"}


def test_a_run_in_which_everything_failed_gives_a_page_too(pb, tmp_path):
    nothing = {"tokens": None, "commit_step": None, "revisions": None, "score": None, "score_strict": None, "nfe": 0}
    with Store(tmp_path / "dead", create=True) as store:
        for number in range(2):
            store.add_lane(hostile_lane(number, model="m", method="a", setting="a:k=1", error="boom", **nothing))
    done = pb("report", "dead")
    assert done.code == 0 and "2 of 2 lanes ended in an error (the first: boom)" in done.err
    data = data_of((tmp_path / "report.html").read_text())
    assert data["profiles"][0]["board"][0]["PB80"] is None and data["traces"]["why"] == "No lane has steps."


def test_a_task_without_a_score_is_told(pb, tmp_path):
    with Store(tmp_path / "gap", create=True) as store:
        store.add_lane(hostile_lane(1, model="m", method="a", setting="a:k=1"))
        store.add_lane(hostile_lane(2, model="m", method="a", setting="a:k=2", task="waiting_line/sort", score=None))
    done = pb("report", "gap")
    assert "m: no scored sample of waiting_line/sort; the mean leaves it out" in done.err
    assert "m: not in the mean over tasks, since some task lacks them: a:k=1, a:k=2" in done.err


def test_profiles_stay_apart_and_other_mixtures_are_refused(pb, refused, tmp_path):
    for number, profile in enumerate(("native", "pb2025")):
        with Store(tmp_path / profile, create=True) as store:
            store.add_lane(hostile_lane(number, model="m", method="a", setting="a:k=1", profile=profile))
    assert "native (1 lanes), pb2025 (1 lanes)" in pb("report", "native", "pb2025").err
    assert [v["name"] for v in data_of((tmp_path / "report.html").read_text())["profiles"]] == ["native", "pb2025"]
    with Store(tmp_path / "seed", create=True) as store:
        store.add_lane(
            hostile_lane(9, model="m", method="a", setting="a:k=1", seed=7, grammar=hostile_lane(0)["grammar"])
        )
    assert "mix seed values 0, 7" in refused("report", "native", "seed")


def test_what_cannot_be_is_refused(refused, pb, directory, tmp_path):
    assert "Unknown kind of ceilings 'al'. Did you mean 'all'?" in refused("report", directory, "--ceilings", "al")
    assert "traces=-1" in refused("report", directory, "--traces", "-1")
    assert "bootstrap=-1" in refused("report", directory, "--bootstrap", "-1")
    assert "missing is no run directory" in refused("report", "missing")
    assert "'nowhere' is not a folder" in refused("report", directory, "--curves", "nowhere")
    done = pb("report", directory, "-o", tmp_path / "no" / "page.html", "--bootstrap", "0", "--traces", "0")
    assert done.code == 1 and "Cannot write" in done.err


def test_traces_become_a_page_of_their_own(pb, tmp_path):
    words = ("--task", "copy", "--method", "confidence:k=8", "--method", "threshold:tau=0.9")
    done = pb("trace", *words, "--html", "trace.html")
    assert done.code == 0 and done.out == "" and "trace.html: open it in a browser." in done.err
    data = data_of((tmp_path / "trace.html").read_text())
    assert data["tabs"] == ["traces"] and data["profiles"] == []
    lanes = data["traces"]["lanes"]
    assert [lane["setting"] for lane in lanes] == ["confidence:k=8", "threshold:tau=0.9"]
    assert [len(lane["steps"]) for lane in lanes] == [4, 1]
    assert sorted(place for step in lanes[0]["steps"] for place, _, _ in step["set"]) == list(range(32))
    assert lanes[0]["steps"][0]["beliefs"]["0"]["ideal"] == [['["', 1]] and lanes[0]["steps"][0]["distance"] == 0
