import csv
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
    assert [row["x"] for row in told["rows"]] == ["latin_square", "sudoku"]
    assert "models:ideal@" in told["signature"]
    folder = tmp_path / "runs/reproduce/table7"
    with (folder / "table7.csv").open() as stream:
        assert [row["y"] for row in csv.DictReader(stream)] == [str(row["y"]) for row in told["rows"]]
    assert (folder / "table7.png").stat().st_size > 1000 and "<svg" in (folder / "table7.svg").read_text()
    again = pb("reproduce", "table7", "--model", "ideal", "--samples", 2)
    assert "The paper: Sudoku can be filled in parallel" in again.err and again.out == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fig33",), "Unknown experiment 'fig33'. Did you mean 'fig3'?"),
        (("fig13",), "prefix caches need a checkpoint"),
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
