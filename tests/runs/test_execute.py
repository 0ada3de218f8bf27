import json
from dataclasses import replace

import pandas as pd
import pytest

from parallelbench.errors import RunError, UsageError
from parallelbench.runs.execute import Progress, about_here, run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.signature import frame_signature
from parallelbench.runs.store import Store, read_frame

SMALL = RunSettings(
    tasks=("copy", "shuffle", "latin_square", "sudoku"),
    methods=("random", "left_to_right:k=4", "confidence:k=8,block=16", "threshold", "margin:k=2,temperature=0.7"),
    samples=1,
    grammar="none",
)
TINY = replace(SMALL, tasks=("copy",), methods=("confidence:k=8", "random:k=16"), samples=2)


def lanes(directory):
    """Every lane with tokens, text and trajectory, without what depends on the clock."""
    with Store(directory) as store:
        found = {lane_id: store.lane(lane_id) for lane_id in store.frame()["lane_id"]}
    for lane in found.values():
        del lane["seconds"]
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference")
    run(SMALL, directory, batch_size=64)
    return lanes(directory)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_no_result_depends_on_batch_size_or_the_order_of_lanes(reference, tmp_path, batch_size):
    shuffled = replace(SMALL, tasks=SMALL.tasks[::-1], methods=SMALL.methods[2:] + SMALL.methods[:2])
    result = run(shuffled, tmp_path, batch_size)
    found = lanes(tmp_path)
    for lane in [*found.values(), *reference.values()]:
        lane.pop("run_id", None)  # names the order asked for
    assert found == reference
    assert result.lanes == set(reference)


def test_a_second_run_decodes_only_what_is_new(tmp_path):
    first = run(TINY, tmp_path)
    again = run(TINY, tmp_path)
    more = run(replace(TINY, samples=3, methods=(*TINY.methods, "entropy:k=32")), tmp_path)
    assert (first.decoded, first.skipped) == (4, 0)
    assert (again.decoded, again.skipped, again.cost.forwards_executed) == (0, 4, 0)
    assert (more.decoded, more.skipped) == (5, 4)
    assert first.lanes == again.lanes < more.lanes
    assert len(read_frame(tmp_path)) == 9


def test_progress_counts_every_lane_once(tmp_path):
    run(replace(TINY, samples=1), tmp_path)
    seen: list[Progress] = []
    run(TINY, tmp_path, listen=seen.append)
    assert [p.done for p in seen] == [1, 2, 3, 4]
    assert {p.total for p in seen} == {4}


def test_a_model_given_twice_runs_once(tmp_path):
    result = run(replace(TINY, models=("ideal", "ideal:noise=0.001", "ideal:noise=0")), tmp_path)
    assert (result.decoded, len(result.lanes)) == (8, 8)


def test_the_signature_before_equals_the_signature_of_the_lanes(tmp_path):
    result = run(replace(SMALL, models=("ideal", "ideal:noise=0"), methods=("confidence:k=8",)), tmp_path)
    assert result.signature == frame_signature(read_frame(tmp_path))
    assert "profile:native|grammar:none|conf:float32/lowest" in result.signature


def test_a_lane_that_fails_is_recorded_and_tried_again(babbler, tmp_path):
    broken = [True]
    settings = replace(TINY, models=(babbler(fail=lambda: broken[0]),))
    failed = run(settings, tmp_path)
    assert (failed.decoded, failed.failed, failed.error) == (4, 4, "ArithmeticError: the model broke")
    assert set(read_frame(tmp_path)["error"]) == {"ArithmeticError: the model broke"}
    still = run(settings, tmp_path)
    assert (still.decoded, still.skipped, still.failed) == (4, 0, 4)
    broken[0] = False
    healed = run(settings, tmp_path)
    assert (healed.decoded, healed.failed, healed.error) == (4, 0, None)
    frame = read_frame(tmp_path)
    assert len(frame) == 4 and frame["error"].isna().all()
    assert run(settings, tmp_path).skipped == 4


def test_a_finished_lane_is_never_replaced(tmp_path):
    run(TINY, tmp_path)
    before = lanes(tmp_path)
    with Store(tmp_path, create=True) as store:
        for lane in before.values():
            store.add_lane({**lane, "text": "other", "seconds": 0.0})
    assert lanes(tmp_path) == before


def test_a_tokenizer_that_raises_ends_its_lane_only(babbler, tmp_path):
    def say(ids):
        raise UnicodeError("no such byte")

    result = run(replace(TINY, models=(babbler(say), "ideal")), tmp_path)
    frame = read_frame(tmp_path)
    assert (result.decoded, result.failed) == (8, 4)
    assert set(frame.loc[frame["model"] == "babbler", "error"]) == {"no text: UnicodeError: no such byte"}
    assert frame.loc[frame["model"] == "ideal", "score"].notna().all()


