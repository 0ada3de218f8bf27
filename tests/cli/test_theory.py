"""`pb theory`, and what it says against what the real loop does."""

import json
import time
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from typer.testing import CliRunner

from parallelbench.cli.main import app
from parallelbench.cli.theory_divergence import measure
from parallelbench.cli.theory_estimate import estimates
from parallelbench.cli.theory_runs import bench, finished, infill, item_denoiser, item_lanes
from parallelbench.cli.theory_subjects import encoder, find
from parallelbench.cli.theory_table import table_rows
from parallelbench.cli.theory_validate import save, summary, validation
from parallelbench.decoding import parse_method
from parallelbench.errors import UsageError
from parallelbench.models.registry import word_tokenizer
from parallelbench.models.words import EOS
from parallelbench.theory.bounds import frontier
from parallelbench.theory.ceiling import Ceiling
from parallelbench.theory.distribution import TableDistribution
from parallelbench.theory.divergence import divergence, induced_by_partition
from parallelbench.theory.intervals import binomial_interval
from parallelbench.theory.measures import partition_bound, partition_of
from parallelbench.theory.operations import operation, rows_of
from theory import brute


def run(*arguments):
    return CliRunner().invoke(app, ["theory", *map(str, arguments)], catch_exceptions=False)


def run_json(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_bounds_as_json():
    found = run_json("bounds", "--task", "shuffle", "--n", 4)
    assert (found["task"], found["n"], found["exact"]) == ("shuffle", 4, True)
    assert found["H"] == pytest.approx(4.584963, abs=1e-6) and found["C"] == pytest.approx(3.415037, abs=1e-6)
    assert list(found["L_star"].values()) == pytest.approx([3.415037, 1.415037, 0.415037, 0], abs=1e-6)
    assert [len(steps) for steps in found["partition"].values()] == [1, 2, 3, 4]


def test_bounds_of_a_benchmark_task_are_averages_over_its_samples():
    found = run_json("bounds", "--task", "waiting_line/replace_random", "--samples", 8)
    assert found["samples"] == 8 and found["exact"]
    expected = np.zeros(4)
    for n in (3, 4, 5, 6):
        rows = rows_of(operation("replace_random", n)).rows
        names = TableDistribution(np.hstack([rows, rows + 100]), [1.0] * n)  # a name is two tokens
        expected += np.array(frontier(names, 4).values) / 4
    assert [found["L_star"][str(t)] for t in range(1, 5)] == pytest.approx(expected, abs=1e-9)


def test_through_a_tokenizer_fixed_text_costs_nothing():
    item, text = (
        run_json("bounds", "--task", "insert_random", "--n", 4),
        run_json("bounds", "--task", "insert_random", "--n", 4, "--tokens", "bytes"),
    )
    assert text["tokens"] == "bytes"
    assert text["C"] == pytest.approx(item["C"], abs=1e-9)


def test_ceilings_and_policy_as_json():
    found = run_json("ceiling", "--task", "replace_random", "--n", 4, "--policy")
    assert list(found["t1"].values()) == pytest.approx([0.421875, 0.84375, 0.9375, 1], abs=1e-6)
    assert list(found["greedy"].values()) == pytest.approx([0, 1, 1, 1], abs=1e-6)
    first = found["policy"]["greedy"]["2"][0]
    assert first["left"] == 2 and first["value"] == pytest.approx(1) and len(first["commit"]) == 3
    assert first["entropy"] == pytest.approx([2 - 0.75 * np.log2(3)] * 4) and first["by_size"]["4"] == 0
    assert "best with" in run("ceiling", "--task", "replace_random", "--n", 3, "--policy").output


@pytest.mark.parametrize("operation_name", ["replace_random", "insert_random", "remove_random", "shuffle"])
def test_waiting_line_ceilings_are_exact(operation_name):
    found = run_json("ceiling", "--task", f"waiting_line/{operation_name}", "--samples", 8)
    assert found["exact"]
    for kind in ("t1", "greedy"):
        values = list(found[kind].values())
        assert values == sorted(values) and values[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ceiling", "--task", "insert_random", "--n", 18), ["n=12 works"]),
        (("ceiling", "--task", "waiting_line/shuffle", "--n", 9), ["362,880", "n=7 works"]),
        (("bounds", "--task", "shuffle", "--n", 21), ["n goes from 2 to 20"]),
        (("bounds", "--task", "shufle"), ["Did you mean 'shuffle'"]),
        (("bounds", "--task", "synthetic/markov@tokens=1"), ["2 to 64"]),
        (("bounds", "--task", "synthetic/markov@size=3"), ["Unknown option"]),
        (("ceiling", "--task", "synthetic/markov", "--n", 30), ["too many to list", "works"]),
        (("ceiling", "--task", "latin_square", "--n", 5), ["n goes from 2 to 4"]),
        (("divergence", "--task", "shuffle", "--n", 9, "--method", "confidence:k=3"), ["n=7 works"]),
        (("divergence", "--task", "shuffle", "--n", 4, "--method", "random:k=2,temperature=0.5"), ["temperature 1"]),
        (("divergence", "--task", "shuffle", "--n", 4, "--method", "confidence:k=3"), ["does not divide"]),
        (("estimate", "--task", "copy", "--method", "random:k=2"), ["left_to_right"]),
        (("validate", "--model", "idael", "--lanes", 1), ["Did you mean 'ideal'"]),
    ],
)
def test_what_is_out_of_reach_is_refused_at_once(arguments, words):
    began = time.process_time()
    result = run(*arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert time.process_time() - began < 1


OPTIMAL = ["replace_random", "insert_random", "remove_random", "shuffle", "shuffle_distinct"]


@pytest.mark.parametrize("name", OPTIMAL)
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0, 1])
def test_optimal_reaches_the_ceiling_through_the_loop(name, steps, temperature):
    table = rows_of(operation(name, 4))
    denoiser = item_denoiser(table)
    method = parse_method(f"optimal:T={steps},temperature={temperature}")
    answers = {tuple(row) for row in table.rows.tolist()}
    ended = list(finished(denoiser, item_lanes(denoiser, table.length, method, 300, seed=5)))
    assert max(trajectory.nfe for trajectory in ended) <= steps
    low, high = binomial_interval(sum(t.tokens in answers for t in ended), 300, coverage=0.999)
    assert low <= Ceiling(table, float(temperature)).value(steps) <= high


