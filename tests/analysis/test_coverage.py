"""Whether 95 % intervals hold the truth 95 times in 100, on distributions whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from analysis.frames import frame, lane
from parallelbench.analysis.bootstrap import draw, intervals
from parallelbench.analysis.compare import compare
from parallelbench.analysis.pbx import leaderboard, reach

SIMULATIONS, SAMPLES = 2000, 100
SCORES = {
    "uniform": (lambda rng, size: rng.random(size), 0.5),
    "skewed": (lambda rng, size: rng.beta(4, 2, size), 4 / 6),
    "right or wrong": (lambda rng, size: rng.random(size) < 0.6, 0.6),
}


@pytest.mark.parametrize("name", SCORES)
def test_intervals_of_a_mean(name):
    sample, truth = SCORES[name]
    rng, inside = np.random.default_rng(0), []
    for seed in range(20):  # several draws, so that no one matrix of draws decides
        values = sample(rng, (SAMPLES, SIMULATIONS // 20)).astype(float)
        low, high = intervals(draw(SAMPLES, 1000, seed, "copy") @ values / SAMPLES)
        inside += list((low <= truth) & (truth <= high))
    assert len(inside) == SIMULATIONS and 0.93 <= np.mean(inside) <= 0.97


def test_intervals_of_an_interpolated_pbx():
    """True scores 90 % at 2 and 70 % at 4 tokens a step, so PB80 is 3; both settings see the same samples."""
    rng, inside = np.random.default_rng(1), []
    for seed in range(20):
        size = (SAMPLES, SIMULATIONS // 20)
        scores = [100 * (rng.random(size) < p).astype(float) for p in (0.9, 0.7)]
        means = np.stack([draw(SAMPLES, 500, seed, "copy") @ values / SAMPLES for values in scores], -1)
        pb80 = reach(means.reshape(-1, 2), np.broadcast_to([2.0, 4.0], (means.size // 2, 2)), 80, "adaptive")
        low, high = intervals(pb80.reshape(means.shape[:2]))
        inside += list((low <= 3) & (high >= 3))
    assert 0.93 <= np.mean(inside) <= 0.97


def many(settings, scores, samples):
    """Lanes of many tasks, each a simulation of its own: scores[setting] is [tasks, samples]."""
    rows = pd.DataFrame([lane("copy", setting, i, 0.0) for setting in settings for i in range(samples)])
    tasks = len(scores[settings[0]])
    table = pd.concat([rows] * tasks, ignore_index=True)
    number = np.repeat(np.arange(tasks), len(rows)).astype(str)
    table["task"] = "t" + pd.Series(number)
    table["sample"] = table["task"] + "/" + table["sample"]
    table["lane_id"] = table["task"] + "|" + table["lane_id"]
    table["score"] = np.concatenate([scores[s] for s in settings], axis=1).ravel()
    return table.astype({"score_strict": float})


def test_intervals_of_a_paired_difference():
    """A right with 60 %, B with 75 % and correlated: each task of one comparison is a simulation."""
    rng = np.random.default_rng(2)
    common = rng.random((800, 60))
    settings = ["confidence:k=2", "threshold:tau=0.5"]
    scores = {settings[0]: (common < 0.6).astype(float)}
    scores[settings[1]] = np.where(rng.random((800, 60)) < 0.5, common < 0.75, rng.random((800, 60)) < 0.75).astype(
        float
    )
    table = many(settings, scores, 60)
    found = compare(*(table[table["setting"] == s] for s in settings), 1000)
    inside = [row["interval"][0] <= 15 <= row["interval"][1] for row in found["tasks"]]
    assert len(inside) == 800 and 0.93 <= np.mean(inside) <= 0.97


def test_intervals_of_the_leaderboards_points():
    rng = np.random.default_rng(3)
    table = many(["threshold:tau=0.5"], {"threshold:tau=0.5": rng.random((600, 80))}, 80)
    (entry,) = leaderboard(table, 800)
    inside = [p["score_interval"][0] <= 50 <= p["score_interval"][1] for p in entry["points"]]
    assert len(inside) == 600 and 0.93 <= np.mean(inside) <= 0.97


def test_a_paired_interval_is_narrower_than_what_the_sides_have_alone():
    rng = np.random.default_rng(4)
    right = rng.random(100) < 0.5
    rows = [lane("copy", "confidence:k=2", i, float(r)) for i, r in enumerate(right)]
    rows += [lane("copy", "threshold:tau=0.5", i, float(r or i % 20 == 0)) for i, r in enumerate(right)]
    table = frame(*rows)
    found = compare(*(table[table["method"] == m] for m in ("confidence", "threshold")))
    (entry, _) = leaderboard(table, 1000)
    alone = np.subtract(*entry["points"][0]["score_interval"][::-1])
    assert np.subtract(*found["score"]["interval"][::-1]) < alone / 2
