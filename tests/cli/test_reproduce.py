import csv
import dataclasses
import importlib.util
import json

import pytest

from parallelbench.cli.reproduce_plans import EXPERIMENTS
from parallelbench.decoding import parse_method
from parallelbench.tasks import expand_tasks

if importlib.util.find_spec("altair") is None or importlib.util.find_spec("vl_convert") is None:
    pytest.skip("altair or vl-convert is missing: pip install 'parallelbench[figures]'", allow_module_level=True)


def test_an_experiment_leaves_a_table_and_a_figure(pb, tmp_path):
    done = pb("reproduce", "table7", "--model", "ideal", "--samples", 2, "--json")
    assert done.code == 0, done.raw_err
    told = json.loads(done.out)
    assert [(row["series"], row["x"]) for row in told["rows"]] == [
        (f"ideal, confidence:k={k}", task) for k in (1, 2) for task in ("latin_square", "sudoku")
    ]
    assert "models:ideal@" in told["signature"]
    folder = tmp_path / "runs/reproduce/table7"
    with (folder / "table7.csv").open() as stream:
        assert [row["y"] for row in csv.DictReader(stream)] == [str(row["y"]) for row in told["rows"]]
    assert (folder / "table7.png").stat().st_size > 1000 and "<svg" in (folder / "table7.svg").read_text()
    again = pb("reproduce", "table7", "--model", "ideal", "--samples", 2)
    assert "The paper: Sudoku can be filled in parallel" in again.err
    head, rule, first, *_ = again.out.splitlines()
    assert head == "| score, percent | ideal, confidence:k=1 | ideal, confidence:k=2 |"
    assert rule == "| --- | --- | --- |" and first.startswith("| latin_square | 100 (")


@pytest.mark.parametrize("name", ["fig8", "fig13", "fig20"])
def test_learned_models_reproduce_by_default_what_the_ideal_one_cannot(pb, monkeypatch, name):
    short = dataclasses.replace(EXPERIMENTS[name], tasks=("waiting_line/reverse@n=3",), samples=1)
    monkeypatch.setitem(EXPERIMENTS, name, short)
    done = pb("reproduce", name, "--json")
    assert done.code == 0, done.raw_err
    told = json.loads(done.out)
    assert {row["series"].partition(",")[0] for row in told["rows"]} >= {"reverse" if name == "fig8" else "tiny"}
    assert {row["n"] for row in told["rows"]} == {1}


def test_a_map_names_its_dots(pb, monkeypatch, tmp_path):
    methods = ("confidence:k=1", "confidence:k=4", "confidence:k=2,block=8", "confidence:k=2,block=32")
    tasks = ("waiting_line/copy@n=3", "waiting_line/shuffle@n=3")
    monkeypatch.setitem(EXPERIMENTS, "fig6", dataclasses.replace(EXPERIMENTS["fig6"], tasks=tasks, methods=methods))
    done = pb("reproduce", "fig6", "--model", "ideal", "--samples", 4)
    assert done.code == 0, done.raw_err
    drawn = (tmp_path / "runs/reproduce/fig6/fig6.svg").read_text()
    assert all(name in drawn for name in (">copy<", ">shuffle<", ">parallelizability<"))
    assert "| ideal | copy | 2.5 | 0 |" in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fig33",), "Unknown experiment 'fig33'. Did you mean 'fig3'?"),
        (("fig13", "--model", "ideal"), "prefix_cache"),
        (("fig8", "--model", "tinny"), "Did you mean 'tiny'?"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(refused, words, told):
    assert told in refused("reproduce", *words)


@pytest.mark.parametrize("plan", EXPERIMENTS.values(), ids=lambda plan: plan.name)
def test_every_plan_can_be_decoded(plan):
    for length in {task.max_tokens for task in expand_tasks(plan.tasks)}:
        for setting in plan.methods:
            parse_method(setting).check_length(length)
