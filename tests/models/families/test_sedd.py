"""SEDD: its transitions are distributions, its sampler takes the steps it is given, and its masks tell the time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import VOCAB, checkpoint
from torch.testing import assert_close

from parallelbench.models.families.samplers import categorical
from parallelbench.models.families.sedd import Graph, Noise
from parallelbench.models.generators.base import Request
from parallelbench.models.registry import load_model

SIZE = 7
graphs = st.sampled_from([Graph("absorb", SIZE), Graph("uniform", SIZE)])
noises = st.sampled_from([Noise("loglinear", 0.0, 0.0), Noise("geometric", 1e-4, 20.0)])


@given(graphs, st.floats(1e-4, 8), st.integers(0, 99))
def test_coming_and_going_are_distributions(graph, sigma, seed):
    ids = torch.randint(SIZE, (2, 5), generator=torch.Generator().manual_seed(seed))
    moved = graph.transp_transition(ids, torch.full((2, 1), sigma))
    assert bool((moved >= 0).all())
    if graph.kind == "uniform":  # symmetric, so where a token came from is a distribution too
        assert_close(moved.sum(-1), torch.ones(2, 5))
    rates = graph.reverse_rate(ids, torch.rand(2, 5, SIZE))
    assert_close(rates.sum(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)


@given(noises, st.floats(0.01, 0.98))
def test_the_rate_is_the_derivative_of_the_total(noise, time):
    t = torch.tensor(time, dtype=torch.float64)
    step = 1e-6
    assert_close(noise.rate(t), (noise.total(t + step) - noise.total(t - step)) / (2 * step), rtol=1e-4, atol=1e-6)


def test_the_true_score_takes_a_mask_back_to_the_data():
    """With the exact scores of one known token, one analytic step removes all noise."""
    graph, sigma = Graph("absorb", SIZE), torch.full((1, 1), 1.7)
    data = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0, 0.0])
    ids = torch.tensor([[SIZE - 1]])
    left = (-sigma).exp()
    score = torch.cat([data * left[0] / (1 - left[0]), torch.ones(1)]).view(1, 1, SIZE)
    odds = graph.staggered_score(score, sigma) * graph.transp_transition(ids, sigma)
    assert_close(odds[0, 0, :-1] / odds[0, 0, :-1].sum(), data)
    assert_close(odds[0, 0, -1], torch.tensor(0.0), atol=1e-6, rtol=0)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=6), st.floats(0, 1, exclude_max=True))
def test_a_token_without_odds_is_never_drawn(odds, uniform):
    row = torch.tensor([*odds, 1.0])
    drawn = int(categorical(row.view(1, 1, -1), torch.tensor([[uniform]]))[0, 0])
    assert row[drawn] > 0


@pytest.mark.parametrize("family", ["sedd_absorb", "sedd_uniform"])
def test_answers_depend_on_the_seed_and_on_nothing_else(tmp_path, family):
    checkpoint(tmp_path, family)
    model = load_model(f"{tmp_path}:steps=3")
    requests = [Request(str(n), ({"role": "user", "content": "hi" * n},), 8, n % 3) for n in range(6)]
    alone = {answer.id: answer.tokens for answer in model.generate(requests, 1)}
    together = {answer.id: answer.tokens for answer in model.generate(reversed(requests), 4)}
    assert alone == together
    assert len(set(alone.values())) > 1
    assert family == "sedd_uniform" or all(VOCAB - 1 not in tokens for tokens in alone.values())


def test_more_masks_mean_more_noise(tmp_path):
    checkpoint(tmp_path, "sedd_absorb")
    model, seen = load_model(str(tmp_path)), []
    inner = model.network.log_score
    model.network.log_score = lambda ids, sigma, present: (seen.append(sigma), inner(ids, sigma, present))[1]
    canvas = torch.full((3, 10), 5)
    canvas[1, :5], canvas[2, :] = VOCAB - 1, VOCAB - 1
    present = torch.ones_like(canvas).bool()
    model.logits(canvas, present, present)
    assert bool((seen[0].diff() > 0).all())
    assert_close(seen[0][1], torch.tensor(0.6921), atol=1e-3, rtol=0)  # half masked: -log(1 - 0.999 / 2)
