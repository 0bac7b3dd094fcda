"""The physical limits: for each row the smallest honest program, with no orchestrator in it.

The same rows change in the same schema with the same durability (WAL, `synchronous=FULL`), one hop
to aiosqlite's thread a batch, 256 slots. What it does not do is decide anything.
"""

from __future__ import annotations

import asyncio
import heapq
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiosqlite

from benchmarks.measure import LoopLag, quantile, rss, scratch

SLOTS = 256
SCHEMA = Path(__file__).parents[1] / "bide/runtime/store/migrations/0001_core.sql"
Rows = list[tuple[Any, ...]]

INSTANCE_NEW = (
    "INSERT INTO task_instance (instance_id, run_id, task, map_index, state, since_us) VALUES (?,?,?,?,?,?)"
)
INSTANCE_SET = (
    "UPDATE task_instance SET state=?, attempt=?, failures=?, lost=?, attempt_id=?, since_us=?, due_us=?,"
    " deadline_us=?, reason=? WHERE instance_id=?"
)
ATTEMPT_NEW = (
    "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us) VALUES (?,?,?,?,?,?)"
)
ATTEMPT_SET = "UPDATE attempt SET state=?, ended_us=?, active_us=?, error=?, metrics=? WHERE attempt_id=?"
WAIT_NEW = (
    "INSERT INTO wait (wait_id, instance_id, attempt_id, key, kind, trigger, state, created_us, deadline_us,"
    " poll_us) VALUES (?,?,?,?,?,?,?,?,?,?)"
)
WAIT_SET = (
    "UPDATE wait SET attempt_id=?, state=?, deadline_us=?, ended_us=?, event=?, reason=? WHERE wait_id=?"
)
EVENT = (
    "INSERT INTO event (seq, at_us, epoch, subject, subject_id, run_id, was, now, reason)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
)


def now_us() -> int:
    return time.time_ns() // 1000


