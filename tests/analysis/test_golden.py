"""Every statistic of a committed run directory, recomputed from its rows in plain Python."""

import json
import math
import random
import re
import sqlite3
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from statistics import correlation, fmean, linear_regression

import pytest

from analysis.test_pbx import plain_pbx
from parallelbench.analysis import compare, cost, failures, merge, oracle, orders, taskmap
from parallelbench.analysis.curves import COSTS, READ
from parallelbench.analysis.groups import group_curves
from parallelbench.analysis.pbx import PBS, best_per_model, leaderboard
from parallelbench.runs.signature import frame_signature
from parallelbench.runs.store import EXTRA

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden_run"


def read_rows():
    connection = sqlite3.connect(GOLDEN / "lanes.sqlite")
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM lanes")]
    connection.close()
    for row in rows:
        for name in ("parts", "commit_step", "revisions"):
            row[name] = json.loads(row[name])
        row["tps"] = row["max_tokens"] / row["nfe"] if row["error"] is None else None
    return rows


ROWS = read_rows()
TASKS = sorted({row["task"] for row in ROWS})
SETTINGS = sorted({row["setting"] for row in ROWS})
METHODS = sorted({row["method"] for row in ROWS})


@pytest.fixture(scope="module")
def frame():
    return merge.merged([GOLDEN], EXTRA)


def where(**values):
    return [row for row in ROWS if all(row[name] == value for name, value in values.items())]


def mean_of(rows, name):
    return fmean(row[name] for row in rows if row[name] is not None)


def point(setting, task):
    rows = where(setting=setting, task=task)
    return 100 * mean_of(rows, "score"), mean_of(rows, "tps")


def records(table, *keys):
    return {tuple(row[key] for key in keys): row for row in table.to_dict("records")}


def test_the_fixture_holds_what_statistics_stumble_over():
    assert len(ROWS) == 15 * 4 * 4
    assert {row["kind"] for row in ROWS} == {"static", "adaptive", "revising"}
    assert sum(row["error"] is not None for row in ROWS) == 1
    assert sum(row["score"] is None for row in ROWS) == 2
    assert any(row["revisions"] for row in ROWS)
    assert 0.2 < mean_of(ROWS, "score") < 0.9


def test_pbx_with_interpolation():
    entries = {entry["method"]: entry for entry in leaderboard(merge.merged([GOLDEN]), 0)}
    kinds = {row["method"]: row["kind"] for row in ROWS}
    assert set(entries) == set(METHODS)
    for method, entry in entries.items():
        pairs = []
        for setting in {row["setting"] for row in where(method=method)}:
            score, speed = zip(*(point(setting, task) for task in TASKS), strict=True)
            pairs.append((fmean(speed), fmean(score)))
        for x in PBS:
            assert entry[f"PB{x}"] == pytest.approx(plain_pbx(pairs, x, kinds[method])), (method, x)
    assert any(entries["threshold"][f"PB{x}"] not in [t for t, _ in pairs] for x in PBS), "something is interpolated"


def test_a_leaderboard_of_few_columns_is_the_same_one():
    for against in COSTS:
        few, whole = (leaderboard(merge.merged([GOLDEN], only=only), 50, against=against) for only in (READ, None))
        assert few == whole
    assert frame_signature(merge.merged([GOLDEN], only=READ)) == frame_signature(merge.merged([GOLDEN]))


def test_the_best_method_of_a_model():
    entries = leaderboard(merge.merged([GOLDEN]), 200)
    found = {row["pbx"]: row for row in best_per_model(entries)}
    for name in (f"PB{x}" for x in PBS):
        values = {entry["method"]: entry[name] for entry in entries}
        assert found[name]["method"] == max(values, key=values.get)
        low = found[name]["interval"][0]
        level = {e["method"] for e in entries if e["intervals"][name][1] >= low} - {found[name]["method"]}
        assert set(found[name]["level"]) == level


def plain_oracle(rows):
    """{task: (score, speed, forwards)} of the cheapest best lane of every sample."""
    by_task = defaultdict(list)
    for task, sample in sorted({(row["task"], row["sample"]) for row in rows}):
        mine = [row for row in rows if row["sample"] == sample and row["score"] is not None]
        best = max(row["score"] for row in mine)
        nfe = min(row["nfe"] for row in mine if row["score"] == best)
        by_task[task].append((100 * best, mine[0]["max_tokens"] / nfe, nfe))
    return {task: tuple(map(fmean, zip(*found, strict=True))) for task, found in by_task.items()}


@pytest.mark.parametrize("scope", [*METHODS, oracle.EVERY])
def test_the_oracle(frame, scope):
    got = records(oracle.oracle(frame), "scope", "task")
    want = plain_oracle(ROWS if scope == oracle.EVERY else where(method=scope))
    want[oracle.MEAN] = tuple(map(fmean, zip(*want.values(), strict=True)))
    for task, values in want.items():
        row = got[scope, task]
        assert (row["score"], row["tps"], row["nfe"]) == pytest.approx(values), (scope, task)
    assert got[scope, oracle.MEAN]["samples"] == 16


