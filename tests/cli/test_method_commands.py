"""`pb list methods`, `pb conformance decoders`, `pb frequencies` and methods from files, through the door."""

import gzip
import json

import numpy as np
import pytest

from parallelbench.decoding import METHODS, Lane, decode, parse_method, strangers
from parallelbench.models.golden import GoldenStub, Tables

V, G, PROMPT = 8, 8, [1, 2]
PORT = """
from parallelbench.decoding.rules import best_first

def port(proposal, score, memory, steps=1):
    return best_first(proposal, score, proposal.tokens.shape[1] // steps)
"""


@pytest.fixture
def golden(tmp_path):
    """Two cases of our own in the golden files' format: a plain decoder's trace, and the same with a slip."""
    drawn = Tables.drawn(0, V, G + len(PROMPT))
    arrays = {"A": drawn.own, "B": drawn.pair, "C": drawn.code, "bg": drawn.frequency}
    np.savez(tmp_path / "tables.npz", **{f"{name}_0": array.astype(np.float32) for name, array in arrays.items()})
    with np.load(tmp_path / "tables.npz") as loaded:
        model = GoldenStub(Tables.of(dict(loaded), 0), G + len(PROMPT))
    states = []
    lane = Lane("x", tuple(PROMPT), G, parse_method("confidence@pb:steps=4"))
    (result,) = decode(model, [lane], watch=lambda lane, region: states.append(region.tolist()))
    params = {"unmasking": "confidence_topk", "steps": 4, "gen_length": G, "block_length": G}
    case = {
        "id": "own-0", "seed": 0, "method": "pb_generate", "infill": None, "params": params, "prompt": PROMPT,
        "tokens": list(result.tokens), "model_calls": result.nfe, "states": states,
    }  # fmt: skip
    slip = {**case, "id": "own-1", "states": [states[0], states[1][::-1], *states[2:]]}
    for name, cases in {"good": [case], "both": [case, slip]}.items():
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps({"cases": cases}).encode()))
    return tmp_path


def test_a_port_that_agrees_passes(pb, golden):
    done = pb("conformance", "decoders", golden / "good.json.gz", "--tables", golden / "tables.npz", "--json")
    assert done.code == 0 and json.loads(done.out) == {
        "passed": 1, "failed": 0, "skipped": 0,
        "by_method": {"pb_generate": {"passed": 1, "failed": 0, "skipped": 0}}, "failures": [],
    }  # fmt: skip


def test_a_slip_is_shown_with_its_step(pb, golden):
    words = ("conformance", "decoders", golden / "both.json.gz", "--tables", golden / "tables.npz")
    done = pb(*words, "--json")
    found = json.loads(done.out)
    assert done.code == 1 and (found["passed"], found["failed"]) == (1, 1)
    assert found["failures"][0]["id"] == "own-1" and found["failures"][0]["step"] == 1
    assert "pb_generate" in pb(*words).out


def test_a_strangers_port_is_checked_with_the_parameters_of_the_cases(pb, golden):
    (golden / "port.py").write_text(PORT)
    words = ("conformance", "decoders", golden / "good.json.gz", "--tables", golden / "tables.npz", "--method")
    assert pb(*words, f"pb_generate={golden}/port.py:port").code == 0
    assert pb(*words, f"pb_generate={golden}/port.py:port:steps=8").code == 1
    done = pb(*words, "pb_generat")
    assert done.code == 2 and "Did you mean 'pb_generate'" in done.err


def test_a_method_of_a_file_runs_and_resumes_until_its_code_changes(pb, tmp_path):
    (tmp_path / "mine.py").write_text(PORT)
    words = ("run", "--model", "ideal", "--task", "shuffle", "--samples", "2", "--method", "mine.py:port:steps=4")
    assert "2 lanes decoded, 0 were there already" in pb(*words).err
    assert "0 lanes decoded, 2 were there already" in pb(*words).err
    (tmp_path / "mine.py").write_text(PORT.replace("// steps", "// steps + 1"))
    strangers.load.cache_clear()
    assert "2 lanes decoded, 0 were there already" in pb(*words).err


def test_the_list_says_what_a_method_is(pb):
    rows = {row["name"]: row for row in json.loads(pb("list", "methods", "--json").out)}
    assert set(rows) == set(METHODS)
    tau = rows["klass"]["parameters"]["tau"]
    assert (tau["default"], tau["low"], tau["high"], tau["sweep"]) == (0.9, 0.0, 1.0, [0.7, 0.8, 0.9, 0.95])
    assert rows["klass"]["kind"] == "adaptive" and rows["klass"]["source"] == "arXiv 2511.05664"
    assert rows["klass"]["checked"] == "traces" and rows["saber"]["checked"] == "properties"
    assert all(row["settings"] for row in rows.values())
    assert "klass" in pb("list", "methods").out


def test_frequencies_are_counted_with_the_models_tokenizer(pb, tmp_path):
    (tmp_path / "corpus.txt").write_text("Ada, Ada, Ada and Bo")
    done = pb("frequencies", "corpus.txt", "-o", "table.npy", "--json")
    table = np.load(tmp_path / "table.npy")
    assert done.code == 0 and json.loads(done.out)["tokens"] == len(table)
    assert table.max() <= 1 and (table > 0).all() and (table > table.min()).any()
    assert parse_method(f"pc_sampler:k=1,table={tmp_path}/table.npy").requires == frozenset()
    assert "cannot be read" in pb("frequencies", "missing.txt", "-o", "x.npy").err
    assert pb("run", "--method", "pc_sampler:table=corpus.txt", "--out", "new").code == 2