def test_optimal_needs_a_policy():
    from parallelbench.decoding import Lane, decode
    from parallelbench.models.scripted import ScriptedDenoiser, random_script

    with pytest.raises(UsageError, match="needs policy"):
        list(decode(ScriptedDenoiser(random_script(0, 6, 8), 6), [Lane("a", (1,), 4, parse_method("optimal:T=2"))]))


@pytest.mark.parametrize("setting", ["confidence:k=2", "margin:k=1", "random:k=2", "threshold:tau=0.5", "factor:f=1"])
@pytest.mark.parametrize("name", ["shuffle", "replace_random"])
def test_no_partition_of_the_loop_loses_less_than_the_frontier(name, setting):
    answers = operation(name, 4)
    denoiser = item_denoiser(rows_of(answers))
    best = frontier(answers).values
    method = parse_method(setting)
    for trajectory in finished(denoiser, item_lanes(denoiser, 4, method, 40, seed=1)):
        partition = partition_of(trajectory.commit_step)
        assert partition_bound(answers, partition) >= best[len(partition) - 1] - 1e-9


def kept_positions(name, k, chance, drawn):
    """[(positions, probability)] a top-k method commits, given marginals and drawn tokens; ties to the lowest."""
    hidden = sorted(chance)
    if name == "random":
        ways = list(combinations(hidden, min(k, len(hidden))))
        return [(way, Fraction(1, len(ways))) for way in ways]

    def score(j):
        ranked = [0, *sorted(chance[j].values())]
        return {
            "left_to_right": -j,
            "confidence": chance[j][drawn[j]],
            "margin": ranked[-1] - ranked[-2],
            "entropy": round(sum(float(p) * np.log2(float(p)) for p in ranked if p), 9),
        }[name]

    return [(sorted(hidden, key=lambda j: (-score(j), j))[:k], Fraction(1))]