def test_the_share_of_the_oracle_that_one_setting_realises(frame):
    got = records(oracle.oracle_gap(frame), "method", "task")
    assert len(got) == len(METHODS) * (len(TASKS) + 1)
    for method in METHODS:
        settings = sorted({row["setting"] for row in where(method=method)})
        ideal = plain_oracle(where(method=method))
        for task in TASKS:
            points = {setting: point(setting, task) for setting in settings}
            best = max(points.values())
            row = got[method, task]
            assert points[row["setting"]] == best
            assert row["share"] == pytest.approx(best[1] / ideal[task][1])
            assert row["oracle_score"] >= row["score"] - 1e-9
        means = [tuple(map(fmean, zip(*(point(s, task) for task in TASKS), strict=True))) for s in settings]
        best = max(means, key=lambda pair: (round(pair[0], 9), pair[1]))
        whole = got[method, oracle.MEAN]
        assert (whole["score"], whole["tps"]) == pytest.approx(best)
        assert whole["oracle_tps"] == pytest.approx(fmean(tps for _, tps, _ in ideal.values()))


@pytest.mark.parametrize("method", ["confidence", "random"])
def test_parallelizability_and_order_preference(frame, method):
    got = records(taskmap.task_map_parts(frame), "method", "task")
    assert {key[0] for key in got} == {"confidence", "random"}, "threshold and wino fix no k"
    for task in TASKS:
        scores = {k: point(f"{method}:k={k}", task)[0] for k in (1, 2, 4, 16)}
        row = got[method, task]
        assert row["parallelizability"] == pytest.approx(sum(k * s for k, s in scores.items()) / sum(scores.values()))
        assert row["ks"] == 4
        if method == "random":
            assert row["blocks"] == 1 and math.isnan(row["order_preference"])
            continue
        length = where(task=task)[0]["max_tokens"]
        blocks = {2: "confidence:k=2,block=2", 8: "confidence:k=2,block=8", length: "confidence:k=2"}
        slope = linear_regression(list(blocks), [point(setting, task)[0] for setting in blocks.values()]).slope
        assert row["order_preference"] == pytest.approx(-slope)
    assert any(abs(row["order_preference"]) > 0.1 for row in got.values())


def test_the_task_map_averages_methods_that_have_a_coordinate(frame):
    parts = records(taskmap.task_map_parts(frame), "method", "task")
    for row in taskmap.task_map(frame).to_dict("records"):
        both = [parts[method, row["task"]] for method in ("confidence", "random")]
        assert row["parallelizability"] == pytest.approx(fmean(part["parallelizability"] for part in both))
        assert row["order_preference"] == pytest.approx(both[0]["order_preference"])
        assert (row["models"], row["methods"]) == (1, 2)


def plain_kendall(steps):
    known = [(place, step) for place, step in enumerate(steps) if step >= 0]
    signs = [(b > a) - (b < a) for (_, a), (_, b) in combinations(known, 2)]
    scale = math.sqrt(len(signs) * sum(map(abs, signs)))
    return sum(signs) / scale if scale else None


def plain_spearman(steps):
    known = [step for step in steps if step >= 0]
    if len(set(known)) < 2:
        return None
    ranks = [sum(other < step for other in known) + (known.count(step) + 1) / 2 for step in known]
    return correlation(range(len(known)), ranks)


def test_decoding_orders(frame):
    got = records(orders.order_statistics(frame), "setting", "task")
    assert len(got) == len(SETTINGS) * len(TASKS)
    for (setting, task), row in got.items():
        done = [r for r in where(setting=setting, task=task) if r["error"] is None]
        cut = {"": lambda r: r["commit_step"], "_text": lambda r: r["commit_step"][: r["effective_tokens"]]}
        for suffix, steps in cut.items():
            for name, plain in (("kendall", plain_kendall), ("spearman", plain_spearman)):
                values = [value for r in done if (value := plain(steps(r))) is not None]
                want = fmean(values) if values else math.nan
                assert row[name + suffix] == pytest.approx(want, nan_ok=True), (setting, task, name, suffix)
        assert row["first_step"] == pytest.approx(fmean(r["commit_step"].count(0) / r["max_tokens"] for r in done))
        assert row["revised"] == pytest.approx(fmean(len(r["revisions"]) for r in done))
        assert row["n"] == sum(plain_kendall(r["commit_step"]) is not None for r in done)


