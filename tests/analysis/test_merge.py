"""What may be merged, what is refused, and what the refusal says."""

import pandas as pd
import pytest

from analysis.frames import frame, lane
from parallelbench.analysis.compare import compare
from parallelbench.analysis.cost import cost
from parallelbench.analysis.curves import READ
from parallelbench.analysis.failures import failure_kinds, kind_of
from parallelbench.analysis.merge import merged, refuse_mixtures
from parallelbench.analysis.oracle import oracle, oracle_gap
from parallelbench.analysis.orders import commits_per_step, kendall, order_statistics, spearman
from parallelbench.analysis.taskmap import order_preference, parallelizability, task_map
from parallelbench.errors import UsageError
from parallelbench.runs.store import Store

ROW = {
    "run_id": "r", "model": "m", "revision": "1", "task": "copy", "task_version": 1, "sample": "s", "sample_index": 0,
    "method": "confidence", "setting": "confidence:k=1", "kind": "static", "seed": 0, "profile": "native",
    "grammar": "none", "numerics": "float32/lowest", "max_tokens": 4, "nfe": 4, "rows": 4, "effective_tokens": 4,
    "score": 1.0, "score_strict": 1.0,
}  # fmt: skip


def stored(directory, *lanes):
    with Store(directory, create=True) as store:
        for number, changes in enumerate(lanes):
            store.add_lane({**ROW, "lane_id": f"{directory.name}{number}", "sample": f"s{number}", **changes})
    return directory


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("profile", "pb2025", r"mix profile values 'native', 'pb2025' \('native' in \S+a; 'pb2025' in \S+b\)"),
        ("task_version", 2, r"mix task_version values 1, 2 of task 'copy'.*give one version"),
        ("grammar", "harper-0.2.0", r"mix grammar values 'harper-0.2.0', 'none' of task 'copy'"),
        ("seed", 1, r"mix seed values 0, 1 of task 'copy' \(0 in \S+a; 1 in \S+b\); give one seed at a time"),
        ("revision", "2", r"mix revision values '1', '2' of model 'm'"),
        ("numerics", "model/torch", r"mix numerics values .* of model 'm' and setting 'confidence:k=1'"),
    ],
)
def test_directories_that_measure_different_things_are_refused_by_field(tmp_path, field, value, told):
    a = stored(tmp_path / "a", {})
    b = stored(tmp_path / "b", {field: value, "sample": "other"})
    for only in (None, READ):
        with pytest.raises(UsageError, match=told):
            refuse_mixtures(merged([a, b], only=only))
        refuse_mixtures(merged([a], only=only))


def test_a_directory_that_mixes_is_refused_however_it_is_read(tmp_path):
    a = stored(tmp_path / "a", {}, {"profile": "pb2025"})
    b = stored(tmp_path / "b", {}, {"sample": "s0"})
    for only in (None, READ):
        with pytest.raises(UsageError, match="mix profile values 'native', 'pb2025'; give one profile at a time"):
            refuse_mixtures(merged([a], only=only))
        with pytest.raises(UsageError, match="mix lane_id values 'b0', 'b1' of one sample, 's0' under"):
            refuse_mixtures(merged([b], only=only))


def test_other_models_tasks_and_settings_merge(tmp_path):
    a = stored(tmp_path / "a", {}, {"task": "sort", "seed": 1, "grammar": "x", "task_version": 3})
    b = stored(tmp_path / "b", {"model": "n", "revision": "9"}, {"setting": "random:k=2", "method": "random"})
    table = merged([a, b])
    refuse_mixtures(table)
    assert list(table["lane_id"]) == ["a0", "a1", "b0", "b1"]
    assert list(table["directory"]) == [str(a), str(a), str(b), str(b)]


def test_a_sample_decoded_by_two_versions_is_refused(tmp_path):
    a, b = (stored(tmp_path / name, {}) for name in "ab")
    with pytest.raises(UsageError, match="mix lane_id values 'a0', 'b0' of one sample, 's0' under 'confidence:k=1'"):
        refuse_mixtures(merged([a, b]))


def test_the_same_lane_twice_counts_once_the_finished_copy_first(tmp_path):
    a = stored(tmp_path / "a", {"lane_id": "x", "error": "boom", "score": None})
    b = stored(tmp_path / "b", {"lane_id": "x"})
    (row,) = merged([a, b]).to_dict("records")
    assert row["score"] == 1 and row["directory"] == str(b)


def test_nothing_to_merge_is_told():
    with pytest.raises(UsageError, match="No run directory given"):
        merged([])


def pair_of_sides(**changes):
    return frame(*(lane("copy", "confidence:k=2", i, 1.0) for i in range(3))), frame(
        *(lane("copy", "threshold:tau=0.5", i, 0.0, **changes) for i in range(3))
    )


def test_sides_pair_by_what_they_share():
    a, b = pair_of_sides()
    found = compare(a, b, 50)
    assert (found["shared"], found["n"], found["score"]["difference"]) == (["model"], 3, -100)
    assert [row["sample"] for row in found["flipped"]] == ["copy/000", "copy/001", "copy/002"]
    assert compare(a, pair_of_sides(model="n")[1], 50)["shared"] == []
    assert compare(a, a, 50)["shared"] == ["model", "setting"]


