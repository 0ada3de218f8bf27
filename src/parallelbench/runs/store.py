"""The store: one SQLite file a run directory, and the only place results are kept.

Lanes are written one by one as they finish and never change afterwards, except that a lane that ended in
an error is replaced when it is tried again. Tables, figures and exports only read.
"""

import fcntl
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype

from parallelbench.errors import RunError, UsageError, lookup

FILE = "lanes.sqlite"
SCHEMA = 1
APPLICATION = 0x70626C73
"""SQLite's application id of our files, so that another program's database is not taken for one."""

WRITING = (
    "Cannot write {path}: {error}. What was stored before is safe; make room or make it writable and run the same "
    "command again."
)
READING = "Cannot read {path}: {error}. Nothing was changed; make it readable, or copy the directory and read the copy."

_EXECUTIONS = """
CREATE TABLE IF NOT EXISTS executions (
    run_id TEXT NOT NULL, ended TEXT NOT NULL, lanes INTEGER NOT NULL, forwards_counted INTEGER NOT NULL,
    forwards_executed INTEGER NOT NULL, calls INTEGER NOT NULL, model_seconds REAL NOT NULL
);
"""
"""One row a process that decoded; stores from before it was there get the table when they are next written."""
_TABLES = f"""
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, started TEXT NOT NULL, settings TEXT NOT NULL, about TEXT NOT NULL,
    signature TEXT NOT NULL
);
CREATE TABLE lanes (
    lane_id TEXT PRIMARY KEY, run_id TEXT NOT NULL, model TEXT NOT NULL, revision TEXT NOT NULL,
    task TEXT NOT NULL, task_version INTEGER NOT NULL, sample TEXT NOT NULL, sample_index INTEGER NOT NULL,
    method TEXT NOT NULL, setting TEXT NOT NULL, kind TEXT NOT NULL, seed INTEGER NOT NULL,
    profile TEXT NOT NULL, grammar TEXT NOT NULL, numerics TEXT NOT NULL, max_tokens INTEGER NOT NULL,
    tokens TEXT, text TEXT, score REAL, score_strict REAL, why TEXT, parts TEXT, nfe INTEGER, rows INTEGER,
    effective_tokens INTEGER, commit_step TEXT, revisions TEXT, distance INTEGER, seconds REAL, error TEXT
);
{_EXECUTIONS}"""
_JSON = ("tokens", "parts", "commit_step", "revisions")
_FRAME = (
    "lane_id, model, revision, task, task_version, sample, sample_index, method, setting, kind, seed, profile, "
    "grammar, numerics, max_tokens, score, score_strict, why, nfe, rows, effective_tokens, distance, seconds, error"
).split(", ")
_SHARED = (
    "model, revision, task, task_version, method, setting, kind, seed, profile, grammar, numerics, max_tokens"
).split(", ")
"""Columns whose values all samples of a task share under one setting: read as one text, told apart once."""
_CHUNK = 500
"""Lanes fetched at a time; few enough that their tuples stay in the processor's cache."""
EXTRA = ("run_id", "tokens", "text", "parts", "commit_step", "revisions")
"""Columns of a lane that `Store.frame` leaves out unless asked."""