def test_commits_per_step(frame):
    got = records(orders.commits_per_step(frame), "setting", "task", "step")
    want = {}
    for setting in SETTINGS:
        for task in TASKS:
            done = [r for r in where(setting=setting, task=task) if r["error"] is None]
            counts = Counter(step for r in done for step in r["commit_step"])
            counts += Counter(revision[2] for r in done for revision in r["revisions"])
            for step in range(max(r["nfe"] for r in done)):
                running = sum(r["nfe"] > step for r in done)
                want[setting, task, step] = counts[step] / running, running
    assert {key: row["lanes"] for key, row in got.items()} == {key: lanes for key, (_, lanes) in want.items()}
    assert {k: row["commits"] for k, row in got.items()} == pytest.approx(
        {k: commits for k, (commits, _) in want.items()}
    )


def test_failure_kinds(frame):
    got = records(failures.failure_kinds(frame), "setting", "task", "failure")
    told = {
        "not decoded": "^not decoded", "unscored": "^unscored", "invented item": "is not in the line$",
        "repeated item": "twice|repeats symbol", "lost item": "is missing$|^missing: ",
    }  # fmt: skip
    for setting in SETTINGS:
        for task in TASKS:
            mine = where(setting=setting, task=task)
            want = Counter(name[9:] for r in mine for name in r["parts"] if name.startswith("failure: "))
            for r in mine:
                kinds = [kind for kind, pattern in told.items() if re.search(pattern, r["why"])]
                if r["why"] and not kinds:
                    assert r["parts"].get("grammar") == 0 or "not asked format" in r["why"], r["why"]
                    kinds = ["grammar" if r["parts"].get("grammar") == 0 else "format"]
                want.update(kinds)
            found = {kind: row["lanes"] for (s, t, kind), row in got.items() if (s, t) == (setting, task)}
            assert found == want
    row = got["confidence:k=16", "puzzle/latin_square", "repeated item"]
    assert (row["k"], row["n"], row["share"]) == (16, 4, row["lanes"] / 4)
    assert all(math.isnan(row["k"]) for (setting, _, _), row in got.items() if setting.startswith("threshold"))


def test_cost(frame):
    got = records(cost.cost(frame), "setting")
    assert list(got)[:4] == [(f"confidence:k={k}",) for k in (1, 2)] + [
        ("confidence:k=2,block=2",), ("confidence:k=2,block=8",)
    ]  # fmt: skip
    for setting in SETTINGS:
        row, mine = got[setting,], where(setting=setting)
        done = [r for r in mine if r["error"] is None]
        assert (row["lanes"], row["failed"]) == (16, len(mine) - len(done))
        assert row["forwards"] == sum(r["nfe"] for r in done)
        assert row["nfe"] == pytest.approx(mean_of(done, "nfe")) and row["rows"] == pytest.approx(mean_of(done, "rows"))
        seconds = sum(r["seconds"] for r in done)
        assert row["seconds"] == pytest.approx(seconds)
        assert row["tokens_a_second"] == pytest.approx(sum(r["effective_tokens"] for r in done) / seconds)


def test_the_paired_comparison(frame):
    a, b = "confidence:k=2", "threshold:tau=0.4"
    found = compare.compare(frame[frame["setting"] == a], frame[frame["setting"] == b], 4000)
    assert found["n"] == 16 and found["shared"] == ["model"]
    assert found["differ"]["setting"] == [[a], [b]]
    differences = {}
    for task in TASKS:
        sides = [{r["sample"]: r for r in where(setting=s, task=task)} for s in (a, b)]
        differences[task] = [100 * (sides[1][name]["score"] - sides[0][name]["score"]) for name in sorted(sides[0])]
    rows = {row["task"]: row for row in found["tasks"]}
    for task, values in differences.items():
        assert rows[task]["difference"] == pytest.approx(fmean(values))
        assert (rows[task]["gained"], rows[task]["lost"]) == (values.count(100), values.count(-100))
    assert found["score"]["difference"] == pytest.approx(fmean(map(fmean, differences.values())))
    assert len(found["flipped"]) == sum(abs(d) == 100 for values in differences.values() for d in values) > 0
    draw = random.Random(1)
    means = sorted(fmean(fmean(draw.choices(v, k=4)) for v in differences.values()) for _ in range(4000))
    assert found["score"]["interval"] == pytest.approx([means[100], means[3900]], abs=6.3), "a step is 6.25 points"
    assert found["moved"] == [t for t in TASKS if rows[t]["interval"][0] > 0 or rows[t]["interval"][1] < 0]


def test_group_curves(frame):
    groups = {"two": ["waiting_line/copy", "puzzle/latin_square"]}
    got = records(group_curves(frame, groups, 50), "setting")
    for setting in SETTINGS:
        score, speed = zip(*(point(setting, task) for task in groups["two"]), strict=True)
        row = got[setting,]
        assert (row["score"], row["tps"]) == pytest.approx((fmean(score), fmean(speed)))
        assert row["low"] <= row["score"] <= row["high"]
