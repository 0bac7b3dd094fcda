"""Reads for people and programs: a read-only connection of its own, beside the writer's.

`Reader` answers at once in the calling thread (the CLI); `AsyncReader` asks the same questions in
threads of a small pool. Every answer is one snapshot. Formatting is the caller's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from bide.runtime.aside import Aside
from bide.runtime.engine.states import AttemptState, RunState, State
from bide.runtime.errors import NotFoundError, StoreError
from bide.runtime.store import words
from bide.runtime.store.failure import READ_ERRORS, unreadable
from bide.runtime.store.open import check_ours, refusal, uri_of
from bide.runtime.store.queries import sql_of
from bide.runtime.store.rows import in_one, in_words

T = TypeVar("T")
L = TypeVar("L", bound=msgspec.Struct)
_BUSY_S: Final = 2.0


class _Shown(msgspec.Struct, frozen=True, array_like=True):
    pass


S = TypeVar("S", bound=_Shown)


class DagShown(_Shown, frozen=True):
    dag_id: int
    name: str
    schedule: str
    paused: int
    next_fires_us: int | None
    last_state: RunState | None


class RunShown(_Shown, frozen=True):
    run_id: int
    dag: str
    state: RunState
    kind: str
    run_key: str
    logical_us: int
    start_us: int
    end_us: int
    scheduled_us: int
    created_us: int
    started_us: int | None
    ended_us: int | None
    reason: str


class RunDetail(RunShown, frozen=True):
    deadline_us: int | None
    params: str
    version: str
    spec: str


class TaskShown(_Shown, frozen=True):
    instance_id: int
    task: str
    map_index: int
    state: State
    attempts: int
    failures: int
    attempt_id: int | None
    since_us: int
    due_us: int | None
    deadline_us: int | None
    reason: str
    output: str | None
    """JSON; None also when outputs were not asked for"""


class TaskHeld(_Shown, frozen=True):
    """A task instance, and how long its attempts that are over have held a slot."""

    task: str
    map_index: int
    state: State
    attempts: int
    reason: str
    slot_us: int


class AttemptShown(_Shown, frozen=True):
    attempt_id: int
    task: str
    map_index: int
    number: int
    state: AttemptState
    epoch: int
    started_us: int
    ended_us: int | None
    active_us: int
    error: str | None
    metrics: str | None


class WaitShown(_Shown, frozen=True):
    wait_id: int
    run_id: int
    dag: str
    task: str
    map_index: int
    key: str
    kind: str
    trigger: str
    since_us: int
    deadline_us: int
    poll_us: int
    reason: str


class AlertShown(_Shown, frozen=True):
    alert_id: int
    kind: str
    run_id: int | None
    subject: str
    promise: str
    due_us: int
    fired_us: int
    text: str
    payload: str
    state: str
    severity: str
    owners: str


class EventShown(_Shown, frozen=True):
    seq: int
    at_us: int
    epoch: int
    subject: str
    subject_id: int
    run_id: int | None
    was: str
    now: str
    reason: str


class Counts(msgspec.Struct, frozen=True):
    """state -> how many; tasks of unfinished runs only, open waits by their kind."""

    runs: dict[str, int]
    tasks: dict[str, int]
    waits: dict[str, int]


NEWEST: Final = 2**63 - 1
"""Below it is every id."""


class Reader:
    """A read-only look at one database, from one thread at a time. `with Reader(path) as r:`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """`NotFoundError` when there is none, `StoreError` when it is not a database of this bide."""
        self.path = Path(os.path.realpath(path))
        if not self.path.exists():
            raise NotFoundError(
                f"there is no database at {self.path}: `bide serve` or `bide run` makes one, --db names another"
            )
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder, a database is a file: use {self.path / 'bide.db'}")
        if not self.path.is_file():  # SQLite would wait at a pipe until somebody writes
            raise StoreError(f"{self.path} is not an ordinary file: use a path on a local disk")
        try:
            self._conn = sqlite3.connect(
                uri_of(self.path, "ro"),
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except READ_ERRORS as error:
            raise refusal(error, self.path) from error
        try:
            self._conn.execute("PRAGMA query_only = ON")
            check_ours(self._conn, self.path)
        except READ_ERRORS as error:
            self._conn.close()
            raise refusal(error, self.path) from error
        except StoreError:
            self._conn.close()
            raise

    def dags(self) -> list[DagShown]:
        """Every DAG that is not removed, by name."""
        return self._all(DagShown, "dags")

    def dag_spec(self, name: str) -> tuple[str, int | None] | None:
        """The newest graph of a DAG, JSON, and its anchor; None when there is no such DAG."""
        found = self.read(lambda conn: conn.execute(sql_of("dag_spec"), {"name": name}).fetchone())
        return (found[0], found[1]) if found else None

    def dag_options(self, name: str) -> str:
        """The options of a DAG that there is, JSON."""
        found = self.read(lambda conn: conn.execute(sql_of("dag_options"), {"name": name}).fetchone())
        return found[0] if found else "{}"

    def runs(
        self,
        dag: str | None = None,
        state: str | None = None,
        limit: int = 50,
        before: int = NEWEST,
        *,
        kind: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        pattern: bool = False,
    ) -> list[RunShown]:
        """Newest first, of logical dates in [since_us, until_us). `before`: only ids below it, to page on; `pattern`: `dag` has * or ?."""
        name = "runs" if dag is None or pattern else "runs_of_dag"
        asked = {"kind": kind, "since_us": since_us, "until_us": until_us}
        return self._all(RunShown, name, dag=dag, state=state, limit=limit, before=before, **asked)

    def run_lines(self, shape: type[L], dag: str | None, pattern: bool, **asked: Any) -> list[L]:
        """As `runs`, in the words of the doors."""
        name = "runs" if dag is None or pattern else "runs_of_dag"
        return self._one(lambda conn: in_words(conn, shape, sql_of(name), words.RUN, {"dag": dag, **asked}))

    def run(self, run_id: int) -> RunDetail:
        """One run; `NotFoundError` when there is none of that id."""
        found = self._all(RunDetail, "run", run_id=run_id)
        if not found:
            raise NotFoundError(f"there is no run {run_id} in {self.path}: `bide runs` lists them")
        return found[0]

    def tasks(self, run_id: int, outputs: bool = False, whole: bool = False) -> list[TaskShown]:
        """The run's instances in declaration order. `whole`: of a mapped task its summary alone."""
        if whole:
            return self._all(TaskShown, "tasks_whole", run_id=run_id)
        return self._all(TaskShown, "tasks_with_outputs" if outputs else "tasks", run_id=run_id)

    def tasks_after(self, run_id: int, instance_id: int, limit: int) -> list[TaskHeld]:
        """The run's instances behind one of them, in declaration order."""
        return self._all(TaskHeld, "tasks_after", run_id=run_id, after=instance_id, limit=limit)

    def instance(self, run_id: int, task: str, map_index: int) -> TaskShown | None:
        """One instance of a mapped task."""
        found = self._all(TaskShown, "instance", run_id=run_id, task=task, map_index=map_index)
        return found[0] if found else None

    def attempts_of(self, instance_id: int) -> list[AttemptShown]:
        """Every try of one instance, oldest first."""
        return self._all(AttemptShown, "attempts_of", instance_id=instance_id)

    def instance_counts(self, run_id: int) -> dict[str, dict[str, int]]:
        """Mapped task -> state -> how many of its instances."""
        found: dict[str, dict[str, int]] = {}
        rows = self.read(lambda conn: conn.execute(sql_of("instance_counts"), {"run_id": run_id}).fetchall())
        for task, state, count in rows:
            found.setdefault(task, {})[state] = count
        return found

    def mapped(self, run_id: int) -> dict[str, int]:
        """The mapped tasks of a run that have become instances, and how many each."""
        found = self.read(lambda conn: conn.execute(sql_of("mapped"), {"run_id": run_id}).fetchall())
        return dict(found)

    def attempts(self, run_id: int, task: str | None = None, whole: bool = False) -> list[AttemptShown]:
        """Every try, oldest first. `whole`: but those of the instances of mapped tasks."""
        return self._all(AttemptShown, "attempts", run_id=run_id, task=task, whole=whole)

    def waits(self, run_id: int | None = None, after: int = 0, limit: int = 100_000) -> list[WaitShown]:
        """Open waits, oldest first. `after`: only ids above it, to page on."""
        return self._all(WaitShown, "waits", run_id=run_id, after=after, limit=limit)

    def waits_below(
        self,
        before: int,
        limit: int,
        ids: tuple[int, ...] | None = None,
        dag: str | None = None,
        kind: str | None = None,
    ) -> list[WaitShown]:
        """Open waits, the newest first, of those below an id; of `ids`, of one DAG, of one kind."""
        of = None if ids is None else msgspec.json.encode(ids).decode()
        return self._all(WaitShown, "waits_below", before=before, limit=limit, ids=of, dag=dag, kind=kind)

    def alerts(
        self,
        run_id: int | None = None,
        state: str | None = None,
        limit: int = 100,
        before: int = NEWEST,
    ) -> list[AlertShown]:
        """The newest first, of everything or of one run. `before`: only ids below it, to page on."""
        name = "alerts" if run_id is None else "alerts_of_run"
        return self._all(AlertShown, name, run_id=run_id, state=state, limit=limit, before=before)

    def alert_lines(
        self,
        shape: type[L],
        run_id: int | None = None,
        state: str | None = None,
        limit: int = 100,
        before: int = NEWEST,
    ) -> list[L]:
        """As `alerts`, in the words of the doors."""
        asked = {"run_id": run_id, "state": state, "limit": limit, "before": before}
        sql = sql_of("alerts" if run_id is None else "alerts_of_run")
        return self._one(lambda conn: in_words(conn, shape, sql, words.ALERT, asked))

    def events(self, after: int = 0, run_id: int | None = None, limit: int = 1000) -> list[EventShown]:
        """The journal after the sequence number `after`, of everything or of one run."""
        name = "events" if run_id is None else "events_of_run"
        return self._all(EventShown, name, after=after, run_id=run_id, limit=limit)

    def sqlite_version(self) -> tuple[int, ...]:
        """The version of SQLite that answers: (3, 51, 3)."""
        return sqlite3.sqlite_version_info

    def last_event(self) -> int:
        """The newest sequence number, 0 on an empty journal."""
        return self.read(lambda conn: int(conn.execute(sql_of("last_event")).fetchone()[0]))

    def counts(self) -> Counts:
        def count(conn: sqlite3.Connection) -> Counts:
            one = [
                dict(conn.execute(sql_of(f"{what}_counts")).fetchall()) for what in ("run", "task", "wait")
            ]
            return Counts(*one)

        return self.read(count)

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """`fn(conn)` within one snapshot: for rooms with questions of their own."""
        try:
            self._conn.execute("BEGIN")
            return fn(self._conn)
        except READ_ERRORS as error:
            raise unreadable(error, f"the database {self.path}") from error
        finally:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")

    def close(self) -> None:
        self._conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _all(self, shape: type[S], name: str, **values: Any) -> list[S]:
        return self._one(lambda conn: in_one(conn, shape, sql_of(name), values))

    def _one(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, of one statement: it is a snapshot by itself, and a transaction would be four more waits for the lock."""
        try:
            return fn(self._conn)
        except READ_ERRORS as error:
            raise unreadable(error, f"the database {self.path}") from error


class AsyncReader:
    """`Reader` for the loop: `await reader.ask(Reader.runs, dag="etl")`, at most `width` at once."""

    def __init__(self, path: str | os.PathLike[str], width: int = 4) -> None:
        self._path = path
        self._idle: list[Reader] = []
        self._threads = Aside(width, "bide reads")
        self._closed = False

    async def ask(self, question: Callable[..., T], *args: Any, **options: Any) -> T:
        """The answer of one of `Reader`'s methods, asked in a thread."""
        if self._closed:
            raise StoreError("this reader is closed: make another")
        return await self._threads.call(self._ask, question, args, options)

    def _ask(self, question: Callable[..., T], args: tuple[Any, ...], options: dict[str, Any]) -> T:
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = Reader(self._path)
        try:
            return question(reader, *args, **options)
        finally:
            self._idle.append(reader)
            if self._closed:  # it may be closed at any moment, from the loop
                self._close_idle()

    def close(self) -> None:
        """Close what is idle now; a question under way closes its own when it is answered."""
        self._closed = True
        self._threads.end()
        self._close_idle()

    async def ended(self) -> None:
        """When its threads have ended, after `close()`."""
        await self._threads.ended()

    def _close_idle(self) -> None:
        while self._idle:
            try:
                reader = self._idle.pop()
            except IndexError:  # another thread has taken the last one
                return
            reader.close()
