"""Batches for the store's tests: a small world of one DAG, in the order `decide` would write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bide.runtime.engine.changes import Changes
from bide.runtime.graph.spec import DagSpec, Lane, SensorSpec, TaskSpec
from bide.runtime.store.inline import InlineWriter

T0 = 1_781_481_600_000_000
SPEC = DagSpec(
    name="etl",
    tasks=(
        TaskSpec(
            name="drop",
            lane=Lane.WAIT,
            sensor=SensorSpec(trigger="file", params={"path": "x"}, timeout_us=10, poll_us=5),
        ),
        TaskSpec(name="load", lane=Lane.ASYNC, upstream=("drop",), retries=1),
        TaskSpec(name="send", lane=Lane.ASYNC, upstream=("load",), idempotent=False),
    ),
)


class Book:
    """Writes rows as the engine does: every move with its journal line, ids and sequence in order."""

    def __init__(self) -> None:
        self.seq = 0
        self.batch = 0
        self.changes = Changes()
        self.rows: dict[int, list[object]] = {}

    def take(self) -> tuple[Changes, int]:
        changes, self.changes = self.changes, Changes()
        self.batch += 1
        return changes, self.batch

    def event(
        self, subject: str, subject_id: int, run_id: int | None, was: str, now: str, reason: str = ""
    ) -> None:
        self.seq += 1
        self.changes.events.append(
            (self.seq, T0 + self.seq, 1, subject, subject_id, run_id, was, now, reason)
        )

    def dag(self) -> None:
        spec = msgspec.json.encode(SPEC).decode()
        self.changes.dags_set.append((1, "etl", 1, '{"kind":"manual"}', "{}", 0, 0, None, None, None, ""))
        self.changes.versions_new.append((1, 1, "h1", spec, T0))

    def run(self, run_id: int = 1, kind: str = "manual", logical: int | None = None) -> None:
        at = T0 + run_id if logical is None else logical
        self.changes.runs_new.append(
            (run_id, 1, 1, "queued", kind, f"key-{run_id}", at, at, at, at, "{}", T0, None, "")
        )
        self.event("run", run_id, run_id, "", "queued")
        self.set_run(run_id, "queued", "running")
        for n, task in enumerate(("drop", "load", "send"), 1):
            instance = run_id * 10 + n
            self.changes.instances_new.append((instance, run_id, task, -1, "pending", T0))
            self.rows[instance] = ["pending", 0, 0, 0, None, T0, None, None, "", instance]

    def set_run(self, run_id: int, was: str, now: str) -> None:
        over = now in ("success", "failed", "cancelled")
        self.changes.runs_set[run_id] = (now, T0, T0 + 99 if over else None, None, "", run_id)
        self.event("run", run_id, run_id, was, now)

    def move(self, instance: int, now: str, reason: str = "", **fields: object) -> None:
        row = self.rows[instance]
        was, row[0], row[8] = str(row[0]), now, reason
        for name, value in fields.items():
            row[("state", "attempt", "failures", "lost", "attempt_id").index(name)] = value
        self.changes.instances_set[instance] = tuple(row)
        self.event("instance", instance, instance // 10, was, now, reason)

    def start(self, instance: int, now: str = "running") -> int:
        number = int(str(self.rows[instance][1])) + 1
        attempt = instance * 10 + number
        self.changes.attempts_new.append((attempt, instance, number, "running", 1, T0, 0))
        self.event("attempt", attempt, instance // 10, "", "running")
        self.move(instance, now, attempt=number, attempt_id=attempt)
        return attempt

    def end(self, attempt: int, state: str = "success") -> None:
        self.changes.attempts_set[attempt] = (state, T0 + 5, 0, None, None, attempt)
        self.event("attempt", attempt, attempt // 100, "running", state)

    def wait(self, wait_id: int, attempt: int, key: str = "") -> None:
        self.changes.waits_new.append(
            (wait_id, attempt // 10, attempt, key, "file", '{"kind":"file"}', "open", T0, T0 + 10, 5)
        )
        self.event("wait", wait_id, attempt // 100, "", "open")

    def end_wait(
        self, wait_id: int, attempt: int, state: str = "fired", event: str | None = '{"path":"x"}'
    ) -> None:
        self.changes.waits_set[wait_id] = (attempt, state, T0 + 10, T0 + 6, event, "", wait_id)
        self.event("wait", wait_id, attempt // 100, "open", state)


def whole_run(book: Book, run_id: int = 1) -> Iterator[tuple[Changes, int]]:
    """A run from its start to its end, batch by batch: a sensor, a task that is retried, a last one."""
    drop, load, send = (run_id * 10 + n for n in (1, 2, 3))
    if run_id == 1:
        book.dag()
    book.run(run_id)
    book.move(drop, "ready")
    yield book.take()
    attempt = book.start(drop, "deferred")
    book.wait(run_id, attempt)
    yield book.take()
    book.end_wait(run_id, attempt)
    book.end(attempt)
    book.changes.outputs.append((drop, '{"path":"x"}'))
    book.move(drop, "success")
    book.move(load, "ready")
    first = book.start(load)
    yield book.take()
    book.end(first, "failed")
    book.move(load, "up_for_retry", failures=1)
    yield book.take()
    book.move(load, "ready")
    second = book.start(load)
    yield book.take()
    book.end(second)
    book.changes.outputs.append((load, "42"))
    book.changes.watermarks.append((1, "load", str(run_id), T0 + run_id))
    book.move(load, "success")
    book.move(send, "ready")
    last = book.start(send)
    book.changes.processes.append((last, 4242, 77, "boot"))
    yield book.take()
    book.changes.processes_gone.append((last,))
    book.end(last)
    book.move(send, "success")
    book.set_run(run_id, "running", "success")
    yield book.take()


def three_runs(db: Path) -> Path:
    """A sound database: run 1 is over; run 2 waits (drop deferred); run 3 runs (load, its second attempt)."""
    writer = InlineWriter.open_here(db, create=True)
    book = Book()
    for run_id, batches in ((1, 99), (2, 2), (3, 5)):
        for n, (changes, batch) in enumerate(whole_run(book, run_id), 1):
            writer.commit_here(changes, batch)
            if n == batches:
                break
    writer.close_here()
    return db