def slow_divergence(answers, name, k):
    """Every joint draw of every canvas in exact fractions."""
    length = len(next(iter(answers)))
    level, out = {(): Fraction(1)}, Counter()
    while level:
        following = Counter()
        for shown, mass in level.items():
            visible = dict(shown)
            chance = {j: brute.marginal(answers, visible, j) for j in range(length) if j not in visible}
            for tokens in product(*chance.values()):
                drawn = dict(zip(chance, tokens, strict=True))
                weight = np.prod([chance[j][v] for j, v in drawn.items()], dtype=object)
                for kept, way in kept_positions(name, k, chance, drawn):
                    after = {**visible, **{j: drawn[j] for j in kept}}
                    if brute.fitting(answers, after):
                        following[tuple(sorted(after.items()))] += mass * weight * way
        level = {shown: mass for shown, mass in following.items() if len(shown) < length}
        for shown, mass in following.items():
            if len(shown) == length:
                out[tuple(v for _, v in shown)] += mass
    return [float(out[y]) for y in answers]


SMALL = [("shuffle", 3, 1), ("shuffle", 4, 2), ("replace_random", 4, 2), ("remove_random", 4, 3)]


@pytest.mark.parametrize("name", ["random", "left_to_right", "confidence", "margin", "entropy"])
@pytest.mark.parametrize(("task", "n", "k"), SMALL)
def test_divergence_of_every_static_method_against_brute_force(name, task, n, k):
    table = rows_of(operation(task, n))
    slow = slow_divergence({tuple(row): 1 for row in table.rows.tolist()}, name, k)
    expected = divergence(table.weights, np.array(slow))
    found = measure(find(task, n, None, 1, 0), f"{name}:k={k}", lanes=1, seed=0)
    assert found["exact"]
    for key in ("kl", "total_variation", "correct"):
        assert found[key] == pytest.approx(getattr(expected, key), abs=1e-9)


@pytest.mark.parametrize("name", ["shuffle", "shuffle_distinct", "replace_random", "insert_random", "remove_random"])
def test_theorem_1_for_a_method_with_a_fixed_partition(name):
    table = rows_of(operation(name, 4))
    for k in (k for k in range(1, table.length + 1) if table.length % k == 0):
        partition = [list(range(start, start + k)) for start in range(0, table.length, k)]
        found = measure(find(name, 4, None, 1, 0), f"left_to_right:k={k}", lanes=1, seed=0)
        assert found["exact"] and found["kl"] == pytest.approx(partition_bound(table, partition), abs=1e-9)
        assert found["correct"] == pytest.approx(induced_by_partition(table, partition).sum(), abs=1e-9)


def test_trees_too_large_are_sampled_and_agree_with_the_exact_tree(monkeypatch):
    exact = measure(find("shuffle", 4, None, 1, 0), "confidence:k=2", lanes=1, seed=0)
    monkeypatch.setattr("parallelbench.cli.theory_divergence.DRAWS_EACH", 1)
    sampled = measure(find("shuffle", 4, None, 1, 0), "confidence:k=2", lanes=1000, seed=0)
    assert exact["exact"] and not sampled["exact"] and sampled["lanes"] == 1000
    low, high = sampled["intervals"]["correct"]
    assert low <= exact["correct"] <= high
    assert sampled["kl"] == pytest.approx(exact["kl"], abs=0.25)
    assert sampled["total_variation"] == pytest.approx(exact["total_variation"], abs=0.05)


def test_a_chain_has_the_same_commands():
    task = "synthetic/markov@tokens=3,stickiness=0.8,forbidden=1"
    assert run_json("bounds", "--task", task, "--n", 5)["C"] > 0.5
    ceilings = run_json("ceiling", "--task", task, "--n", 4)
    assert ceilings["t1"]["1"] < ceilings["t1"]["2"] <= ceilings["t1"]["4"] == pytest.approx(1)
    found = run_json("divergence", "--task", task, "--n", 4, "--method", "left_to_right:k=2")
    chain = find(task, 4, None, 1, 0).parts[0][0]
    assert found["kl"] == pytest.approx(partition_bound(chain, [[0, 1], [2, 3]]), abs=1e-9)


TASKS = ["waiting_line/copy", "waiting_line/shuffle", "waiting_line/insert_random", "waiting_line/remove_random"]


def test_the_estimate_of_the_ideal_denoiser_is_the_total_correlation():
    rows = estimates("ideal", TASKS, "left_to_right:k=32", 16, 0, lambda *_: None)
    assert len(rows) == len(TASKS)
    for row in rows:
        low, high = row["interval"]
        assert low - 1e-3 <= row["exact"] <= high + 1e-3, row
        assert (row["exact"] == pytest.approx(0, abs=1e-9)) == (not row["task"].endswith(("shuffle", "random")))
    one_by_one = estimates("ideal", ["waiting_line/shuffle"], "left_to_right:k=1", 4, 0, lambda *_: None)
    assert one_by_one[0]["bits"] == pytest.approx(0, abs=1e-4)