class Bare:
    """The bare store: a batch is lists of rows by statement, written in one hop and one transaction."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._raw: sqlite3.Connection = db._conn
        self.seq = 0

    def events(self, ids: range | list[int], subject: str, was: str, now: str, at: int) -> Rows:
        first = self.seq + 1
        self.seq += len(ids)
        return [(first + n, at, 1, subject, i, 1, was, now, "") for n, i in enumerate(ids)]

    async def commit(self, batch: list[tuple[str, Rows]]) -> None:
        def write() -> None:
            self._raw.execute("BEGIN IMMEDIATE")
            for statement, rows in batch:
                self._raw.executemany(statement, rows)
            self._raw.execute("COMMIT")

        await self._db._execute(write)  # type: ignore[no-untyped-call]  # private: one hop a batch


@asynccontextmanager
async def bare_store(folder: Path) -> AsyncIterator[Bare]:
    async with aiosqlite.connect(folder / "bare.db", isolation_level=None) as db:
        await db.execute("PRAGMA journal_mode=WAL")
        await db.execute("PRAGMA synchronous=FULL")
        await db.execute("PRAGMA foreign_keys=ON")
        await db.executescript(SCHEMA.read_text())
        await db.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1,'d','{}','{}')")
        await db.execute(
            "INSERT INTO dag_version (version_id, dag_id, hash, spec, created_us) VALUES (1,1,'h','{}',0)"
        )
        await db.execute(
            "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,"
            " scheduled_us, params, created_us) VALUES (1,1,1,'running','manual','k',0,0,0,0,'{}',0)"
        )
        yield Bare(db)


async def hand_off(commits: int = 300) -> dict[str, float]:
    """One durable commit of the rows of one hand-off: A ends, B is ready, B runs."""
    took: list[float] = []
    with scratch() as folder:
        async with bare_store(folder) as store:
            at = now_us()
            await store.commit(
                [
                    (INSTANCE_NEW, [(i, 1, f"t{i}", -1, "pending", at) for i in range(commits + 1)]),
                    (ATTEMPT_NEW, [(0, 0, 1, "running", 1, at)]),
                ]
            )
            for i in range(1, commits + 1):
                at = now_us()
                batch: list[tuple[str, Rows]] = [
                    (
                        INSTANCE_SET,
                        [
                            ("success", 1, 0, 0, i - 1, at, None, None, "", i - 1),
                            ("running", 1, 0, 0, i, at, None, None, "", i),
                        ],
                    ),
                    (ATTEMPT_NEW, [(i, i, 1, "running", 1, at)]),
                    (ATTEMPT_SET, [("success", at, 0, None, None, i - 1)]),
                    (
                        EVENT,
                        [
                            *store.events([i - 1], "attempt", "running", "success", at),
                            *store.events([i - 1], "instance", "running", "success", at),
                            *store.events([i], "instance", "pending", "ready", at),
                            *store.events([i], "instance", "ready", "running", at),
                        ],
                    ),
                ]
                began = time.perf_counter()
                await store.commit(batch)
                took.append((time.perf_counter() - began) * 1e3)
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99)}


async def fan(n: int) -> dict[str, float]:
    """1 -> n -> 1 no-op asyncio tasks, each life three transitions, each durable before it acts."""
    with scratch() as folder:
        async with bare_store(folder) as store, LoopLag() as lag:
            began = time.perf_counter()
            await _fan(store, n)
            took = time.perf_counter() - began
    return {"tasks_per_s": (n + 2) / took, "us_per_task": took / (n + 2) * 1e6, "lag_p99_ms": lag.p99}


async def _fan(store: Bare, n: int) -> None:
    root, join, middle = 0, n + 1, range(1, n + 1)
    ended: list[int] = []
    woken = asyncio.Event()

    async def body(i: int) -> None:
        ended.append(i)
        woken.set()

    at = now_us()
    await store.commit(
        [
            (INSTANCE_NEW, [(i, 1, f"t{i}", -1, "pending", at) for i in range(n + 2)]),
            (EVENT, store.events([0], "run", "", "running", at)),
        ]
    )
    ready, running, middle_left = [root], 0, n
    bodies: set[asyncio.Task[None]] = set()
    while ready or running:
        at = now_us()
        over, ended[:] = list(ended), []
        running -= len(over)
        if over == [root]:
            ready = list(reversed(middle))
            made_ready = list(middle)
        else:
            middle_left -= len(over)
            made_ready = [join] if over and middle_left == 0 else []
            ready += made_ready
        start = [ready.pop() for _ in range(min(len(ready), SLOTS - running))]
        running += len(start)
        await store.commit(
            [
                (INSTANCE_SET, [("ready", 0, 0, 0, None, at, None, None, "", i) for i in made_ready]),
                (INSTANCE_SET, [("success", 1, 0, 0, i, at, None, None, "", i) for i in over]),
                (INSTANCE_SET, [("running", 1, 0, 0, i, at, None, None, "", i) for i in start]),
                (ATTEMPT_NEW, [(i, i, 1, "running", 1, at) for i in start]),
                (ATTEMPT_SET, [("success", at, 0, None, None, i) for i in over]),
                (
                    EVENT,
                    [
                        *store.events(over, "instance", "running", "success", at),
                        *store.events(made_ready, "instance", "pending", "ready", at),
                        *store.events(start, "instance", "ready", "running", at),
                    ],
                ),
            ]
        )
        for i in start:
            task = asyncio.create_task(body(i))
            bodies.add(task)
            task.add_done_callback(bodies.discard)
        if running:
            if not ended:
                woken.clear()
                await woken.wait()
            await asyncio.sleep(0)


async def waits(n: int) -> dict[str, float]:
    """n waits in one heap with one timer, due at one instant, each a row; consumed by group commit."""
    due_in_s = 1.0 + n / 20_000
    with scratch() as folder:
        async with bare_store(folder) as store:
            before = rss()
            began = time.perf_counter()
            due = now_us() + int(due_in_s * 1e6)
            heap: list[tuple[int, int]] = []
            for first in range(0, n, 1000):
                ids = range(first, min(n, first + 1000))
                at = now_us()
                await store.commit(
                    [
                        (INSTANCE_NEW, [(i, 1, f"w{i}", -1, "deferred", at) for i in ids]),
                        (ATTEMPT_NEW, [(i, i, 1, "running", 1, at) for i in ids]),
                        (
                            WAIT_NEW,
                            [(i, i, i, "", "time", f'{{"at_us":{due}}}', "open", at, due, 0) for i in ids],
                        ),
                        (EVENT, store.events(ids, "instance", "ready", "deferred", at)),
                    ]
                )
                for i in ids:
                    heapq.heappush(heap, (due, i))
            armed = time.perf_counter() - began
            bytes_each = (rss() - before) / n
            await asyncio.sleep(max(0, due - now_us()) / 1e6)
            late: list[float] = []
            while heap and heap[0][0] <= now_us():
                fired = [heapq.heappop(heap)[1] for _ in range(min(1000, len(heap)))]
                at = now_us()
                await store.commit(
                    [
                        (INSTANCE_SET, [("success", 1, 0, 0, i, at, None, None, "", i) for i in fired]),
                        (ATTEMPT_SET, [("success", at, 0, None, None, i) for i in fired]),
                        (WAIT_SET, [(i, "fired", due, at, "null", "", i) for i in fired]),
                        (EVENT, store.events(fired, "instance", "deferred", "success", at)),
                    ]
                )
                late += [(now_us() - due) / 1e3] * len(fired)
    return {
        "armed_per_s": n / armed,
        "bytes_each": bytes_each,
        "late_p50_ms": quantile(late, 0.5),
        "late_p99_ms": quantile(late, 0.99),
        "done_s": late[-1] / 1e3,
    }


RUN_NEW = (
    "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,"
    " scheduled_us, params, created_us) VALUES (?,1,1,'running','scheduled',?,?,0,0,0,'{}',?)"
)


async def runs(n: int = 10_000) -> dict[str, float]:
    """n runs of one no-op task each: made durably, 256 a batch, then each task's life as in `fan`."""
    with scratch() as folder:
        async with bare_store(folder) as store, LoopLag() as lag:
            began = time.perf_counter()
            for first in range(2, n + 2, SLOTS):
                at, ids = now_us(), range(first, min(first + SLOTS, n + 2))
                await store.commit(
                    [
                        (RUN_NEW, [(i, f"k{i}", i, at) for i in ids]),
                        (INSTANCE_NEW, [(i, i, "t", -1, "ready", at) for i in ids]),
                        (EVENT, store.events(ids, "run", "", "running", at)),
                    ]
                )
            created = time.perf_counter() - began
            for first in range(2, n + 2, SLOTS):
                at, ids = now_us(), range(first, min(first + SLOTS, n + 2))
                await store.commit(
                    [
                        (ATTEMPT_NEW, [(i, i, 1, "running", 1, at) for i in ids]),
                        (INSTANCE_SET, [("success", 1, 0, 0, i, at, None, None, "", i) for i in ids]),
                        (ATTEMPT_SET, [("success", at, 0, None, None, i) for i in ids]),
                        (EVENT, store.events(ids, "instance", "running", "success", at)),
                    ]
                )
    return {"created_s": created, "done_s": time.perf_counter() - began, "lag_p99_ms": lag.p99}


