"""What published variants do and the plain methods do not, each shown on one lane."""

import pytest

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.decoding.lane import PREFILLED, UNDECIDED
from parallelbench.models.golden import GoldenStub, Tables

V, G = 12, 16
MASK = V - 1
FREE = (MASK,) * G
HALF = tuple(3 if place < 8 else MASK for place in range(G))
MODEL = GoldenStub(Tables.drawn(3, V, G + 4), G + 4)


def run(setting, prefill=FREE):
    (result,) = decode(MODEL, [Lane("x", (1, 2), G, parse_method(setting), prefill=prefill)])
    return result


@pytest.mark.parametrize(
    ("plain", "variant"),
    [
        ("dus:rho=0.6", "dus@pb:rho=0.6"),
        ("klass:tau=0.3,kappa=0.5", "klass@upstream:tau=0.3,kappa=0.5,steps=4"),
        ("klass:tau=0.4,kappa=0.5", "klass@pb:tau=0.4,kappa=0.5,steps=8,block=8"),
        ("entropy:k=4,block=8", "entropy@uncode:steps=4,block=8"),
        ("margin:k=4,block=8", "margin@uncode:steps=4,block=8"),
    ],
)
def test_variants_leave_masks(plain, variant):
    left = run(variant)
    assert left.error is None and MASK in left.tokens and UNDECIDED in left.commit_step
    assert MASK not in run(plain).tokens


@pytest.mark.parametrize(
    ("plain", "variant"), [("wino:tau=0.3", "wino@upstream:tau=0.3"), ("dus:rho=0.6", "dus@pb:rho=0.6")]
)
def test_variants_mask_given_tokens(plain, variant):
    assert run(plain, HALF).commit_step[:8] == (PREFILLED,) * 8 and run(plain, HALF).tokens[:8] == HALF[:8]
    assert any(revision.committed == PREFILLED for revision in run(variant, HALF).revisions)


@pytest.mark.parametrize(
    ("plain", "variant"),
    [
        ("threshold:tau=1,block=8", "threshold@pb:tau=1,block=8"),
        ("confidence:k=1,block=8", "confidence@pb:steps=16,block=8"),
    ],
)
def test_variants_spend_a_forward_on_a_given_block(plain, variant):
    assert run(variant, HALF).nfe == run(plain, HALF).nfe + 1
    assert run(variant, HALF).tokens == run(plain, HALF).tokens


def test_remdm_at_pb_leaves_blocks_open_and_says_so():
    assert "positions are still masked after the last block" in run("remdm@pb:steps=4,block=8").error
    assert run("remdm:steps=4,block=8").error is None


@pytest.mark.parametrize(
    ("plain", "variant", "forwards"),
    [
        ("timesteps:steps=16", "timesteps@dream:steps=16", 16),
        ("timesteps:steps=16", "timesteps@pb:steps=16", 16),
        ("origin:steps=16", "origin@dream:steps=16", 16),
    ],
)
def test_variants_spend_forwards_that_commit_nothing(plain, variant, forwards):
    result = run(variant)
    assert result.nfe == forwards and len(set(result.commit_step)) < forwards
    guarded = run(plain)
    assert guarded.nfe == len(set(guarded.commit_step)) <= forwards


def test_slowfast_at_pb_explores_a_full_block():
    assert run("slowfast@pb:tau=0.1").nfe > run("slowfast:tau=0.1").nfe
    assert run("slowfast@pb:tau=0.1").tokens == run("slowfast:tau=0.1").tokens


def test_factor_at_pb_commits_a_last_candidate_that_fails():
    assert run("factor@pb:f=0.7").nfe < run("factor:f=0.7").nfe


def test_a_second_forward_follows_a_block_that_the_first_one_fills():
    eager = "tau=0,block=8"
    assert run(f"threshold@fastdllm:{eager}").nfe == 4 and run(f"threshold:{eager},cache=prefix").nfe == 2


def test_threshold_at_dream_puts_off_what_fails():
    put_off = run("threshold@dream:tau=0.9,steps=4")
    assert put_off.nfe > 4 and put_off.error is None and MASK not in put_off.tokens
