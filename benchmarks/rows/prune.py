"""Retention and backup of a living runtime: rows a second, the longest hand-off meanwhile, MB a second."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import quantile, scratch
from benchmarks.rows import handoff
from bide import Runtime
from bide.runtime.service.retaining import to_the_end

RUNS = 20_000
TASKS = 5


def fill(db: Path, runs: int) -> None:
    """Runs of a DAG of five tasks that are long over, as the engine leaves them."""
    with closing(sqlite3.connect(db)) as conn, conn:
        [(dag, version)] = conn.execute("SELECT dag_id, version_id FROM dag").fetchall()
        first = 1_000
        conn.executemany(
            "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us, scheduled_us,"
            " params, created_us, started_us, ended_us) VALUES (?1, ?2, ?3, 'success', 'manual', ?1, ?1, ?1, ?1, ?1, '{}', 1, 1, 2)",
            ((first + n, dag, version) for n in range(runs)),
        )
        names = [f"link[{n}]" for n in range(TASKS)]
        for at, name in enumerate(names):
            ids = [(first + n * TASKS + at, first + n, name) for n in range(runs)]
            conn.executemany(
                "INSERT INTO task_instance (instance_id, run_id, task, state, attempt, attempt_id, since_us)"
                " VALUES (?1, ?2, ?3, 'success', 1, ?1, 2)",
                ids,
            )
            conn.executemany(
                "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us, ended_us)"
                " VALUES (?1, ?1, 1, 'success', 1, 1, 2)",
                ((one,) for one, _, _ in ids),
            )
        [(seq,)] = conn.execute("SELECT max(seq) FROM event").fetchall()
        conn.executemany(
            "INSERT INTO event VALUES (?, 1, 1, 'instance', ?, ?, 'ready', 'running', '')",
            (
                (seq + 1 + n, first + n % (runs * TASKS), first + n % (runs * TASKS) // TASKS)
                for n in range(runs * TASKS * 3)
            ),
        )


async def _hand_offs(rt: Runtime, over: asyncio.Event) -> list[float]:
    """Hand-offs of a chain that is run again and again until it is over."""
    gaps: list[float] = []
    while not over.is_set():
        handoff.stamps.clear()
        await (await rt.trigger(handoff.chain_of_fifty)).wait()
        gaps += [(b[0] - a[1]) * 1e3 for a, b in pairwise(handoff.stamps)]
    return gaps


async def prune() -> dict[str, float]:
    with scratch() as folder:
        db = folder / "bide.db"
        async with Runtime(db=db, dags=[handoff.chain_of_fifty]) as rt:
            await (await rt.trigger(handoff.chain_of_fifty)).wait()
        fill(db, RUNS)
        async with Runtime(db=db, dags=[handoff.chain_of_fifty], slots=256) as rt:
            ops, over, turns = rt.operations.retaining, asyncio.Event(), list[float]()
            command = rt.command

            async def timed(verb: str, args: dict[str, object]) -> object:
                began = time.perf_counter()
                answer = await command(verb, args)
                turns.append((time.perf_counter() - began) * 1e3)
                return answer

            going = asyncio.create_task(_hand_offs(rt, over))
            ops._door.command = timed  # type: ignore[method-assign]
            began = time.perf_counter()
            came = await to_the_end(lambda cursor: ops.prune(cursor=cursor) if cursor else ops.prune("1d", 1))
            took = time.perf_counter() - began
            over.set()
            gaps = await going
    return {
        "rows_per_s": sum(came.removed.values()) / took,
        "slice_p50_ms": quantile(turns, 0.5),
        "handoff_p99_ms": quantile(gaps, 0.99),
    }


async def backup() -> dict[str, float]:
    with scratch() as folder:
        db = folder / "bide.db"
        async with Runtime(db=db, dags=[handoff.chain_of_fifty]) as rt:
            await (await rt.trigger(handoff.chain_of_fifty)).wait()
        fill(db, RUNS)
        size = db.stat().st_size
        async with Runtime(db=db, dags=[handoff.chain_of_fifty], slots=256) as rt:
            over = asyncio.Event()
            going = asyncio.create_task(_hand_offs(rt, over))
            code = (
                "import sys, time; from pathlib import Path; from bide.runtime.store.backup import copy_snapshot\n"
                "db, to = map(Path, sys.argv[1:]); to.touch(0o600); began = time.perf_counter()\n"
                "copy_snapshot(db, to); print(time.perf_counter() - began)"
            )
            words = [sys.executable, "-c", code, str(db), str(folder / "copy.db")]
            done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True)
            over.set()
            gaps = await going
    return {"mb_per_s": size / 1e6 / float(done.stdout), "handoff_p99_ms": quantile(gaps, 0.99)}
