"""Golden traces of published decoders: tokens, forwards and every state, and a report that points at a slip."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from parallelbench.decoding import parse_method
from parallelbench.errors import UsageError
from parallelbench.runs.conformance import SETTINGS, Golden, conform_decoders
from shared import shared

SEED = 2
REQUIRED = {
    "pb_generate", "klass_pb", "klass_upstream", "dus_pb", "rcr", "remdm", "dream_block", "dream_full", "pc_sampler",
    "uncode_eb", "uncode_linear_position", "fastdllm_llada", "wino_upstream",
}  # fmt: skip
WAVE = {
    "dawn_llada", "dawn_dream", "localleap_llada", "localleap_dream", "dapd", "adablock", "freedave", "p2", "punt",
    "sglang_low_confidence", "sglang_joint_threshold", "sglang_eb", "adas_topk_derived",
    "diffusion_gemma_eb",
}  # fmt: skip


def read(number):
    torch.set_num_threads(1)
    where = f"golden/decoders{number}"
    found = Golden.read(
        shared(f"{where}/decoders{number}_public.json.gz"), shared(f"{where}/tables{number}_public.npz")
    )
    return replace(found, cases=[case for case in found.cases if case["seed"] == SEED])


@pytest.fixture(scope="module")
def golden():
    return read("")


@pytest.fixture(scope="module")
def second():
    return read("2")


@pytest.mark.parametrize("method", sorted(WAVE))
def test_traces_of_the_second_set_are_reproduced(second, method):
    few = replace(second, cases=[case for case in second.cases if case["method"] == method][::4])
    result = conform_decoders(few)
    assert result["failed"] == result["skipped"] == 0 and result["passed"] == len(few.cases) > 0, result["failures"]


@pytest.mark.parametrize("method", sorted(set(SETTINGS) - WAVE))
def test_published_traces_are_reproduced(golden, method):
    few = replace(golden, cases=[case for case in golden.cases if case["method"] == method][::3])
    result = conform_decoders(few)
    assert result["failed"] == 0 and result["passed"] > 0, result["failures"]
    unchecked = [c for c in few.cases if c.get("tie_dependent") or "eb_sampler_gamma" in c["params"]]
    assert result["skipped"] == len(unchecked)


def test_every_method_the_file_is_about_has_a_setting():
    assert set(SETTINGS) >= REQUIRED | WAVE


def test_a_wrong_port_is_told_where_its_trace_parts(golden):
    cases = [c for c in golden.cases if c["method"] == "pc_sampler" and c["params"]["block_length"] == 32][:3]
    wrong = conform_decoders(replace(golden, cases=cases), "pc_sampler", lambda case: parse_method("confidence:k=1"))
    assert wrong["failed"] == 3 and wrong["by_method"] == {"pc_sampler": {"passed": 0, "failed": 3, "skipped": 0}}
    first = wrong["failures"][0]
    states, step = cases[0]["states"], first["step"]
    assert first["golden"] == states[step] and first["ours"] != states[step]
    assert all(first["ours"][place] != states[step][place] for place in first["positions"])


def test_unknown_methods_and_files_are_refused(golden, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'klass_pb'"):
        conform_decoders(golden, "klas_pb")
    bad = tmp_path / "bad.json.gz"
    bad.write_bytes(gzip.compress(json.dumps({"rows": []}).encode()))
    tables = tmp_path / "tables.npz"
    np.savez(tables, A_0=np.zeros(3))
    with pytest.raises(UsageError, match="not golden decoder traces"):
        Golden.read(bad, tables)
    with pytest.raises(UsageError, match="not golden decoder traces"):
        Golden.read(tmp_path / "missing.json", tables)
