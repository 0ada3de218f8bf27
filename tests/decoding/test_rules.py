"""Properties of scores and rules on random proposals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.decoding import rules, scores
from parallelbench.decoding.methods import CORE_METHODS, METHODS, build_method
from parallelbench.decoding.proposal import NEVER, UNDECIDED, Numerics, Proposal, sample_tokens, softmax

VOCABULARY = 5
NATIVE = Numerics()


@st.composite
def proposals(draw, lanes=3, length=8):
    """Random tokens, masks and logits; each lane has at least one candidate. Coarse logits make ties common."""
    masked = torch.tensor(
        draw(st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=lanes, max_size=lanes))
    )
    masked[:, draw(st.integers(0, length - 1))] = True
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.integers(-3, 4, (int(masked.sum()), VOCABULARY)).astype(np.float32))
    return propose(masked, logits, uniform=np.random.default_rng(seed))


def propose(masked, logits, numerics=NATIVE, uniform=None):
    """The proposal of lanes whose masked positions have the given logits rows."""
    token = torch.zeros(masked.shape, dtype=torch.int64)
    token[masked] = logits.argmax(-1)
    draws = torch.zeros(masked.shape) if uniform is None else torch.from_numpy(uniform.random(masked.shape, np.float32))
    return Proposal(
        tokens=torch.where(masked, logits.shape[1], 0),
        masked=masked,
        rows=masked,
        logits=logits,
        columns=None,
        choice=logits.argmax(-1),
        token=token,
        step=torch.zeros(len(masked), dtype=torch.int64),
        commit_step=torch.where(masked, UNDECIDED, 0),
        block=torch.tensor([[0, masked.shape[1]]] * len(masked)),
        block_step=torch.zeros(len(masked), dtype=torch.int64),
        block_masks=masked.sum(-1),
        temperature=0.0,
        numerics=numerics,
        draw=lambda: draws,
    )


def decide(rule, score, proposal):
    values = score(proposal)
    commit, _ = rule(proposal, values, {})
    return rules.at_least_one(commit, proposal, values)


def settings():
    for name in (*CORE_METHODS, "factor@pb", "eb", "timesteps"):
        for parameters in METHODS[name].sweep(8):
            yield build_method(METHODS[name], parameters)


@pytest.mark.parametrize("method", list(settings()), ids=lambda m: m.setting)
@given(proposal=proposals())
def test_every_rule_commits_some_candidates_and_nothing_else(method, proposal):
    commit = decide(method.rule, method.score, proposal)
    assert not (commit & ~proposal.masked).any()
    assert commit.any(-1).all()


@pytest.mark.parametrize("score", [scores.confidence, scores.margin, scores.entropy], ids=lambda s: s.__name__)
@given(proposal=proposals(), taus=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_lower_threshold_never_commits_less(score, proposal, taus):
    loose, tight = (decide(rules.threshold(tau), score, proposal) for tau in sorted(taus))
    assert not (tight & ~loose).any()


@given(proposal=proposals(), fs=st.tuples(st.floats(0, 4), st.floats(0, 4)))
def test_a_larger_factor_never_commits_less(proposal, fs):
    few, many = (decide(rules.factor(f), scores.confidence, proposal) for f in sorted(fs))
    assert not (few & ~many).any()


@given(proposal=proposals(), k=st.integers(1, 8))
def test_top_k_commits_the_k_best_and_breaks_ties_from_the_left(proposal, k):
    score = scores.confidence(proposal)
    commit = decide(rules.top_k(k), scores.confidence, proposal)
    for lane in range(len(score)):
        candidates = proposal.masked[lane].nonzero().flatten().tolist()
        best = sorted(candidates, key=lambda i: (-float(score[lane, i]), i))[:k]
        assert commit[lane].nonzero().flatten().tolist() == sorted(best)


@given(proposal=proposals(), f=st.floats(0, 4))
def test_factor_is_the_longest_passing_prefix(proposal, f):
    score = scores.confidence(proposal)
    commit, _ = rules.factor(f)(proposal, score, {})
    published, _ = rules.factor_at_pb(f)(proposal, score, {})
    for lane in range(len(score)):
        ranked = sorted((float(c) for c in score[lane][proposal.masked[lane]]), reverse=True)
        passing = 1
        while passing < len(ranked) and np.float32(ranked[passing]) >= np.float32(1) - np.float32(f) / np.float32(
            passing + 2
        ):
            passing += 1
        assert int(commit[lane].sum()) == passing
        # The published slip: a failing last candidate is committed with the one before it.
        assert int(published[lane].sum()) == (len(ranked) if passing == len(ranked) - 1 else passing)


def test_the_published_factor_example_commits_all_four_and_ours_three():
    logits = torch.tensor([[c, 1 - c] for c in (0.99, 0.97, 0.90, 0.60)]).log()
    masked = torch.ones((1, 4), dtype=torch.bool)
    proposal = propose(masked, logits)
    assert decide(rules.factor(1.0), scores.confidence, proposal).tolist() == [[True, True, True, False]]
    assert decide(rules.factor_at_pb(1.0), scores.confidence, proposal).all()


def test_bfloat16_thresholds_are_rounded_as_published():
    table = {
        0.3: 0.30078125,
        0.6: 0.6015625,
        0.7: 0.69921875,
        0.8: 0.80078125,
        0.9: 0.8984375,
        0.95: 0.94921875,
    }
    logits = torch.zeros((1, 2), dtype=torch.bfloat16)
    masked = torch.ones((1, 1), dtype=torch.bool)
    proposal = propose(masked, logits, Numerics("model", "torch"))
    assert {tau: rules.rounded(tau, proposal) for tau in table} == table
    assert float(scores.confidence(proposal)) == 0.5


@given(proposal=proposals())
def test_scores_are_what_their_formulas_say(proposal):
    p = torch.softmax(proposal.logits.double(), -1)
    top = p.sort(-1, descending=True).values
    entropy = (p * p.clamp_min(1e-300).log()).sum(-1)
    assert torch.allclose(scores.confidence(proposal)[proposal.masked].double(), top[:, 0], atol=1e-6)
    assert torch.allclose(scores.margin(proposal)[proposal.masked].double(), top[:, 0] - top[:, 1], atol=1e-6)
    assert torch.allclose(scores.entropy(proposal)[proposal.masked].double(), entropy, atol=1e-5)
    for score in (scores.confidence, scores.margin, scores.entropy, scores.random, scores.left_to_right):
        assert (score(proposal)[~proposal.masked] == NEVER).all()


@given(
    weights=st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=2, max_size=6),
    u=st.floats(0, 1, exclude_max=True, width=32),
)
def test_samples_follow_the_distribution_and_never_hit_probability_zero(weights, u):
    if sum(weights) == 0:
        weights[0] = 1.0
    p = torch.tensor([weights]) / sum(weights)
    token = int(sample_tokens(p, torch.tensor([u], dtype=torch.float32)))
    assert p[0, token] > 0
    below = float(p[0, :token].double().sum())
    u32 = float(torch.tensor(u, dtype=torch.float32))
    assert below <= u32 * float(p.double().sum()) + 1e-6


def test_temperature_sharpens_and_zero_means_untempered():
    logits = torch.tensor([[1.0, 0.0]])
    assert torch.equal(softmax(logits, 0.0, "float32"), torch.softmax(logits, -1))
    assert softmax(logits, 0.5, "float32")[0, 0] > softmax(logits, 1.0, "float32")[0, 0]
    assert softmax(logits, 1.0, "float64").dtype == torch.float64
