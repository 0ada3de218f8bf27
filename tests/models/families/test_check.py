"""`pb models check` and `pb conformance model` as a user meets them."""

import json
import sys
from unittest import mock

import pytest
from reference import CONFIGS, MASK, checkpoint, golden

from parallelbench.cli.main import run_app


def pb(capsys, *arguments):
    """(exit code, parsed JSON, stderr) of a command."""
    with mock.patch.object(sys, "argv", ["pb", *map(str, arguments), "--json"]), pytest.raises(SystemExit) as ended:
        run_app()
    shown = capsys.readouterr()
    return ended.value.code, json.loads(shown.out) if shown.out else None, shown.err


@pytest.mark.parametrize("family", CONFIGS)
def test_a_good_checkpoint_is_ready(tmp_path, capsys, family):
    checkpoint(tmp_path, family)
    code, report, _ = pb(capsys, "models", "check", f"{tmp_path}:steps=4" if family == "sedd_uniform" else tmp_path)
    assert (code, report["ok"], report["missing"]) == (0, True, [])
    assert report["family"] == family
    assert report["bytes_needed"] == 4 * report["parameters"] <= report["bytes_free"]
    assert report["decode_seconds"] >= 0
    assert isinstance(report["decoded"], str)
    if family in ("llada", "dream", "sdar", "llada_moe", "llada2", "fast_dllm_v2"):
        assert report["special_tokens"]["mask"] == MASK
        blocked = family in ("sdar", "llada2", "fast_dllm_v2")
        assert report["attention"].startswith("block-causal" if blocked else "full")
        assert report["shift"] is (family in ("dream", "fast_dllm_v2"))


def test_what_is_missing_is_told(tmp_path, capsys):
    checkpoint(tmp_path, "dream")
    (tmp_path / "tokenizer.json").unlink()
    code, report, _ = pb(capsys, "models", "check", tmp_path)
    assert (code, report["ok"], report["family"]) == (1, False, "dream")
    assert "holds no tokenizer" in report["missing"][0]
    (tmp_path / "model.safetensors").unlink()
    _, report, _ = pb(capsys, "models", "check", tmp_path)
    assert "holds no weights" in report["missing"][0]


def test_what_is_no_checkpoint_is_bad_usage(tmp_path, capsys):
    code, report, err = pb(capsys, "models", "check", tmp_path / "nothing")
    assert (code, report) == (2, None)
    assert "neither a directory nor a hub id" in err


def test_people_get_the_same_in_words(tmp_path, capsys):
    checkpoint(tmp_path, "llada")
    with mock.patch.object(sys, "argv", ["pb", "models", "check", str(tmp_path)]), pytest.raises(SystemExit):
        run_app()
    shown = capsys.readouterr().out
    assert "LlamaForCausalLM" in shown
    assert "ready to run" in shown


def test_families_are_listed(capsys):
    code, rows, _ = pb(capsys, "models", "families")
    assert code == 0
    assert set(CONFIGS) < {row["name"] for row in rows}


def test_conformance_tells_good_from_bad(tmp_path, capsys):
    config, weights = checkpoint(tmp_path, "dream", tokenizer=False)
    golden(tmp_path, "dream", config, weights)
    code, result, _ = pb(capsys, "conformance", "model", tmp_path)
    assert (code, result["ok"], result["family"]) == (0, True, "dream")
    assert result["max_abs_diff"]["logits"] <= 1e-4
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_theta": 10000.0}))
    code, result, _ = pb(capsys, "conformance", "model", tmp_path)
    assert (code, result["ok"]) == (1, False)
    (tmp_path / "golden.npz").unlink()
    code, _, err = pb(capsys, "conformance", "model", tmp_path)
    assert code == 2
    assert "golden.npz to compare with" in err


def test_a_family_can_be_forced_for_a_run(tmp_path, capsys):
    checkpoint(tmp_path / "m", "dream", architectures=["MyDream"])
    run = ["run", "--model", tmp_path / "m", "--task", "waiting_line/copy@n=2", "--samples", 1, "--grammar", "none"]
    run += ["--method", "confidence:k=32", "--out", tmp_path / "out"]
    code, _, err = pb(capsys, *run)
    assert code == 2
    assert "force one with family=NAME" in err
    code, entries, _ = pb(capsys, *run, "--family", "dream")
    assert code == 0
    assert entries[0]["model"] == f"{tmp_path}/m:family=dream"
