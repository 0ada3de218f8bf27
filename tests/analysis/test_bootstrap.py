"""The bootstrap: the draws, who shares them, and whether 95 % means 95 %."""

import numpy as np
import pandas as pd
import pytest

from analysis.frames import frame, lane
from parallelbench.analysis.bootstrap import draw, interval, resample
from parallelbench.analysis.curves import lanes
from parallelbench.analysis.pbx import leaderboard


def test_a_draw_has_as_many_samples_as_there_are_each_as_likely():
    counts = draw(20, 5000, 0, "copy")
    assert counts.shape == (5000, 20)
    assert (counts.sum(1) == 20).all()
    assert counts.mean(0) == pytest.approx(np.ones(20), abs=0.08)
    assert counts.var(0) == pytest.approx(np.full(20, 0.95), abs=0.12)


def test_draws_depend_on_seed_and_task_alone():
    assert (draw(9, 30, 0, "copy") == draw(9, 30, 0, "copy")).all()
    assert (draw(9, 30, 0, "copy") != draw(9, 30, 1, "copy")).any()
    assert (draw(9, 30, 0, "copy") != draw(9, 30, 0, "sort")).any()


def test_settings_of_a_method_see_the_same_samples():
    settings = ["threshold:tau=0.5", "threshold:tau=0.9"]
    table = frame(*(lane("copy", s, i, float(i % 3 == 0)) for s in settings for i in range(30)))
    result = resample(lanes(table), settings, 200, 0)
    score = result.score["copy"]
    assert np.ptp(score[:, 0]) > 0
    assert (score[:, 0] == score[:, 1]).all()


def test_a_resample_without_a_scored_sample_keeps_the_measured_mean():
    table = frame(*(lane("copy", "threshold:tau=0.5", i, 0.25 if i == 0 else None) for i in range(5)))
    score = resample(lanes(table), ["threshold:tau=0.5"], 300, 0).score["copy"]
    assert (score == 25.0).all()


def test_the_interval_is_central():
    assert interval(np.arange(1001.0)) == pytest.approx([25.0, 975.0])


def test_other_seeds_other_intervals():
    table = frame(*(lane("copy", "threshold:tau=0.5", i, float((i * 7) % 10) / 10) for i in range(40)))
    first, again, other = (leaderboard(table, 100, seed)[0]["points"][0]["score_interval"] for seed in (1, 1, 2))
    assert first == again != other


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Binomial samples, n = 100: true scores 90 % at 2 and 70 % at 4 tokens a step, so PB80 is 3."""
    truth = {"threshold:tau=0.9": (0.9, 16), "threshold:tau=0.5": (0.7, 8)}
    one = frame(*(lane("copy", s, i, 0.0, nfe=nfe) for s, (_, nfe) in truth.items() for i in range(100)))
    many = pd.concat([one.assign(model=f"m{i}", lane_id=f"{i}|" + one["lane_id"]) for i in range(200)])
    chance = many["setting"].map({s: p for s, (p, _) in truth.items()}).to_numpy()
    entries = leaderboard(many.assign(score=np.random.default_rng(0).random(len(many)) < chance), 500)
    scores = [p["score_interval"] for e in entries for p in e["points"] if p["setting"].endswith("0.5")]
    pb80s = [e["intervals"]["PB80"] for e in entries]
    assert 0.89 <= np.mean([low <= 70 <= high for low, high in scores]) <= 0.99
    assert 0.89 <= np.mean([low <= 3 <= high for low, high in pb80s]) <= 0.99
