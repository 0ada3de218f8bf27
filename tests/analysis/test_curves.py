"""Points and mean curves against a recomputation in plain Python."""

import math
from statistics import fmean

import pandas as pd
import pytest
from hypothesis import given

from analysis.frames import frame, frames, lane
from parallelbench.analysis.curves import mean_curve, missing_tasks, natural_key, points
from parallelbench.errors import UsageError


def mean(values):
    values = list(values)
    return fmean(values) if values else math.nan


def plain_points(table):
    """The definition, one dictionary a point."""
    result = {}
    rows = table.to_dict("records")
    for key in {(r["model"], r["setting"], r["task"]) for r in rows}:
        mine = [r for r in rows if (r["model"], r["setting"], r["task"]) == key]
        done = [r for r in mine if not isinstance(r["error"], str)]
        result[key] = {
            "score": 100 * mean(r["score"] for r in done if not math.isnan(r["score"])),
            "score_strict": 100 * mean(r["score_strict"] for r in done if not math.isnan(r["score_strict"])),
            "tps": mean(r["max_tokens"] / r["nfe"] for r in done),
            "effective_tps": mean(r["effective_tokens"] / r["nfe"] for r in done),
            "nfe": mean(r["nfe"] for r in done),
            "rows": mean(r["rows"] for r in done),
            "n": len(mine),
            "unscored": sum(math.isnan(r["score"]) for r in mine),
        }
    return result


def plain_curve(found):
    """Mean over the tasks that the model has any score on, for settings with a score on each of them."""
    result = {}
    for model, setting in {(model, setting) for model, setting, _ in found}:
        tasks = {task for (m, _, task), p in found.items() if m == model and not math.isnan(p["score"])}
        mine = [found.get((model, setting, task)) for task in tasks]
        if tasks and all(p and not math.isnan(p["score"]) for p in mine):
            result[model, setting] = {name: mean(p[name] for p in mine) for name in mine[0]} | {
                "n": sum(p["n"] for p in mine),
                "unscored": sum(p["unscored"] for p in mine),
                "harmonic_tps": len(mine) / sum(1 / p["tps"] for p in mine),
                "tasks": len(mine),
            }
    return result


@given(frames())
def test_points_are_the_plain_means(table):
    got = points(table)
    expected = plain_points(table)
    assert len(got) == len(expected)
    for row in got.to_dict("records"):
        want = expected[row["model"], row["setting"], row["task"]]
        assert {name: row[name] for name in want} == pytest.approx(want, nan_ok=True)


@given(frames())
def test_the_mean_curve_is_the_plain_mean_over_tasks(table):
    table = points(table)
    found = {(r["model"], r["setting"], r["task"]): r for r in table.to_dict("records")}
    measures = ("score", "score_strict", "tps", "effective_tps", "nfe", "rows", "n", "unscored")
    expected = plain_curve({key: {name: row[name] for name in measures} for key, row in found.items()})
    got = {(r["model"], r["setting"]): r for r in mean_curve(table).to_dict("records")}
    assert got.keys() == expected.keys()
    for key, want in expected.items():
        assert {name: got[key][name] for name in want} == pytest.approx(want, nan_ok=True)


@given(frames())
def test_the_order_of_rows_changes_nothing(table):
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(points(table), points(shuffled), check_exact=True)


def test_definitions_on_a_hand_made_task():
    table = points(
        frame(
            lane("copy", "threshold:tau=0.5", 0, 1.0, nfe=4, effective_tokens=8),
            lane("copy", "threshold:tau=0.5", 1, 0.0, nfe=16, effective_tokens=8, score_strict=None),
            lane("copy", "threshold:tau=0.5", 2, None, nfe=8, effective_tokens=8),
            lane("copy", "threshold:tau=0.5", 3, None, nfe=0, error="ValueError: x"),
        )
    )
    (row,) = table.to_dict("records")
    assert (row["score"], row["score_strict"]) == (50.0, 100.0)
    assert row["tps"] == pytest.approx((32 / 4 + 32 / 16 + 32 / 8) / 3)
    assert row["effective_tps"] == pytest.approx((8 / 4 + 8 / 16 + 8 / 8) / 3)
    assert (row["n"], row["unscored"]) == (4, 2)


def test_a_setting_that_lacks_a_task_stays_out_of_the_curve_only():
    table = points(
        frame(
            lane("copy", "confidence:k=8", 0, 1.0),
            lane("haiku", "confidence:k=8", 0, 1.0),
            lane("haiku", "confidence:k=64", 0, 1.0, nfe=1),
        )
    )
    assert list(table["setting"]) == ["confidence:k=8", "confidence:k=8", "confidence:k=64"]
    assert list(mean_curve(table)["setting"]) == ["confidence:k=8"]


