"""The loop on scripted denoisers: nothing a lane decides depends on its company."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.decoding import CORE_METHODS, Cost, Lane, decode, parse_method
from parallelbench.decoding.lane import PREFILLED
from parallelbench.errors import UsageError
from parallelbench.models.scripted import ScriptedDenoiser, random_script

V, G = 12, 16
SETTINGS = [
    "random:k=2",
    "left_to_right:k=4",
    "confidence:k=1",
    "confidence:k=8,block=8",
    "margin:k=2",
    "entropy:k=4,block=4",
    "threshold:tau=0.5",
    "threshold:tau=0.3,score=margin",
    "factor:f=1.5",
    "factor@pb:f=1.5",
    "confidence:k=2,temperature=0.7",
    "threshold:tau=0.4,temperature=1,block=8",
    "random:k=4,temperature=1",
]
METHOD = {setting: parse_method(setting) for setting in SETTINGS}


def denoiser(seed=0):
    return ScriptedDenoiser(random_script(seed, V, 64), V)


def lanes():
    """Every setting on three prompts of different lengths, one with given tokens."""
    infill = tuple(5 if i % 3 == 0 else V - 1 for i in range(G))
    prompts = {(1, 2, 3): None, (4, 5, 6, 7, 8): None, (2,): infill}
    return [
        Lane(f"{setting}/{prompt}", prompt, G, METHOD[setting], seed=3, prefill=prefill)
        for setting in SETTINGS
        for prompt, prefill in prompts.items()
    ]


def outcome(results):
    return {r.lane.id: (r.tokens, r.commit_step, r.nfe, r.rows, r.error) for r in results}


@pytest.fixture(scope="module")
def alone():
    return outcome(decode(denoiser(), lanes(), batch_size=1, share=False))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("share", [True, False])
def test_results_do_not_depend_on_batch_size_order_or_sharing(alone, batch_size, share):
    shuffled = lanes()
    random.Random(batch_size).shuffle(shuffled)
    assert outcome(decode(denoiser(), shuffled, batch_size=batch_size, share=share)) == alone


def test_nothing_stays_masked_and_given_tokens_stay(alone):
    for lane in lanes():
        tokens, steps, nfe, _, error = alone[lane.id]
        assert error is None and V - 1 not in tokens
        given_here = lane.prefill or (V - 1,) * G
        for token, before, step in zip(tokens, given_here, steps, strict=True):
            assert (step == PREFILLED and token == before) if before != V - 1 else 0 <= step < nfe


@pytest.mark.parametrize("setting", SETTINGS)
@given(seed=st.integers(0, 200))
def test_nfe_stays_within_its_bounds(setting, seed):
    (result,) = decode(denoiser(seed), [Lane("x", (1,), G, METHOD[setting])])
    k = METHOD[setting].parameters.get("k")
    blocks = G // int(METHOD[setting].parameters.get("block", G))
    assert result.nfe == G // k if k else blocks <= result.nfe <= G
    assert result.rows == result.nfe
    counts = np.bincount(result.commit_step, minlength=result.nfe)
    assert (counts == k).all() if k else (counts >= 1).all()


def test_blocks_are_filled_one_after_the_other():
    (result,) = decode(denoiser(), [Lane("x", (1,), G, METHOD["entropy:k=4,block=4"])])
    assert list(result.commit_step) == [step for step in range(4) for _ in range(4)]


def test_identical_canvases_are_forwarded_once_and_counted_for_each():
    twins = [
        Lane(f"{setting}{copy}", (1, 2), G, METHOD[setting])
        for setting in ("confidence:k=1", "margin:k=2")
        for copy in range(4)
    ]
    cost, plain = Cost(), Cost()
    shared_results = outcome(decode(denoiser(), twins, cost=cost))
    assert outcome(decode(denoiser(), twins, share=False, cost=plain)) == shared_results
    assert cost.forwards_counted == plain.forwards_counted == plain.forwards_executed == 4 * (G + G // 2)
    assert cost.forwards_executed <= G + G // 2 - 1  # the first canvas serves both methods


@pytest.mark.parametrize("setting", ["confidence:k=2", "wino", "freedave", "punt", "p2", "joint"])
def test_the_cost_of_a_run_is_the_sum_over_its_lanes(setting):
    """Unshared, every row counted is a canvas executed, those of several in a forward too."""
    twins = [Lane(str(copy), (1, 2 + copy), G, parse_method(setting)) for copy in range(3)]
    cost, shared = Cost(), Cost()
    results = list(decode(denoiser(), twins, share=False, cost=cost))
    list(decode(denoiser(), [*twins, Lane("twin", (1, 2), G, twins[0].method)], cost=shared))
    assert cost.forwards_counted == sum(result.nfe for result in results)
    assert cost.forwards_executed == cost.rows_counted == sum(result.rows for result in results)
    assert (cost.rows_counted > cost.forwards_counted) == (setting in ("wino", "freedave"))
    assert shared.forwards_executed <= shared.rows_counted


def test_only_the_rows_of_the_active_block_are_asked_for():
    asked = []

    class Watching(ScriptedDenoiser):
        def logits(self, canvas, attention_mask, rows):
            asked.append(rows.clone())
            return super().logits(canvas, attention_mask, rows)

    model = Watching(random_script(0, V, 64), V)
    list(decode(model, [Lane("x", (1, 2, 3), G, METHOD["confidence:k=8,block=8"])]))
    assert [rows[0].nonzero().flatten().tolist() for rows in asked] == [
        list(range(3, 11)),
        list(range(11, 19)),
    ]


def test_the_mask_token_is_never_committed():
    def eager(ids):
        logits = np.zeros((len(ids), V), dtype=np.float32)
        logits[:, V - 1] = 10
        return logits

    (result,) = decode(ScriptedDenoiser(eager, V), [Lane("x", (1,), G, METHOD["confidence:k=1"])])
    assert V - 1 not in result.tokens and result.nfe == G


def test_lanes_with_nothing_to_decode_do_not_hold_up_the_others():
    given = [Lane(str(i), (1,), G, METHOD["confidence:k=1"], prefill=(3,) * G) for i in range(5)]
    results = {
        r.lane.id: r for r in decode(denoiser(), [*given, Lane("x", (1,), G, METHOD["random:k=2"])], batch_size=2)
    }
    assert len(results) == 6 and results["x"].nfe == G // 2
    assert all(results[lane.id].tokens == (3,) * G and results[lane.id].nfe == 0 for lane in given)


def test_a_model_that_fails_on_one_canvas_ends_that_lane_only(alone):
    good = random_script(0, V, 64)

    def script(ids):
        if ids[0] == 9:
            raise RuntimeError("cannot read 9")
        return good(ids)

    bad = Lane("bad", (9, 9), G, METHOD["confidence:k=1"])
    results = {r.lane.id: r for r in decode(ScriptedDenoiser(script, V), [*lanes(), bad])}
    assert results["bad"].error == "RuntimeError: cannot read 9"
    del results["bad"]
    assert outcome(results.values()) == alone


def test_a_method_that_fails_ends_its_own_lanes_only(alone):
    def broken(proposal, score, memory):
        raise ValueError("my rule is broken")

    method = replace(METHOD["confidence:k=1"], rule=broken)
    results = {r.lane.id: r for r in decode(denoiser(), [*lanes(), Lane("bad", (9,), G, method)])}
    assert results.pop("bad").error == "ValueError: my rule is broken"
    assert outcome(results.values()) == alone


def test_a_rule_that_commits_nothing_still_makes_progress():
    lazy = replace(METHOD["confidence:k=1"], rule=lambda p, s, m: (torch.zeros_like(p.masked), m))
    (result,) = decode(denoiser(), [Lane("x", (1,), G, lazy)])
    assert result.error is None and result.nfe == G


def counting_revision(times):
    """Re-mask the lowest committed position at the first `times` steps."""

    def revise(proposal, commit, memory):
        left = memory["left"]
        settled = (proposal.tokens != V - 1) & (left > 0).unsqueeze(-1)
        first = settled & (settled.cumsum(-1) == 1)
        return first, {"left": left - first.any(-1).long()}

    return replace(
        METHOD["left_to_right:k=4"],
        revise=revise,
        kind="revising",
        start=lambda length, v: {"left": torch.tensor(times)},
    )


def test_revisions_are_recorded_and_spare_given_tokens():
    prefill = (7,) + (V - 1,) * (G - 1)
    lane = Lane("x", (1,), G, counting_revision(2), prefill=prefill)
    plain = Lane("y", (1,), G, METHOD["left_to_right:k=4"], prefill=prefill)
    result, without = sorted(decode(denoiser(), [lane, plain]), key=lambda r: r.lane.id)
    assert result.tokens[0] == 7 and result.commit_step[0] == PREFILLED
    # Position 0 is given, so the first settled position never changes: the revision asks for it in vain.
    assert result.revisions == () and result.nfe == without.nfe
    (result,) = decode(denoiser(), [replace(lane, prefill=None)])
    assert [(r.position, r.removed) for r in result.revisions] == [(0, 1), (1, 2)]
    assert V - 1 not in result.tokens and result.error is None


def test_a_method_that_circles_is_stopped():
    (result,) = decode(denoiser(), [Lane("x", (1,), G, counting_revision(10**6))])
    assert result.error is not None and "circles" in result.error


def test_lengths_that_do_not_divide_are_refused():
    for setting, message in {
        "confidence:k=3": "k=3 does not divide the block of 16; allowed: 1, 2, 4, 8, 16",
        "confidence:block=5": "block=5 does not divide max_tokens 16",
        "confidence:k=8,block=4": "k=8 does not divide the block of 4",
    }.items():
        with pytest.raises(UsageError, match=message):
            list(decode(denoiser(), [Lane("x", (1,), G, parse_method(setting))]))


def test_a_method_that_needs_more_than_the_model_has_is_refused():
    needy = replace(METHOD["confidence:k=1"], requires=frozenset({"attention"}))
    with pytest.raises(UsageError, match="needs attention, which 'scripted' lacks"):
        list(decode(denoiser(), [Lane("x", (1,), G, needy)]))


def test_temperature_zero_is_greedy_and_seeds_matter_above():
    def tokens(setting, seed):
        (result,) = decode(denoiser(), [Lane("x", (1, 2), G, parse_method(setting), seed=seed)])
        return result.tokens

    assert tokens("confidence:k=4", 1) == tokens("confidence:k=4", 2)
    assert len({tokens("confidence:k=4,temperature=1", seed) for seed in range(8)}) > 1


def test_every_core_method_is_covered_here():
    assert {setting.split(":")[0] for setting in SETTINGS} >= set(CORE_METHODS)