def test_an_infilled_list_masks_its_items_alone():
    words = word_tokenizer()
    asked = infill("replace_random", 5, words, EOS)
    shown = [*asked.region]
    for slot, item in zip(asked.slots, asked.items, strict=True):
        shown[slot] = item
    assert words.decode([token for token in shown if token != EOS]) == '["A", "B", "C", "D", "E"]'
    assert len(asked.region) % 10 == 0
    shown[asked.slots[2]] = asked.newcomer
    assert asked.correct(shown)
    shown[asked.slots[3]] = asked.newcomer
    assert not asked.correct(shown)


def test_a_tokenizer_that_splits_letters_is_refused():
    class Two:
        def encode(self, text):
            return [token for letter in text for token in (ord(letter), 500 - ord(letter))]

    with pytest.raises(UsageError, match="as one token"):
        infill("shuffle", 3, Two(), 0)


def test_validation_covers_every_method_and_saves_what_it_found(tmp_path):
    points = validation("ideal", 40, 3, 3, lambda *_: None)
    told = summary(points, "ideal")
    assert told["points_in_all"] == len(points) == 4 * (2 * 3 - 1) + 4 * 13
    assert told["inside"] >= 0.95 * len(points), told["text"]
    pytest.importorskip("altair")
    files = save(points, tmp_path / "out", "ideal", "fig2")
    assert [file.name for file in files] == ["fig2.csv", "fig2.svg", "fig2.png"]
    assert len(files[0].read_text().splitlines()) == len(points) + 1
    assert files[1].read_text().startswith("<svg") and files[2].read_bytes().startswith(b"\x89PNG")


def test_table_1_agrees_in_all_three_columns():
    rows = table_rows(4, 100, 1, lambda *_: None)
    assert {row["operation"] for row in rows} == {"copy", "replace_index", "replace_random", "shuffle"}
    assert sum(row["agrees"] for row in rows) >= len(rows) - 1
    pairs = next(r for r in rows if r["operation"] == "shuffle" and r["quantity"] == "accuracy, k=2")
    assert pairs["formula"] == pairs["exact"] == pytest.approx(3 / 8)


def test_the_ideal_denoiser_knows_any_length():
    ready = bench("ideal", {"shuffle": [17]})
    assert ready.correct("shuffle", 17, parse_method("confidence:k=1"), 3, 0) == 3


def test_encoders_have_names():
    assert encoder(None).name == encoder("words").name == "words"
    assert list(encoder("bytes").encode("ab")) == [97, 98]
    with pytest.raises(UsageError, match="Unknown model"):
        encoder("wrods")


def test_the_leaderboard_shows_the_best_possible(tmp_path):
    from parallelbench.runs.execute import run as execute
    from parallelbench.runs.plan import RunSettings

    methods = ("confidence:k=8", "confidence:k=32", "optimal:T=4", "confidence:k=32,temperature=1")
    tasks = ("waiting_line/replace_random", "waiting_line/copy", "words_to_sentence/easy")
    execute(RunSettings(tasks=tasks, methods=methods, samples=8), tmp_path)
    result = CliRunner().invoke(app, ["leaderboard", str(tmp_path), "--ceiling", "--json"], catch_exceptions=False)
    points = {(p["setting"], p["task"]): p for entry in json.loads(result.stdout) for p in entry["points"]}
    assert points["confidence:k=32", "words_to_sentence/easy"]["ceiling"] is None
    assert points["confidence:k=32", "waiting_line/copy"]["ceiling"] == pytest.approx(100)
    assert points["confidence:k=32", "waiting_line/replace_random"]["ceiling"] == pytest.approx(0)
    assert points["confidence:k=8", "waiting_line/replace_random"]["ceiling"] == pytest.approx(100)
    assert points["optimal:T=4", "waiting_line/replace_random"]["score"] == 100
    assert 0 < points["confidence:k=32,temperature=1.0", "waiting_line/replace_random"]["ceiling"] < 50
    shown = CliRunner().invoke(app, ["leaderboard", str(tmp_path), "--ceiling"], catch_exceptions=False).output
    assert "best possible" in shown
    refused = CliRunner().invoke(app, ["leaderboard", "--curves", str(tmp_path), "--ceiling"])
    assert refused.exit_code == 2
