"""`pb inspect-dependencies`: the graphs, how well one finds the other's edges, and the figure."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "families"))


def test_the_ideal_model_finds_its_own_edges(pb):
    told = json.loads(pb("inspect-dependencies", "--model", "ideal", "--task", "shuffle", "--known", 4, "--json").out)
    assert told["auc"] == told["order"] == 1.0 and 0 < told["auc_nearness"] < 1
    assert told["masks"] == 28 and told["pairs"] == 28 * 27 // 2 and 0 < told["edges"] < told["pairs"]
    assert told["attention"] == told["information"] and len(told["information"]) == 28


def test_several_samples_are_averaged(pb):
    words = ("inspect-dependencies", "--model", "tiny", "--task", "replace_random", "--layers", 0.25, "--json")
    told = json.loads(pb(*words, "--sample", 1, "--samples", 3).out)
    each = [json.loads(pb(*words, "--sample", number).out) for number in (1, 2, 3)]
    assert [{**one, "files": []} for one in told["each"]] == each
    assert told["samples"] == 3 and told["layers"] == 1
    for key in ("auc", "auc_nearness", "order", "order_nearness", "edges"):
        assert told[key] == pytest.approx(sum(one[key] for one in each) / 3)
    assert told["auc_range"] == [min(one["auc"] for one in each), max(one["auc"] for one in each)]
    assert told["ahead"] == sum(one["auc"] > one["auc_nearness"] for one in each) == 3, "it has learned something"
    low, high = told["auc_range"]
    assert f"{low:.3f} to {high:.3f}" in pb(*words[:-1], "--sample", 1, "--samples", 3).out
    shown = pb("inspect-dependencies", "--model", "tiny", "--task", "copy", "--samples", 2)
    assert shown.code == 0 and shown.out.count("not defined") == 5 and "each" not in shown.out


def test_certain_answers_have_no_edges(pb):
    done = pb("inspect-dependencies", "--model", "ideal", "--task", "copy", "--sample", 1)
    assert done.code == 0 and "not defined" in done.out


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="the extra [models] is not installed")
def test_a_checkpoint_shows_its_attention(pb, tmp_path):
    from reference import checkpoint

    checkpoint(tmp_path / "random", "llada")
    words = ("inspect-dependencies", "--model", "random", "--task", "latin_square", "--layers", 1.0)
    told = json.loads(pb(*words, "--json").out)
    assert told["layers"] == 2 and 0 <= told["auc"] <= 1 and told["attention"] != told["information"]


@pytest.mark.skipif(importlib.util.find_spec("altair") is None, reason="the extra [figures] is not installed")
def test_the_figure_is_written_as_svg_and_png(pb):
    words = ("inspect-dependencies", "--model", "ideal", "--task", "shuffle", "--known", 20, "--out", "figures")
    svg, png = (Path(file) for file in json.loads(pb(*words, "--json").out)["files"])
    assert "attention" in svg.read_text() and png.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_refused(pb, refused):
    assert "has 32 tokens" in refused("inspect-dependencies", "--model", "ideal", "--task", "copy", "--known", 33)
    assert "--layers is a share" in refused(
        "inspect-dependencies", "--model", "ideal", "--task", "copy", "--layers", 2
    )  # fmt: skip
    assert "--samples 0: expected at least 1" in refused(
        "inspect-dependencies", "--model", "ideal", "--task", "copy", "--samples", 0
    )  # fmt: skip
    assert "Did you mean" in refused("inspect-dependencies", "--model", "ideal", "--task", "shufle")
