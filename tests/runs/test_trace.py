"""Traces as data: what the loop did, what the model and the exact marginals said, and the store's own version."""

import json
from pathlib import Path

import pytest

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.scripted import ScriptedDenoiser, random_script
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store, read_frame
from parallelbench.runs.trace import Recorder, trace_sample, trace_stored

METHODS = (
    "confidence:k=4",
    "threshold:tau=0.9",
    "wino:tau=0.5",
    "rcr:steps=8",
    "remdm:steps=8",
    "confidence:k=2,block=8",
)
FIELDS = {
    "schema", "source", "note", "lane", "messages", "special", "texts", "given", "steps", "tokens", "commit_step",
    "revisions", "text", "score", "score_strict", "why", "nfe", "rows", "effective_tokens", "tps", "effective_tps",
    "error",
}  # fmt: skip
STEP = {
    "step", "block", "tokens", "committed", "replaced", "remasked", "candidate", "confidence", "model", "ideal",
    "ideal_confidence", "distance",
}  # fmt: skip


@pytest.fixture(scope="module")
def traces():
    return trace_sample(RunSettings(tasks=("shuffle",), methods=METHODS), 2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    run(RunSettings(tasks=("shuffle",), methods=METHODS, samples=3), path)
    return path


def test_every_documented_field_is_there_and_no_other(traces):
    page = (Path(__file__).parents[2] / "docs" / "trace.md").read_text()
    for trace in traces:
        assert set(trace) == FIELDS and all(set(step) == STEP for step in trace["steps"])
        json.dumps(trace, allow_nan=False)
    assert all(f"`{name}`" in page for name in FIELDS | STEP)


def test_the_steps_lead_to_the_result(traces):
    for trace in traces:
        steps, length = trace["steps"], trace["lane"]["max_tokens"]
        assert len(steps) == trace["nfe"] and steps[-1]["tokens"] == trace["tokens"]
        before = [None] * length
        for number, step in enumerate(steps):
            assert step["step"] == number
            for j in range(length):
                changed = step["tokens"][j] is not None and (before[j] is None or before[j] != step["tokens"][j])
                assert not changed or j in step["committed"]
                assert j not in step["committed"] or step["tokens"][j] is not None
                if before[j] is not None and step["tokens"][j] is None:
                    assert j in step["remasked"]
            before = step["tokens"]
        last = {j: step["step"] for step in steps for j in step["committed"]}
        assert [last[j] for j in range(length)] == trace["commit_step"]


def test_the_models_view_is_the_exact_one_where_the_model_is_exact(traces):
    for trace in traces:
        first = trace["steps"][0]
        assert first["ideal"][0][0][1] == 1 and trace["texts"][str(first["ideal"][0][0][0])] == '["'
        for step in trace["steps"]:
            for j, sure in enumerate(step["confidence"]):
                if sure is not None and step["ideal_confidence"][j] is not None:
                    assert sure == pytest.approx(step["ideal_confidence"][j], abs=2e-3), "noise of 1e-3 in the logits"
                for best in (step["model"][j], step["ideal"][j]):
                    shares = [share for _, share in best or ()]
                    assert shares == sorted(shares, reverse=True) and sum(shares) <= 1.001 and len(shares) <= 3
    taken = [r for trace in traces for r in trace["revisions"]]
    assert taken and any(step["remasked"] for trace in traces for step in trace["steps"])


def test_a_trace_is_the_lane_that_a_run_stores(traces, directory):
    stored = read_frame(directory, ["tokens", "text"]).set_index("lane_id")
    for trace in traces:
        row = stored.loc[trace["lane"]["id"]]
        assert (row["tokens"], row["text"], row["nfe"]) == (trace["tokens"], trace["text"], trace["nfe"])
        assert row["score"] == trace["score"]


def test_what_the_store_rebuilds_is_what_happened(traces, directory):
    for trace in traces:
        rebuilt = trace_stored(directory, trace["lane"]["id"], decode_again=False)
        assert rebuilt["source"] == "stored" and set(rebuilt) == FIELDS
        for mine, theirs in zip(trace["steps"], rebuilt["steps"], strict=True):
            assert set(theirs) == STEP and theirs["confidence"] is None
            assert (mine["tokens"], mine["committed"]) == (theirs["tokens"], theirs["committed"])
            both = set(theirs["remasked"]) | set(theirs["replaced"])
            assert set(mine["remasked"]) | set(mine["replaced"]) == both
        again = trace_stored(directory, trace["lane"]["id"][:12])
        assert again["source"] == "decoded" and again["steps"] == trace["steps"] and again["note"] == ""


def test_a_lane_that_comes_out_differently_is_shown_as_stored(directory, tmp_path):
    with Store(directory) as store:
        (lane_id, *_) = store.done()
        row = store.lane(lane_id)
    with Store(tmp_path, create=True) as store:
        first, second = row["tokens"][:2]
        store.add_lane({**row, "tokens": [second, first, *row["tokens"][2:]]})
    trace = trace_stored(tmp_path, lane_id)
    assert trace["source"] == "stored" and "something else now" in trace["note"]
    assert trace["texts"][str(first)] and trace["messages"]


def test_a_lane_whose_model_is_gone_is_shown_as_stored(directory, tmp_path):
    with Store(directory) as store:
        (lane_id, *_) = store.done()
        row = store.lane(lane_id)
    with Store(tmp_path, create=True) as store:
        store.add_lane({**row, "model": "nowhere/at-all"})
        store.add_lane({**row, "lane_id": "ff", "tokens": None, "commit_step": None, "nfe": None, "error": "boom"})
    trace = trace_stored(tmp_path, lane_id)
    assert trace["source"] == "stored" and "cannot be decoded again" in trace["note"] and trace["steps"]
    assert trace_stored(tmp_path, "ff", decode_again=False)["steps"] == []


def test_no_marginals_where_answers_cannot_be_listed():
    recorder = Recorder(12)
    method = parse_method("confidence:k=4")
    lanes = [Lane("x", (1,), 8, method)]
    (result,) = decode(
        ScriptedDenoiser(random_script(0, 12, 64), 12), lanes, watch=recorder.watch, inspect=recorder.inspect
    )
    assert [step["ideal"] for step in recorder.steps] == [None, None]
    assert [step["distance"] for step in recorder.steps] == [None, None]
    assert tuple(recorder.steps[-1]["tokens"]) == result.tokens
    assert [len(step["committed"]) for step in recorder.steps] == [4, 4]


def test_looking_on_changes_nothing():
    model, seen = ScriptedDenoiser(random_script(3, 12, 64), 12), []
    lanes = [Lane(str(n), (1,), 16, parse_method(m)) for n, m in enumerate(("confidence:k=2", "threshold:tau=0.3"))]
    plain = sorted(decode(model, lanes), key=lambda t: t.lane.id)
    watched = sorted(
        decode(model, lanes, inspect=lambda some, proposal: seen.append(len(some))), key=lambda t: t.lane.id
    )
    assert [(t.tokens, t.commit_step) for t in plain] == [(t.tokens, t.commit_step) for t in watched]
    assert sum(seen) == sum(t.nfe for t in plain)


def test_what_cannot_be_traced_is_told():
    with pytest.raises(UsageError, match="name one task"):
        trace_sample(RunSettings(tasks=("copy", "sort"), methods=("confidence:k=4",)), 0)
    with pytest.raises(UsageError, match="A trace is of one model, got 2"):
        trace_sample(RunSettings(models=("ideal", "ideal:noise=0"), tasks=("copy",), methods=("confidence:k=4",)), 0)
    with pytest.raises(UsageError, match="k=5 does not divide"):
        trace_sample(RunSettings(tasks=("copy",), methods=("confidence:k=5",)), 0)
    (one,) = trace_sample(RunSettings(tasks=("copy",), methods=("rcr",)), 0)
    assert one["lane"]["setting"] == "rcr", "a bare name is the method with its defaults, not its sweep"