def test_tasks_are_asked_for_model_by_model():
    table = frame(
        lane("copy", "confidence:k=8", 0, 1.0),
        lane("copy", "confidence:k=8", 0, 1.0, model="n"),
        lane("sort", "confidence:k=8", 0, 1.0, model="n"),
    )
    assert list(mean_curve(points(table))["tasks"]) == [1, 2]


def test_a_task_nobody_could_score_is_named_and_left_out():
    table = points(frame(lane("copy", "confidence:k=8", 0, 1.0), lane("haiku", "confidence:k=8", 0, None)))
    assert missing_tasks(table) == {"m": ["haiku"]}
    (row,) = mean_curve(table).to_dict("records")
    assert (row["tasks"], row["score"]) == (1, 100.0)


def test_a_strict_mean_over_fewer_tasks_is_no_number():
    lanes = [
        lane("copy", "confidence:k=8", 0, 1.0),
        lane("haiku", "confidence:k=8", 0, 1.0, score_strict=None),
    ]
    (row,) = mean_curve(points(frame(*lanes))).to_dict("records")
    assert row["score"] == 100.0 and math.isnan(row["score_strict"])


def test_harmonic_mean_is_not_lifted_by_one_fast_task():
    table = points(
        frame(
            lane("copy", "threshold:tau=0.5", 0, 1.0, nfe=1),
            lane("sort", "threshold:tau=0.5", 0, 1.0, nfe=32),
        )
    )
    (row,) = mean_curve(table).to_dict("records")
    assert row["tps"] == pytest.approx(16.5)
    assert row["harmonic_tps"] == pytest.approx(2 / (1 / 32 + 1))


def test_the_same_lane_from_two_folders_counts_once():
    one = frame(lane("copy", "confidence:k=8", 0, 1.0), lane("copy", "confidence:k=8", 1, 0.0))
    pd.testing.assert_frame_equal(points(pd.concat([one, one])), points(one))


@pytest.mark.parametrize("order", [1, -1])
def test_a_finished_copy_of_a_lane_beats_a_failed_one(order):
    failed = lane("copy", "confidence:k=8", 0, None, nfe=0, error="RuntimeError: boom")
    (row,) = points(frame(*[failed, lane("copy", "confidence:k=8", 0, 1.0)][::order])).to_dict("records")
    assert (row["score"], row["n"], row["unscored"]) == (100.0, 1, 0)


@pytest.mark.parametrize("empty", [pd.DataFrame(), frame(lane("copy", "confidence:k=8", 0, 1.0)).iloc[:0]])
def test_no_lanes_no_points(empty):
    table = points(empty)
    assert table.empty and {"model", "score", "tps", "unscored"} <= set(table.columns)
    assert mean_curve(table).empty


def test_all_unscored_gives_points_and_no_curve():
    table = points(frame(lane("copy", "confidence:k=8", 0, None), lane("sort", "confidence:k=8", 0, None)))
    assert list(table["unscored"]) == [1, 1] and table["score"].isna().all()
    assert mean_curve(table).empty


def test_mixed_profiles_are_refused_by_name():
    lanes = [lane("copy", "confidence:k=8", 0, 1.0, profile=profile) for profile in ("native", "pb2025")]
    with pytest.raises(UsageError, match="profile.*'native', 'pb2025'"):
        points(frame(*lanes))


def test_mixed_task_versions_are_refused_by_name():
    lanes = [lane("copy", "confidence:k=8", i, 1.0, task_version=i + 1) for i in range(2)]
    with pytest.raises(UsageError, match="task_version.*1, 2.*'copy'"):
        points(frame(*lanes))


def test_a_missing_column_is_named():
    with pytest.raises(UsageError, match="no column 'nfe'"):
        points(frame(lane("copy", "confidence:k=8", 0, 1.0)).drop(columns="nfe"))


def test_settings_sort_as_a_person_counts():
    settings = [
        "confidence:k=16",
        "confidence:k=2",
        "threshold:tau=0.95",
        "threshold:tau=0.5",
        "confidence:k=1",
    ]
    assert sorted(settings, key=natural_key) == [
        *("confidence:k=1", "confidence:k=2", "confidence:k=16"),
        *("threshold:tau=0.5", "threshold:tau=0.95"),
    ]
