"""n deferred waits that come true at one instant: to arm them, to hold them, to resume them.

Lateness is from the instant a wait comes due (a file: from its close) to the end of the commit that
consumes it; "all done" is when the caller of `run.wait()` has its answer.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import quantile, rss, scratch
from bide import Dag, Runtime, dag, task
from bide.runtime.engine.changes import Changes
from bide.sensors import ExternalTaskSensor, FileSensor, TimeSensor

FOLDERS = 100
DATE = datetime(2026, 1, 1, tzinfo=UTC)
WRITER = """
import json, sys, time
closed = {}
for path in json.load(sys.stdin):
    with open(path, "w") as file:
        file.write("there")
    closed[path] = time.time_ns() // 1000
json.dump(closed, sys.stdout)
"""


def now_us() -> int:
    return time.time_ns() // 1000


def open_waits(db: Path) -> int:
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        (count,) = conn.execute("SELECT count(*) FROM wait WHERE state = 'open'").fetchone()
    return int(count)


async def armed(db: Path, n: int) -> None:
    """Return when n waits are open: committed, and handed to their sources in the same turn."""
    while await asyncio.to_thread(open_waits, db) < n:
        await asyncio.sleep(0.02)


def fired(db: Path) -> list[tuple[str, int]]:
    """(task, wait) of every wait that fired."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        return conn.execute(
            "SELECT i.task, w.wait_id FROM wait w JOIN task_instance i USING (instance_id)"
            " WHERE w.state = 'fired'"
        ).fetchall()


async def _measure(
    n: int,
    db: Path,
    waiting: Dag,
    also: list[Dag],
    come_true: Callable[[Runtime], Awaitable[Mapping[str, int]]],
) -> dict[str, float]:
    """`come_true` makes it so, and returns when each came due, by task; "" stands for all others."""
    async with Runtime(db=db, dags=[waiting, *also], slots=256) as rt:
        before = rss()
        began = time.perf_counter()
        run = await rt.trigger(waiting, logical_date=DATE)
        await armed(db, n)
        took = time.perf_counter() - began
        bytes_each = (rss() - before) / n
        slots = rt.slots_in_use
        committed: dict[int, int] = {}

        def note(changes: Changes) -> None:
            committed.update(dict.fromkeys(changes.waits_set, now_us()))

        rt._shell.listeners.append(note)  # told right after each commit
        due = await come_true(rt)
        result = await run.wait()
        done_us = now_us()
        assert result.state == "success", result.state
    fallback = due.get("", 0)
    late = [(committed[wait] - due.get(name, fallback)) / 1e3 for name, wait in fired(db)]
    assert len(late) == n
    return {
        "armed_per_s": n / took,
        "bytes_each": bytes_each,
        "late_p50_ms": quantile(late, 0.5),
        "late_p99_ms": quantile(late, 0.99),
        "done_s": (done_us - max(due.values())) / 1e6,
        "slots": slots,
    }


async def time_waits(n: int) -> dict[str, float]:
    lead_s = 3 + n / 2500
    due = datetime.now(UTC) + timedelta(seconds=lead_s)

    @dag
    def waiting() -> None:
        for i in range(n):
            TimeSensor(f"w{i}", at=due)

    async def come_true(rt: Runtime) -> dict[str, int]:
        assert datetime.now(UTC) < due, "arming took longer than the lead: the figures would mean nothing"
        return {"": int(due.timestamp() * 1e6)}

    with scratch() as folder:
        return await _measure(n, folder / "bide.db", waiting, [], come_true)


async def file_waits(n: int) -> dict[str, float]:
    with scratch() as folder:
        drops = [folder / "drops" / f"{i % FOLDERS:02}" / f"{i}.csv" for i in range(n)]
        for drop in drops[:FOLDERS]:
            drop.parent.mkdir(parents=True, exist_ok=True)

        @dag
        def waiting() -> None:
            for i, drop in enumerate(drops):
                FileSensor(f"w{i}", path=str(drop), settle=timedelta(0))

        async def come_true(rt: Runtime) -> dict[str, int]:
            writer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await writer.communicate(json.dumps([str(d) for d in drops]).encode())
            closed: dict[str, int] = json.loads(out)
            return {f"w{i}": closed[str(drop)] for i, drop in enumerate(drops)}

        return await _measure(n, folder / "bide.db", waiting, [], come_true)


async def external_waits(n: int) -> dict[str, float]:
    come = asyncio.Event()

    @task
    async def gate() -> None:
        await come.wait()

    @dag
    def upstream() -> None:
        gate()

    @dag
    def waiting() -> None:
        for i in range(n):
            ExternalTaskSensor(f"w{i}", dag="upstream", task="gate")

    async def come_true(rt: Runtime) -> dict[str, int]:
        run = await rt.trigger(upstream, logical_date=DATE)
        due = now_us()
        come.set()
        await run.wait()
        return {"": due}

    with scratch() as folder:
        return await _measure(n, folder / "bide.db", waiting, [upstream], come_true)
