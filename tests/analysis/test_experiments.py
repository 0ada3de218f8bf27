import pytest

from analysis.frames import frame, lane
from parallelbench.analysis import experiments


def both(task, setting, *scores, **changes):
    return [lane(task, setting, number, score, **changes) for number, score in enumerate(scores)]


def test_parameters_are_read_from_settings():
    assert experiments.parameter("confidence:k=2,block=16", "block") == 16
    assert experiments.parameter("confidence:k=2,block=16", "k") == 2
    assert experiments.parameter("confidence:k=2", "block") is None


def test_a_row_of_each_task_and_k_with_its_interval():
    rows = experiments.by_k(
        frame(*both("w/copy", "confidence:k=2", 1, 0, 1, 1), *both("w/copy", "confidence:k=4", 0, 0))
    )
    assert [(row["panel"], row["series"], row["x"], row["y"], row["n"]) for row in rows] == [
        ("m", "copy", 2.0, 75.0, 4),
        ("m", "copy", 4.0, 0.0, 2),
    ]
    assert 0 <= rows[0]["low"] < 75 < rows[0]["high"] <= 100


def test_mean_curves_join_speed_and_score():
    lanes = frame(*both("w/a", "confidence:k=2", 1, 1, nfe=16), *both("w/b", "confidence:k=2", 0, 1, nfe=8))
    (row,) = experiments.mean_curves(lanes)
    assert (row["series"], row["x"], row["y"]) == ("confidence", (2 + 4) / 2, 75.0)


def test_lengths_and_blocks_and_steps():
    (row,) = experiments.by_length(frame(*both("w/shuffle@n=5", "confidence:k=2", 1)))
    assert (row["panel"], row["series"], row["x"]) == ("shuffle", "m, confidence:k=2", 5)
    rows = experiments.by_block(frame(*both("w/s", "confidence:k=2,block=8", 1), *both("w/s", "confidence:k=2", 0)))
    assert sorted((row["x"], row["y"]) for row in rows) == [(8.0, 100.0), (32.0, 0.0)]
    (row,) = experiments.by_steps(frame(*both("w/s", "confidence:k=4", 1, nfe=8, model="m:steps=8")))
    assert (row["series"], row["x"], row["panel"]) == ("m:steps=8, confidence", 8.0, "s")
    (row,) = experiments.by_steps(frame(*both("w/s", "ancestral:steps=8", 1, nfe=8, model="m:steps=8")))
    assert (row["series"], row["x"], row["panel"]) == ("m", 8.0, "s")
    (row,) = experiments.by_task(frame(*both("w/s", "confidence:k=4", 1)))
    assert (row["x"], row["series"], row["panel"]) == ("s", "m, confidence:k=4", "")


def test_models_that_decode_by_themselves_have_a_place_beside_the_others():
    lanes = frame(
        *both("w/s@n=4", "confidence:k=4", 1, nfe=8),
        *both("w/s@n=4", "ancestral:steps=8", 1, nfe=8, model="u:steps=8"),
        *both("w/s@n=4", "autoregressive", 1, nfe=20, max_tokens=20, model="ar"),
    )
    assert [row["series"] for row in experiments.by_length(lanes)] == ["ar", "m, confidence:k=4", "u:steps=8"]
    assert {(row["panel"], row["x"]) for row in experiments.by_k(lanes)} == {("ar", 1.0), ("m", 4.0), ("u", 4.0)}


def test_a_cache_is_a_line_of_its_own():
    lanes = frame(*both("w/s", "confidence:k=2,block=8", 1), *both("w/s", "confidence:k=2,block=8,cache=prefix", 0))
    rows = experiments.by_cache(lanes)
    assert [(row["series"], row["x"], row["y"]) for row in rows] == [
        ("m, no cache", 2.0, 100.0),
        ("m, prefix cache", 2.0, 0.0),
    ]


def test_only_the_three_word_tasks_keep_their_category():
    rows = experiments.by_task(frame(*both("text/paraphrasing", "confidence:k=2", 1),
                                     *both("words_to_sentence/easy", "confidence:k=2", 1)))  # fmt: skip
    assert [row["x"] for row in rows] == ["paraphrasing", "words_to_sentence/easy"]


def test_the_task_map_is_the_papers_formula():
    lanes = frame(
        *both("w/s", "confidence:k=1", 1, 1), *both("w/s", "confidence:k=4", 1, 0),
        *both("w/s", "confidence:k=2,block=2", 1, 1), *both("w/s", "confidence:k=2,block=32", 0, 1),
        *both("w/never", "confidence:k=1", 0),
    )  # fmt: skip
    never, found = experiments.task_map(lanes)
    assert found["series"] == "s"
    assert found["x"] == pytest.approx((1 * 100 + 4 * 50) / 150)
    assert found["y"] == pytest.approx(50 / 30)  # from 100 at 2 to 50 at 32
    assert never["x"] is None and never["y"] is None


def test_the_oracle_takes_the_fastest_of_each_samples_best():
    lanes = frame(
        lane("w/s", "threshold:tau=0.5", 0, 1.0, nfe=4), lane("w/s", "threshold:tau=0.9", 0, 1.0, nfe=16),
        lane("w/s", "threshold:tau=0.5", 1, 0.0, nfe=4), lane("w/s", "threshold:tau=0.9", 1, 1.0, nfe=16),
    )  # fmt: skip
    *curve, oracle = experiments.oracle(lanes)
    assert [(row["x"], row["y"]) for row in curve] == [(8.0, 50.0), (2.0, 100.0)]
    assert (oracle["x"], oracle["y"]) == ((8 + 2) / 2, 100.0)