def test_a_scorer_that_raises_leaves_the_lane_unscored(monkeypatch, tmp_path):
    from parallelbench.tasks.waiting_line import WaitingLine

    def score(self, sample, text, profile="native"):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(WaitingLine, "score", score)
    result = run(replace(TINY, tasks=("copy", "sudoku")), tmp_path)
    frame = read_frame(tmp_path)
    copied = frame[frame["task"] == "waiting_line/copy"]
    assert (result.decoded, result.failed) == (8, 0)
    assert copied["score"].isna().all() and copied["error"].isna().all()
    assert set(copied["why"]) == {"the scorer failed: ZeroDivisionError: by nothing"}
    assert frame.loc[frame["task"] == "puzzle/sudoku", "score"].notna().all()
    assert run(TINY, tmp_path).decoded == 0, "the text will not score otherwise next time"


NASTY = {
    "brackets": "[" * 1_000_000,
    "closing": "]" * 1_000_000,
    "nested": '["' * 500_000,
    "nul": '["A\x00B"]\x00',
    "surrogate": '["\ud800", "\udfff"]',
    "controls": "\x1b[2J\r\u202e\u2028",
}


@pytest.mark.parametrize("profile", ["native", "pb2025"])
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_any_text_is_scored_and_stored(babbler, tmp_path, text, profile):
    tasks = ("copy", "shuffle", "latin_square", "sudoku", "summarization", "easy")
    settings = replace(
        TINY, models=(babbler(lambda ids: text),), tasks=tasks, methods=("random:k=32",), profile=profile
    )
    result = run(replace(settings, samples=1, grammar="harper"), tmp_path)
    assert (result.decoded, result.failed) == (len(tasks), 0)
    found = lanes(tmp_path)
    assert {lane["text"] for lane in found.values()} == {text.encode("utf-8", "backslashreplace").decode()}
    assert not [lane["why"] for lane in found.values() if "scorer failed" in lane["why"]]
    assert {lane["score"] for lane in found.values()} == {0.0}


def test_native_text_ends_at_the_first_end_and_published_text_does_not(babbler, tmp_path):
    settings = replace(TINY, models=(babbler(lambda ids: " ".join(map(str, ids))),), methods=("random:k=1",), samples=1)
    run(settings, tmp_path / "native")
    run(replace(settings, profile="pb2025"), tmp_path / "pb2025")
    (native,), (published,) = lanes(tmp_path / "native").values(), lanes(tmp_path / "pb2025").values()
    tokens, end = native["tokens"], native["tokens"].index(7)
    assert published["tokens"] == tokens and 0 < end < len(tokens) - 1
    assert native["text"] == " ".join(map(str, tokens[:end]))
    assert published["text"] == " ".join(str(token) for token in tokens if token != 7)
    assert native["effective_tokens"] == published["effective_tokens"] == end + 1


def test_settings_that_cannot_run_leave_no_directory(tmp_path):
    for wrong in ({"tasks": ("copi",)}, {"methods": ("confidence:k=3",)}, {"models": ("idael",)}, {"grammar": "x"}):
        with pytest.raises(UsageError):
            run(replace(TINY, **wrong), tmp_path / "new")
    with pytest.raises(UsageError, match="batch_size=0"):
        run(TINY, tmp_path / "new", batch_size=0)
    with pytest.raises(UsageError, match="Unknown executor 'rey'. Did you mean 'ray'"):
        run(TINY, tmp_path / "new", executor="rey")
    assert not (tmp_path / "new").exists()


def test_two_runs_at_once_are_refused_and_the_first_goes_on(tmp_path):
    refused = []

    def intrude(progress):
        with pytest.raises(RunError, match="Another process is writing to .*Wait until it has ended"):
            run(TINY, tmp_path)
        refused.append(progress.done)

    assert run(TINY, tmp_path, listen=intrude).decoded == 4
    assert refused == [1, 2, 3, 4]
    assert run(TINY, tmp_path).skipped == 4


def test_every_run_is_on_record(tmp_path):
    run(TINY, tmp_path)
    run(TINY, tmp_path)
    result = run(replace(TINY, seed=5), tmp_path)
    with Store(tmp_path) as store:
        runs = store.runs()
    assert [entry["settings"]["seed"] for entry in runs] == [0, 5]
    assert runs[1]["run_id"] == result.run_id and runs[1]["signature"] == result.signature
    assert set(runs[0]["about"]) == set(about_here())
    assert json.dumps(runs)


def test_an_installed_package_claims_no_commit(tmp_path):
    from parallelbench.runs.execute import _git_commit

    assert _git_commit(tmp_path) is None


def test_scores_of_the_ideal_denoiser_at_one_token_a_step_are_perfect(reference):
    frame = pd.DataFrame(reference.values())
    assert (frame.loc[frame["setting"] == "random:k=1", "score"] == 1).all()
