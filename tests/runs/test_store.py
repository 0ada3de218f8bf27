import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from itertools import count, permutations
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.analysis.merge import merged
from parallelbench.errors import RunError, UsageError
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import APPLICATION, FILE, SCHEMA, Store, read_frame

COLUMNS = {
    "run_id": "r", "model": "m", "revision": "1", "task": "t", "task_version": 1, "sample": "s", "sample_index": 0,
    "method": "confidence", "setting": "confidence:k=1", "kind": "static", "seed": 0, "profile": "native",
    "grammar": "none", "numerics": "float32/lowest", "max_tokens": 4,
}  # fmt: skip


def lane(lane_id, error=None, **values):
    return {**COLUMNS, "lane_id": lane_id, "tokens": [1, 2], "text": "x" * 500, "score": 1.0, "error": error, **values}


def fill(directory, lanes=200, first=0):
    with Store(directory, create=True) as store:
        for number in range(first, first + lanes):
            store.add_lane(lane(f"{number:06d}"))


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def filled(tmp_path):
    fill(tmp_path / "run")
    return tmp_path / "run"


def test_a_clean_close_leaves_one_file(filled):
    assert [path.name for path in filled.iterdir()] == [FILE]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("any"), create=True) as opened:
        yield opened


NUMBERS = count()


@given(text=st.text(st.characters(exclude_categories=())), why=st.text())
def test_any_text_comes_back(store, text, why):
    lane_id = f"any{next(NUMBERS)}."
    lists = {"commit_step": [0, 1], "revisions": [[1, 2, 0, 3]]}
    store.add_lane(lane(lane_id, text=text, why=why, parts={"rouge": 0.5}, **lists))
    found = store.lane(lane_id)
    assert found["text"] == text.encode("utf-8", "backslashreplace").decode()
    assert found["why"] == why
    assert (found["parts"], found["commit_step"], found["revisions"]) == ({"rouge": 0.5}, *lists.values())


def test_lanes_with_an_error_are_to_be_done_again_and_the_others_are_not(filled):
    with Store(filled, create=True) as store:
        store.add_lane(lane("bad", error="E: no"))
        assert "bad" not in store.done() and len(store.done()) == 200
        store.add_lane(lane("bad", text="now"))
        store.add_lane(lane("bad", text="later"))
        assert "bad" in store.done() and store.lane("bad")["text"] == "now"


def test_a_prefix_finds_a_lane(filled):
    with Store(filled) as store:
        assert store.lane("000123")["lane_id"] == store.lane("00012" + "3")["lane_id"] == "000123"
        with pytest.raises(UsageError, match="several lanes with an id that begins with '00012'"):
            store.lane("00012")
        with pytest.raises(UsageError, match="no lane with an id that begins with '%'"):
            store.lane("%")


def test_the_table_tells_what_each_lane_tells(tmp_path):
    odd = ("", 'a "quote", [1]', "\x00\x1f\u2028", "é\U0001f600", "back\\slash\n")
    with Store(tmp_path, create=True) as store:
        for number, text in enumerate(odd):
            changes = {"model": text, "setting": text, "why": text or None, "seed": 2**62 + number}
            store.add_lane(lane(f"{9 - number}", **changes, score=None if number else 0.5))
        frame = store.frame()
        rows = [store.lane(lane_id) for lane_id in frame["lane_id"]]
    assert frame["lane_id"].tolist() == sorted(frame["lane_id"]) and len(rows) == len(odd)
    for name in frame:
        found = [None if value != value else value for value in frame[name]]
        assert found == [row[name] for row in rows], name
    assert frame["seed"].dtype == "int64" and frame["score"].dtype == "float64"


def test_a_lane_in_two_directories_counts_once_and_the_finished_one_wins(tmp_path):
    for name, error in (("one", "E: no"), ("two", None), ("three", "E: again")):
        with Store(tmp_path / name, create=True) as store:
            store.add_lane(lane("a", error=error))
    for names in permutations(("one", "two", "three")):
        found = merged([tmp_path / name for name in names])
        assert len(found) == 1 and found["error"].isna().all() and found["directory"].iloc[0].endswith("two")