def test_samples_without_a_partner_are_left_out_and_counted():
    a, b = pair_of_sides()
    b.loc[1, "score"] = None
    found = compare(a, b.iloc[:2], 50)
    assert (found["n"], found["only_a"], found["only_b"]) == (1, 2, 1)


def test_sides_that_cannot_be_paired_are_refused():
    a, b = pair_of_sides()
    more = frame(lane("copy", "threshold:tau=0.5", 0, 1.0), lane("copy", "threshold:tau=0.9", 0, 1.0))
    with pytest.raises(UsageError, match=r"share no setting and B has several \(threshold:tau=0.5, threshold:tau=0.9"):
        compare(a, more)
    with pytest.raises(UsageError, match="No scored sample is on both sides"):
        compare(a, b.assign(sample="elsewhere/" + b["sample"], lane_id="x" + b["lane_id"]))
    with pytest.raises(UsageError, match="bootstrap=0"):
        compare(a, b, 0)


EMPTY = frame(lane("copy", "confidence:k=2", 0, 1.0)).iloc[:0].assign(commit_step=[], revisions=[], parts=[])


@pytest.mark.parametrize(
    "function", [oracle, oracle_gap, task_map, order_statistics, commits_per_step, failure_kinds, cost]
)
def test_no_lanes_give_an_empty_table_with_its_columns(function):
    table = function(EMPTY)
    assert table.empty and {"task", "lanes", "share"} & set(table.columns)


def test_one_point_and_failed_lanes_give_what_can_be_told():
    rows = [lane("copy", "confidence:k=2", i, 1.0) for i in range(2)]
    rows.append(lane("copy", "confidence:k=2", 2, None, nfe=0, error="boom"))
    table = frame(*rows).assign(
        commit_step=[[0, 0, 1, 1], [0, 0, 0, 0], None], revisions=[[], [], None], parts=[{}] * 3
    )
    (every, mean, *_) = oracle(table).to_dict("records")
    assert (every["score"], every["samples"], mean["task"]) == (100, 2, "mean")
    assert oracle_gap(table).empty, "one setting has nothing to choose"
    (place,) = task_map(table).to_dict("records")
    assert place["parallelizability"] == 2 and pd.isna(place["order_preference"])
    (order,) = order_statistics(table).to_dict("records")
    assert order["n"] == 1 and order["kendall"] > 0, "all in one step has no order"
    (spent,) = cost(table).to_dict("records")
    assert (spent["lanes"], spent["failed"], spent["forwards"]) == (3, 1, 16)
    failed = table.iloc[2:]
    assert oracle(failed).empty and order_statistics(failed).empty and task_map(failed).empty
    assert cost(failed).iloc[0]["forwards"] == 0


def test_columns_that_were_not_read_are_asked_for():
    table = frame(lane("copy", "confidence:k=2", 0, 1.0))
    with pytest.raises(UsageError, match="no commit_step and no revisions"):
        order_statistics(table)
    with pytest.raises(UsageError, match="no parts"):
        failure_kinds(table)


def test_orders_at_their_ends():
    import numpy as np

    steps = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 0, 0], [0, 1, np.nan, 2], [np.nan] * 4])
    assert kendall(steps) == pytest.approx([1, -1, np.nan, 1, np.nan], nan_ok=True)
    assert spearman(steps) == pytest.approx([1, -1, np.nan, 1, np.nan], nan_ok=True)
    assert parallelizability([1, 2], [50, 100]) == pytest.approx(5 / 3)
    assert np.isnan(parallelizability([1, 2], [0, 0])) and np.isnan(order_preference([8, 8], [1, 2]))
    assert order_preference([2, 4], [100, 90]) == 5


@pytest.mark.parametrize(
    ("why", "grammar", "kind"),
    [
        ("not decoded: RuntimeError: x", None, "not decoded"), ("unscored: away", None, "unscored"),
        ("not asked format: text outside the list", None, "format"), ("no list found", None, "no list or grid"),
        ("found 3 items, expected 4", None, "wrong length"), ("row 2 has 3 cells, expected 4", None, "wrong length"),
        ("item 2 is 'a', expected 'b'", None, "wrong item"), ("'An O\\nk' is not in the line", None, "invented item"),
        ("row 1 holds 'x', which is no symbol", None, "invented item"), ("'Maria' is missing", None, "lost item"),
        ("missing: pot, stir", 1.0, "lost item"), ("column 3 repeats symbol 4", None, "repeated item"),
        ("the order has not changed", None, "nothing changed"), ("more than one sentence", 1.0, "several sentences"),
        ("doubled word 'the'", 0.0, "grammar"), ("who knows", None, "other"),
    ],
)  # fmt: skip
def test_remarks_have_a_kind(why, grammar, kind):
    assert kind_of(why, grammar) == kind
