"""PBx on known curves, against the definition in plain Python, and the leaderboard made of it."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.frames import frame, frames, lane
from parallelbench.analysis.bootstrap import draw
from parallelbench.analysis.curves import mean_curve, points
from parallelbench.analysis.pbx import PBS, leaderboard, pbx, reach
from parallelbench.errors import UsageError


def curve(*pairs):
    return pd.DataFrame(pairs, columns=["tps", "score"])


def plain_pbx(pairs, x, kind):
    """The largest tokens per step at which a measured point, or the line through them, is at x or above."""
    best = {}
    for tps, score in pairs:
        best[tps] = max(score, best.get(tps, score))
    found = [tps for tps, score in best.items() if score >= x]
    line = sorted(best.items())
    for (t0, s0), (t1, s1) in zip(line, line[1:], strict=False):
        if kind != "static" and s0 >= x > s1:
            found.append(t0 + (s0 - x) / (s0 - s1) * (t1 - t0))
    return max(found, default=0.0)


HAND_MADE = curve((1, 95.0), (2, 85.0), (4, 75.0), (8, 20.0))


@pytest.mark.parametrize(
    ("x", "static", "adaptive"),
    [(90, 1, 1.5), (80, 2, 3), (75, 4, 4), (70, 4, 4 + 4 / 11), (60, 4, 4 + 12 / 11)],
)
def test_known_values(x, static, adaptive):
    assert pbx(HAND_MADE, x, "static") == static
    assert pbx(HAND_MADE, x, "adaptive") == pytest.approx(adaptive)
    assert pbx(HAND_MADE, x, "revising") == pbx(HAND_MADE, x, "adaptive")


@pytest.mark.parametrize("kind", ["static", "adaptive", "revising"])
def test_edges(kind):
    assert pbx(curve((3, 50.0)), 60, kind) == 0
    assert pbx(curve((3, 60.0)), 60, kind) == 3, "one point, nothing beyond it"
    assert pbx(curve((3, 50.0), (5, 90.0)), 60, kind) == 5, "a curve that rises past x ends at its last point"
    assert pbx(curve((1, 90.0), (2, 10.0), (4, 90.0)), 60, kind) == 4, "a dip does not end the curve"
    assert pbx(curve((1, 80 - 1e-13)), 80, kind) == 1, "rounding noise of a mean is not below x"
    assert math.isnan(pbx(curve(), 60, kind)), "nothing measured is not the same as never reached"
    assert pbx(curve((1, 90.0), (2, math.nan)), 60, kind) == 1


def test_equal_tokens_per_step_count_as_their_best():
    tied = curve((1, 90.0), (2, 50.0), (2, 70.0), (3, 40.0))
    assert pbx(tied, 80, "adaptive") == pytest.approx(1.5)
    assert pbx(tied, 60, "adaptive") == pytest.approx(2 + 10 / 30)
    assert pbx(tied, 60, "static") == 2


def test_other_measures_are_read_off_at_the_same_place():
    table = HAND_MADE.assign(effective_tps=[1.0, 1.5, 2.5, 3.0])
    assert pbx(table, 80, "static", "effective_tps") == 1.5
    assert pbx(table, 80, "adaptive", "effective_tps") == pytest.approx(2.0)


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="'statik'.*Did you mean 'static'"):
        pbx(HAND_MADE, 80, "statik")


steps = st.integers(1, 8).map(float)
percents = st.integers(0, 20).map(lambda i: 5.0 * i)


@given(
    st.lists(st.tuples(steps, percents), min_size=1, max_size=8),
    st.sampled_from([*PBS, 0, 100]),
    st.sampled_from(["static", "adaptive", "revising"]),
    st.randoms(use_true_random=False),
)
def test_pbx_is_the_definition_in_any_row_order(pairs, x, kind, random):
    expected = plain_pbx(pairs, x, kind)
    assert pbx(curve(*pairs), x, kind) == pytest.approx(expected)
    random.shuffle(pairs)
    assert pbx(curve(*pairs), x, kind) == pytest.approx(expected)


@given(st.lists(st.tuples(steps, percents), min_size=1, max_size=8))
def test_a_lower_bar_never_gives_less_and_interpolation_never_less_than_measured(pairs):
    for kind in ("static", "adaptive"):
        values = [pbx(curve(*pairs), x, kind) for x in PBS]
        assert values == sorted(values)
    for x in PBS:
        assert pbx(curve(*pairs), x, "adaptive") >= pbx(curve(*pairs), x, "static")


@given(st.integers(0, 2**32 - 1), st.sampled_from(["static", "adaptive"]))
def test_many_curves_at_once_are_each_curve_alone(seed, kind):
    rng = np.random.default_rng(seed)
    score, tps = rng.integers(0, 21, (30, 5)) * 5.0, rng.integers(1, 6, (30, 5)) * 1.0
    expected = [
        [plain_pbx(list(zip(t, s, strict=True)), x, kind) for s, t in zip(score, tps, strict=True)] for x in (75, 40.0)
    ]
    assert reach(score, tps, 75, kind) == pytest.approx(np.array(expected[0]))
    assert reach(score, tps, (75, 40.0), kind) == pytest.approx(np.array(expected))


@settings(max_examples=30)
@given(frames())
def test_leaderboard_is_pbx_of_the_mean_curves(table):
    entries = leaderboard(table, bootstrap=20)
    measured = points(table)
    curves = mean_curve(measured)
    assert {(e["model"], e["method"]) for e in entries} == set(zip(table["model"], table["method"], strict=True))
    for entry in entries:
        mine = curves[(curves["model"] == entry["model"]) & (curves["method"] == entry["method"])]
        pairs = list(zip(mine["tps"], mine["score"], strict=True))
        for x in PBS:
            expected = plain_pbx(pairs, x, entry["kind"]) if pairs else None
            assert entry[f"PB{x}"] == (None if expected is None else pytest.approx(expected))
        assert (
            len(entry["points"])
            == ((measured["model"] == entry["model"]) & (measured["method"] == entry["method"])).sum()
        )
        assert len(entry["curve"]) + len(entry["outside_curve"]) == len({p["setting"] for p in entry["points"]})
        assert all((p["score_interval"] is None) == (p["score"] is None) for p in entry["points"])
        assert set(entry["intervals"]) == ({f"PB{x}" for x in PBS} if pairs else set())


@settings(max_examples=20)
@given(frames())
def test_leaderboard_is_json_and_does_not_depend_on_row_order(table):
    text = json.dumps(leaderboard(table, bootstrap=20), allow_nan=False)
    assert text == json.dumps(leaderboard(table.sample(frac=1, random_state=3), bootstrap=20), allow_nan=False)
    assert leaderboard(table, bootstrap=20) == json.loads(text), "plain numbers only"


def test_pbx_intervals_are_quantiles_over_resampled_lanes():
    rng = np.random.default_rng(5)
    speeds = {"threshold:tau=0.5": (0.5, 4), "threshold:tau=0.7": (0.75, 8), "threshold:tau=0.9": (0.9, 16)}
    table = frame(
        *(
            lane(
                task,
                setting,
                i,
                None if rng.random() < 0.2 else float(rng.random() < p),
                nfe=nfe + int(rng.integers(4)),
            )
            for task in ("copy", "sort")
            for setting, (p, nfe) in speeds.items()
            for i in range(12)
        )
    )
    cells = {(r["task"], r["setting"], r["sample_index"]): r for r in table.to_dict("records")}
    weights = {task: draw(12, 50, 7, task) for task in ("copy", "sort")}

    def resampled(task, setting, r, value):
        picked = [cells[task, setting, i] for i in range(12) for _ in range(int(weights[task][r, i]))]
        return np.nanmean([value(row) for row in picked])

    def pairs(r):
        for setting in speeds:
            yield tuple(
                np.mean([resampled(task, setting, r, value) for task in ("copy", "sort")])
                for value in (lambda row: 32 / row["nfe"], lambda row: 100 * row["score"])
            )

    (entry,) = leaderboard(table, bootstrap=50, seed=7)
    for x in PBS:
        expected = np.quantile([plain_pbx(list(pairs(r)), x, "adaptive") for r in range(50)], [0.025, 0.975])
        # Unscored samples stay unscored in the resamples but keep their speed.
        assert entry["intervals"][f"PB{x}"] == pytest.approx(list(expected))
    (point,) = [p for p in entry["points"] if (p["task"], p["setting"]) == ("copy", "threshold:tau=0.5")]
    scores = [resampled("copy", "threshold:tau=0.5", r, lambda row: 100 * row["score"]) for r in range(50)]
    assert point["score_interval"] == pytest.approx(list(np.quantile(scores, [0.025, 0.975])))


def test_a_whole_entry():
    table = frame(
        *(
            lane("copy", f"confidence:k={k}", i, float(i < right), nfe=32 // k)
            for k, right in ((4, 4), (16, 2))
            for i in range(4)
        ),
        lane("haiku", "confidence:k=4", 0, None, nfe=8),
    )
    (entry,) = leaderboard(table, bootstrap=200)
    assert {k: entry[k] for k in ("model", "method", "kind", "profile")} == {
        **{"model": "m", "method": "confidence"},
        **{"kind": "static", "profile": "native"},
    }
    assert {k: entry[k] for k in ("PB90", "PB80", "PB60")} == {"PB90": 4.0, "PB80": 4.0, "PB60": 4.0}
    assert entry["effective"]["PB80"] == 2.0 and entry["harmonic"]["PB80"] == 4.0
    assert entry["missing_tasks"] == ["haiku"] and entry["tasks"] == 1 and entry["outside_curve"] == []
    assert entry["points"][0] == {
        **{"setting": "confidence:k=4", "task": "copy", "score": 100.0, "score_strict": 100.0},
        **{
            "tps": 4.0,
            "effective_tps": 2.0,
            "nfe": 8.0,
            "rows": 8.0,
            "n": 4,
            "unscored": 0,
            "score_interval": [100.0, 100.0],
        },
    }
    assert entry["points"][1]["score"] is None and entry["points"][1]["score_interval"] is None
    assert entry["intervals"]["PB80"][0] == 4.0 and entry["intervals"]["PB60"][1] == 16.0


def test_without_resamples_there_are_no_intervals():
    (entry,) = leaderboard(frame(lane("copy", "confidence:k=4", 0, 1.0)), bootstrap=0)
    assert entry["intervals"] == {} and entry["points"][0]["score_interval"] is None
    assert entry["PB80"] == 4.0


def test_nothing_measured():
    assert leaderboard(pd.DataFrame()) == []
    (entry,) = leaderboard(frame(lane("copy", "confidence:k=4", 0, None)))
    assert [entry[f"PB{x}"] for x in PBS] == [None] * 5
    assert entry["intervals"] == {} and entry["missing_tasks"] == ["copy"] and entry["tasks"] == 0


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="bootstrap=-1"):
        leaderboard(frame(lane("copy", "confidence:k=4", 0, 1.0)), bootstrap=-1)
    mixed = [lane("copy", "confidence:k=4", i, 1.0, kind=kind) for i, kind in enumerate(("static", "adaptive"))]
    with pytest.raises(UsageError, match="'confidence'.*kind.*'adaptive', 'static'"):
        leaderboard(frame(*mixed))