async def loading(n: int = 10_000) -> dict[str, float]:
    """A fresh interpreter that reads n open waits back; wall time from its start."""
    with scratch() as folder:
        async with bare_store(folder) as store:
            await store.commit(
                [
                    (INSTANCE_NEW, [(i, 1, f"w{i}", -1, "deferred", 0) for i in range(n)]),
                    (ATTEMPT_NEW, [(i, i, 1, "running", 1, 0) for i in range(n)]),
                    (
                        WAIT_NEW,
                        [(i, i, i, "", "time", '{"at_us":1}', "open", 0, 1, 0) for i in range(n)],
                    ),
                ]
            )
        code = (
            "import sqlite3,sys\n"
            "rows = sqlite3.connect(sys.argv[1]).execute('SELECT w.*, i.* FROM wait w JOIN task_instance i"
            ' USING (instance_id) WHERE w.state = "open"\').fetchall()\n'
            "assert len(rows) == int(sys.argv[2])"
        )
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, str(folder / "bare.db"), str(n)], check=True)
        return {"watched_s": time.perf_counter() - began}


async def idle(n: int = 10_000, for_s: float = 5.0) -> dict[str, float]:
    """A bare loop with n entries in a heap and one timer that never comes due."""
    heap = [(now_us() + 3_600_000_000, i) for i in range(n)]
    heapq.heapify(heap)
    timer = asyncio.get_running_loop().call_later(3600, heap.clear)
    await asyncio.sleep(0.2)
    used = time.process_time()
    await asyncio.sleep(for_s)
    used = time.process_time() - used
    timer.cancel()
    return {"cpu_s_per_min": used / for_s * 60, "rss_mb": rss() / 1e6}


async def loop_lag(for_s: float = 3.0) -> dict[str, float]:
    """How late a loop is that has nothing else to do: the noise of this machine."""
    async with LoopLag() as lag:
        await asyncio.sleep(for_s)
    return {"lag_p99_ms": lag.p99}


async def interpreter() -> dict[str, float]:
    """A Python that starts and ends."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return time.perf_counter() - began

    once()
    wall = quantile([once() for _ in range(5)], 0.5)
    return {"import_ms": wall * 1e3, "script_s": wall, "run_s": wall}


async def backfill(n: int) -> dict[str, float]:
    """The n firings of the schedule stepped through, and n rows written in one transaction."""
    from bide import Cron
    from bide.runtime.schedules.grid import firings_between

    schedule = Cron("0 2 * * *", tz="Europe/Berlin", interval="day")
    until = 1_767_222_000_000_000
    began = time.perf_counter()
    firings = firings_between(schedule, until - n * 86_400_000_000, until, None, n)
    planned = time.perf_counter() - began
    with scratch() as folder, closing(sqlite3.connect(folder / "limit.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("CREATE TABLE interval (place INTEGER PRIMARY KEY, fires_us, start_us, end_us, state)")
        began = time.perf_counter()
        conn.execute("BEGIN")
        conn.executemany(
            "INSERT INTO interval VALUES (?, ?, ?, ?, 'pending')",
            ((n, *each) for n, each in enumerate(firings)),
        )
        conn.execute("COMMIT")
        return {"plan_s": planned, "start_ms": (time.perf_counter() - began) * 1000}