class Store:
    """Open or create the store of a run directory.

    One process at a time may write to a directory; any number may read.

    Args:
        directory: The run directory; created when `create` is set.
        create: Open for writing, and make a new store where there is none.

    Raises:
        UsageError: there is no store, or it is damaged, foreign or made by a newer version.
        RunError: the disk is full or not writable, or another process is writing here.
    """

    def __init__(self, directory: Path, create: bool = False) -> None:
        self.directory, self.path = Path(directory), Path(directory) / FILE
        self._trouble = WRITING if create else READING
        self._lock = -1
        self._connection: sqlite3.Connection | None = None
        try:
            if create:
                self._claim_directory()
            elif not self.path.is_file():
                raise UsageError(f"{self.directory} is no run directory: it holds no {FILE}.")
            self._refuse_empty_with_log()
            with self._faults():
                self._open(create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Store":
        """The store itself; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file and let other processes write."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _claim_directory(self) -> None:
        """Make the directory and lock it; the system unlocks it when the process ends, however it ends."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory, os.O_RDONLY)
        except OSError as error:
            raise RunError(
                f"Cannot make the run directory {self.directory}: {error.strerror}. Give another directory."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"Another process is writing to {self.directory}. Wait until it has ended, or give another directory."
            ) from error
        except OSError:
            pass  # a file system without such locks: SQLite still guards each lane, only double work is possible

    def _refuse_empty_with_log(self) -> None:
        """An emptied file beside a write-ahead log was truncated: SQLite would throw the log away."""
        if self.path.is_file() and not self.path.stat().st_size and self._has_log():
            raise self._damaged("it is empty, but its write-ahead log is not")

    def _refuse_cut_off(self) -> None:
        """SQLite reads a page that ends early as if the rest were zeros; while there is a log it may be mended."""
        (page,) = self._db.execute("PRAGMA page_size").fetchone()
        if self.path.stat().st_size % page and not self._has_log():
            raise self._damaged("its last page is cut off")

    def _has_log(self) -> bool:
        log = self.path.with_name(f"{FILE}-wal")
        return log.is_file() and log.stat().st_size > 0

    def _open(self, create: bool) -> None:
        self._connect(str(self.path))
        try:
            self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            if create or self._has_log() or os.access(self.directory, os.W_OK):
                raise
            # Reading needs a lock file, which a read-only file system refuses; but nobody writes there either.
            self._connect(f"{self.path.resolve().as_uri()}?immutable=1", uri=True)
        self._refuse_cut_off()
        if create and self._is_blank():
            self._initialise()
        self._check()
        if create:
            self._db.execute(_EXECUTIONS)
            self._db.execute("PRAGMA journal_mode=WAL")
            # Safe against killed processes; a power cut may cost the last lanes, never the file.
            self._db.execute("PRAGMA synchronous=NORMAL")

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RunError(f"{self.path} is closed.")
        return self._connection

    def _connect(self, address: str, uri: bool = False) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = sqlite3.connect(address, uri=uri, timeout=60, isolation_level=None)
        self._connection.row_factory = sqlite3.Row

    def _is_blank(self) -> bool:
        """Whether the file is new, or its making was interrupted."""
        counts = ("SELECT count(*) FROM sqlite_master", "PRAGMA application_id", "PRAGMA user_version")
        return all(self._db.execute(query).fetchone()[0] == 0 for query in counts)

    def _initialise(self) -> None:
        """Make the tables in one transaction; before the write-ahead log is on, so that they are in the file."""
        self._db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION}; PRAGMA user_version={SCHEMA}; {_TABLES} COMMIT;"
        )

    def _check(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (schema,) = self._db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            raise UsageError(f"{self.path} is not a ParallelBench store. Nothing was changed; give another directory.")
        if schema > SCHEMA:
            raise UsageError(
                f"{self.path} has schema {schema}, this version reads up to {SCHEMA}: upgrade parallelbench. "
                "Nothing was changed."
            )
        # The check walks the file in an order of its own; from a disk it is ten times as fast once a count, which
        # takes the pages as they come, has brought the table and its index into memory.
        for lanes in ("lanes NOT INDEXED", "lanes"):
            self._db.execute(f"SELECT count(*) FROM {lanes}").fetchone()
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise self._damaged(damage)

    def _damaged(self, detail: str) -> UsageError:
        return UsageError(
            f"{self.path} is damaged ({detail}). Nothing was changed; restore a copy, or start in a new directory."
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn SQLite's errors into sentences."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise RunError(self._trouble.format(path=self.path, error=error)) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def add_run(
        self, run_id: str, started: str, settings: Mapping[str, Any], about: Mapping[str, Any], signature: str
    ) -> None:
        """Record that a run with these settings began here; a known one keeps its first record."""
        row = (run_id, started, json.dumps(settings), json.dumps(about), signature)
        with self._faults():
            self._db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?)", row)

    def add_execution(self, run_id: str, ended: str, lanes: int, cost: Mapping[str, float]) -> None:
        """Record what one process spent on a run.

        Args:
            run_id: The run.
            ended: When it stopped, for whatever reason.
            lanes: Lanes it decoded.
            cost: forwards_counted, forwards_executed, calls, model_seconds (`decoding.Cost`).
        """
        names = ("forwards_counted", "forwards_executed", "calls", "model_seconds")
        with self._faults():
            self._db.execute(
                "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run_id, ended, lanes, *(cost[name] for name in names)),
            )

    def executions(self) -> list[dict[str, Any]]:
        """What each process that decoded here spent, oldest first; a killed one left no record.

        Fields: run_id, ended, lanes, forwards_counted (what the lanes would have needed alone),
        forwards_executed (identical canvases forwarded once), calls (batches), model_seconds.
        """
        with self._faults():
            known = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'executions'").fetchone()
            rows = self._db.execute("SELECT * FROM executions ORDER BY ended").fetchall() if known else []
        return list(map(dict, rows))

    def add_lane(self, lane: Mapping[str, Any]) -> None:
        """Store a finished lane; only one that ended in an error is ever replaced."""
        values = {k: json.dumps(v) if k in _JSON and v is not None else v for k, v in lane.items()}
        columns = ", ".join(values)
        marks = ", ".join(f":{key}" for key in values)
        updates = ", ".join(f"{key} = excluded.{key}" for key in values if key != "lane_id")
        with self._faults():
            self._db.execute(
                f"INSERT INTO lanes ({columns}) VALUES ({marks}) "
                f"ON CONFLICT (lane_id) DO UPDATE SET {updates} WHERE lanes.error IS NOT NULL",
                {key: _clean(value) for key, value in values.items()},
            )

    def done(self) -> set[str]:
        """Ids of the lanes that need not be decoded again."""
        with self._faults():
            return {row[0] for row in self._db.execute("SELECT lane_id FROM lanes WHERE error IS NULL")}

    def runs(self) -> list[dict[str, Any]]:
        """Every run recorded here, oldest first."""
        with self._faults():
            rows = self._db.execute("SELECT * FROM runs ORDER BY started").fetchall()
        return [
            {**row, "settings": json.loads(row["settings"]), "about": json.loads(row["about"])}
            for row in map(dict, rows)
        ]

    def lane(self, lane_id: str) -> dict[str, Any]:
        """One lane with everything known about it; a unique prefix of its id is enough.

        Raises:
            UsageError: no lane, or several, begin like this.
        """
        with self._faults():
            found = self._db.execute(
                "SELECT * FROM lanes WHERE lane_id >= ? AND lane_id < ? || char(1114111) LIMIT 2", (lane_id, lane_id)
            ).fetchall()
        if len(found) != 1:
            problem = "no lane" if not found else "several lanes"
            raise UsageError(f"{self.path}: {problem} with an id that begins with {lane_id!r}.")
        lane = dict(found[0])
        return {k: self._parsed([v])[0] if k in _JSON else v for k, v in lane.items()}

    def frame(self, extra: Collection[str] = (), only: Collection[str] | None = None) -> pd.DataFrame:
        """All lanes in the order of their ids, without tokens, texts and trajectories.

        Args:
            extra: Columns to read all the same: any of `EXTRA`. Those that the file keeps as JSON come parsed.
            only: Of the other columns, read these alone, and texts that many lanes share as categories: for
                readers in a hurry. All of them unless given.

        Raises:
            UsageError: `extra` or `only` names something else.
        """
        for known, names in ((EXTRA, extra), (_FRAME, only or ())):
            for name in names:
                lookup(dict.fromkeys(known), name, "column")
        columns = [*(_FRAME if only is None else only), *extra]
        shared = [name for name in _SHARED if name in columns]
        own = list(dict.fromkeys(name for name in ("lane_id", *columns) if name not in shared))
        with self._faults():
            cursor = self._db.cursor()
            cursor.row_factory = None  # plain tuples
            cursor.execute(f"SELECT json_array({', '.join(shared)}), {', '.join(own)} FROM lanes")
            frame = _frame(cursor, shared, own, only is not None)[columns]
        for name in extra:
            if name in _JSON:
                frame[name] = pd.Series(self._parsed(frame[name].tolist()), dtype=object)
        return frame

    def _parsed(self, texts: list[Any]) -> list[Any]:
        """JSON texts, None where there is none; read as one, which takes a third of the time."""
        try:
            found: list[Any] = json.loads(f"[{','.join(text if isinstance(text, str) else 'null' for text in texts)}]")
        except ValueError as error:
            raise self._damaged(f"a lane's JSON cannot be read: {error}") from error
        if len(found) != len(texts):
            raise self._damaged("a lane's JSON is not one value")
        return found