def test_a_directory_without_a_store_is_refused(tmp_path):
    with pytest.raises(UsageError, match=f"{tmp_path} is no run directory: it holds no {FILE}"):
        Store(tmp_path)
    with pytest.raises(UsageError, match="is no run directory"):
        Store(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/parallelbench")):
        with pytest.raises(RunError, match=f"Cannot make the run directory {path}: .*Give another directory"):
            Store(path, create=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_writer_is_refused_while_readers_are_not(filled):
    with Store(filled, create=True) as first:
        with pytest.raises(RunError, match=f"Another process is writing to {filled}"):
            Store(filled, create=True)
        first.add_lane(lane("new"))
        with Store(filled) as reader:
            assert len(reader.frame()) == 201
    with Store(filled, create=True) as third:
        assert len(third.done()) == 201


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_schema_is_refused_untouched(filled, create):
    connection = sqlite3.connect(filled / FILE)
    connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    connection.close()
    before = contents(filled)
    with pytest.raises(UsageError, match=f"has schema {SCHEMA + 1}, .*reads up to {SCHEMA}: upgrade parallelbench"):
        Store(filled, create=create)
    assert contents(filled) == before


@pytest.mark.parametrize("create", [True, False])
def test_a_foreign_database_is_refused_untouched(tmp_path, create):
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="is not a ParallelBench store. Nothing was changed"):
        Store(tmp_path, create=create)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("left", [1, 50, 100, 4000, 4096, 5000, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_store_is_refused_untouched(filled, left, create):
    size = (filled / FILE).stat().st_size
    os.truncate(filled / FILE, left if isinstance(left, int) else int(size * left))
    before = contents(filled)
    with pytest.raises(UsageError, match="is damaged .*Nothing was changed; restore a copy"):
        Store(filled, create=create)
    assert contents(filled) == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path):
    (tmp_path / FILE).write_text("my shopping list\n" * 100)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="is damaged"):
        Store(tmp_path, create=True)
    assert contents(tmp_path) == before


def test_an_empty_file_is_a_store_whose_making_was_interrupted(tmp_path):
    (tmp_path / FILE).touch()
    fill(tmp_path, 1)
    with Store(tmp_path) as store:
        assert len(store.frame()) == 1


def killed_copy(directory, target):
    """A copy as a kill would leave it: lanes are still in the write-ahead log."""
    with Store(directory, create=True) as store:
        store.add_lane(lane("logged"))
        shutil.copytree(directory, target)
    assert (target / f"{FILE}-wal").stat().st_size > 0
    return target


def test_lanes_in_the_log_of_a_killed_run_are_there(filled, tmp_path):
    killed = killed_copy(filled, tmp_path / "killed")
    with Store(killed) as store:
        assert "logged" in set(store.frame()["lane_id"])


def test_a_store_emptied_beside_its_log_is_damaged_not_new(filled, tmp_path):
    killed = killed_copy(filled, tmp_path / "killed")
    os.truncate(killed / FILE, 0)
    before = contents(killed)
    for create in (True, False):
        with pytest.raises(UsageError, match="is damaged .it is empty, but its write-ahead log is not"):
            Store(killed, create=create)
    assert contents(killed) == before


def test_a_log_cut_short_costs_its_last_lanes_only(filled, tmp_path):
    killed = killed_copy(filled, tmp_path / "killed")
    os.truncate(killed / f"{FILE}-wal", 60)
    with Store(killed, create=True) as store:
        assert len(store.done()) == 200
        store.add_lane(lane("logged"))
    assert len(read_frame(killed)) == 201


IN_A_CHILD = """
import json, resource, sys
from pathlib import Path
from parallelbench.errors import RunError
from parallelbench.runs.store import Store
directory, lane, limit = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
stored = 0
try:
    with Store(directory, create=True) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for number in range(10_000):
            store.add_lane({**lane, "lane_id": f"new{number:06d}"})
            stored += 1
except RunError as error:
    print(stored)
    print(error)
"""


def test_a_full_disk_is_told_and_costs_nothing_that_was_stored(filled):
    room = (filled / FILE).stat().st_size + 100_000
    child = subprocess.run(
        [sys.executable, "-c", IN_A_CHILD, str(filled), json.dumps(lane("")), str(room)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    stored, message = child.stdout.splitlines()
    assert message.startswith(f"Cannot write {filled / FILE}: ")
    assert "What was stored before is safe; make room" in message
    fill(filled, 5, first=900_000)
    assert int(stored) > 0
    assert len(read_frame(filled)) == 200 + int(stored) + 5


@pytest.fixture
def read_only(filled):
    """The filled directory on a read-only mount."""
    where = filled.with_name("mounted")
    where.mkdir()
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", filled, where], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a directory read-only")
    subprocess.run(["mount", "-o", "remount,bind,ro", where], check=True)
    yield where
    subprocess.run(["umount", where], check=True)


def test_a_read_only_directory_can_be_read_but_not_written(read_only):
    assert len(read_frame(read_only)) == 200
    with pytest.raises(RunError, match=f"Cannot write {read_only / FILE}: .*make it writable"):
        Store(read_only, create=True)


def test_a_killed_run_on_a_read_only_disk_is_read_with_its_log(filled, read_only):
    connection = sqlite3.connect(filled / FILE, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("UPDATE lanes SET score = 0 WHERE lane_id = '000001'")
    try:
        for name in os.listdir(filled):
            if name.endswith("-shm"):
                os.unlink(filled / name)
        frame = read_frame(read_only).set_index("lane_id")
        assert frame.loc["000001", "score"] == 0
    finally:
        connection.close()


def test_a_directory_one_may_not_write_to_is_told(filled):
    """As an ordinary user; root may write anywhere."""
    if os.geteuid() == 0:
        pytest.skip("root ignores modes")
    filled.chmod(0o500)
    with pytest.raises(RunError, match="make it writable"):
        Store(filled, create=True)


def test_other_programs_can_tell_the_file_is_ours(filled):
    assert (filled / FILE).read_bytes()[68:72] == APPLICATION.to_bytes(4, "big")


def test_what_a_process_spent_is_kept_and_older_stores_learn_it(tmp_path):
    settings = RunSettings(tasks=("copy",), methods=("confidence:k=8", "confidence:k=16"), samples=2, grammar="none")
    result = run(settings, tmp_path)
    with Store(tmp_path) as store:
        (spent,) = store.executions()
    assert spent["lanes"] == 4 and spent["run_id"] == result.run_id
    assert spent["forwards_counted"] == 2 * (4 + 2) == int(read_frame(tmp_path)["nfe"].sum())
    assert 0 < spent["forwards_executed"] < spent["forwards_counted"], "both settings begin with the same canvas"
    run(settings, tmp_path)  # nothing left to do: nothing spent
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("DROP TABLE executions")  # as before there were any
    connection.close()
    with Store(tmp_path) as store:
        assert store.executions() == []
    run(replace(settings, samples=3), tmp_path)
    with Store(tmp_path) as store:
        assert [row["lanes"] for row in store.executions()] == [2]


def test_a_frame_takes_further_columns_along(tmp_path):
    run(RunSettings(tasks=("copy",), methods=("confidence:k=16",), samples=1, grammar="none"), tmp_path)
    with Store(tmp_path) as store:
        assert not {"text", "commit_step"} & set(store.frame())
        (row,) = store.frame(["commit_step", "parts", "text"]).to_dict("records")
        with pytest.raises(UsageError, match="Unknown column 'texts'. Did you mean 'text'"):
            store.frame(["texts"])
    assert sorted(set(row["commit_step"])) == [0, 1] and len(row["commit_step"]) == 32
    assert row["parts"] == {"copied": 1.0} and row["text"].startswith('["')


@pytest.mark.parametrize(
    "only", [("score",), ("lane_id",), ("task", "setting"), ("nfe", "sample", "model", "seed", "score_strict", "error")]
)
def test_fewer_columns_hold_what_all_hold(tmp_path, only):
    with Store(tmp_path, create=True) as store:
        assert list(store.frame(only=only)) == list(only) and store.frame(only=only).empty
        for number in range(7):
            changes = {"model": f"m{number % 2}", "task": "", "score": None if number == 3 else 0.1 * number}
            store.add_lane(lane(f"{number * 5 % 7}", **changes, nfe=None if number == 3 else number))
        few, whole = store.frame(["text"], only), store.frame(["text"])
        with pytest.raises(UsageError, match="Unknown column 'scores'. Did you mean 'score'"):
            store.frame(only=["scores"])
    assert list(few) == [*only, "text"] and len(few) == 7
    shared = {"model", "task", "setting"} & set(only)
    assert {name for name in few if few[name].dtype == "category"} == shared
    pd.testing.assert_frame_equal(few.astype(dict.fromkeys(shared, str)), whole[[*only, "text"]])


@pytest.mark.parametrize("text", ["1],[2", "1, 2", "[1", "", "nonsense"])
def test_a_lane_whose_json_is_damaged_is_told_and_shifts_no_other(tmp_path, text):
    fill(tmp_path, 3)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE lanes SET commit_step = ? WHERE lane_id = '000001'", (text,))
    connection.commit()
    connection.close()
    with Store(tmp_path) as store:
        for read in (lambda: store.frame(["commit_step"]), lambda: store.lane("000001")):
            with pytest.raises(UsageError, match="is damaged .a lane's JSON"):
                read()