def _frame(cursor: sqlite3.Cursor, shared: Sequence[str], own: Sequence[str], categories: bool) -> pd.DataFrame:
    """The lanes of a query for the shared columns as one JSON text, then for a lane's own; by lane_id."""
    number: defaultdict[str, int] = defaultdict(count().__next__)  # of each text, as they come
    places: list[int] = []
    values: list[list[Any]] = [[] for _ in own]
    while chunk := cursor.fetchmany(_CHUNK):
        texts, *columns = zip(*chunk, strict=True)
        places.extend(map(number.__getitem__, texts))
        for known, column in zip(values, columns, strict=True):
            known.extend(column)
    lanes = pd.DataFrame(dict(zip(own, map(_packed, values), strict=True)))
    order = lanes["lane_id"].argsort().to_numpy()  # in SQL, sorting would read the file in the order of random ids
    distinct = pd.DataFrame([json.loads(text) for text in number], index=range(len(number)), columns=list(shared))
    if categories:
        distinct = distinct.astype({name: "category" for name in shared if not is_numeric_dtype(distinct[name])})
    shared_by = distinct.take(np.array(places, dtype=np.int64)[order])
    return pd.concat([shared_by.reset_index(drop=True), lanes.take(order).reset_index(drop=True)], axis=1)


def _packed(values: list[Any]) -> list[Any] | npt.NDArray[Any]:
    """Numbers as an array, so that pandas need not look at each; else as they are."""
    return np.array(values) if set(map(type, values)) in ({int}, {float}) else values


def read_frame(directory: Path, extra: Collection[str] = ()) -> pd.DataFrame:
    """The lanes of one run directory, see `Store.frame`; of several, `analysis.merge.merged`."""
    with Store(directory) as store:
        return store.frame(extra)


def _clean(value: Any) -> Any:
    """SQLite takes no lone surrogates; keep them visible as escapes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
