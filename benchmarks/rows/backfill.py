"""A backfill of n daily intervals: planned, started, and how its runs follow one another with their cap held."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

from benchmarks.measure import LoopLag, scratch
from bide import Cron, Runtime, dag, task
from bide.runtime.clock import to_us
from bide.runtime.service.backfill_shapes import BackfillRequest

CAP = 16
FOLLOWED = 1_000


@task
async def no_op() -> None:
    pass


@dag(schedule=Cron("0 2 * * *", tz="Europe/Berlin", interval="day"))
def daily() -> None:
    no_op()


async def backfill(n: int) -> dict[str, float]:
    with scratch() as folder:
        db = folder / "bide.db"
        async with Runtime(db=db, dags=[daily], slots=256) as rt:
            back = rt.operations.backfills
            request = BackfillRequest(dag="daily", from_=_back(n), to="2026-01-01", max_active=CAP)
            began = time.perf_counter()
            plan = await back.plan(request)
            planned = time.perf_counter() - began
            assert abs(len(plan.intervals) - n) <= 1, len(plan.intervals)
            async with LoopLag() as lag:
                intervals = [[_us(i.end), _us(i.start), _us(i.end)] for i in plan.intervals]
                args = {"dag": "daily", "options": {"max_active": CAP}, "intervals": intervals}
                began = time.perf_counter()
                started = await rt.command("backfill_start", args)
                start = time.perf_counter() - began
                began = time.perf_counter()
                while True:
                    await asyncio.sleep(0.05)
                    [line] = await back.listed()
                    if line.done >= FOLLOWED:
                        break
                took, done = time.perf_counter() - began, line.done
                await back.cancel(str(started["backfill_id"]))
        return {
            "plan_s": planned,
            "start_ms": start * 1000,
            "runs_per_s": done / took,
            "most_at_once": max(_running(db)),
            "lag_p99_ms": lag.p99,
        }


def _us(instant: str) -> int:
    return to_us(datetime.fromisoformat(instant))


def _back(n: int) -> str:
    return (date(2026, 1, 1) - timedelta(days=n)).isoformat()


def _running(db: Path) -> Iterator[int]:
    """How many of its runs were running, at each line of the journal."""
    running = 0
    with closing(sqlite3.connect(db)) as conn:
        for was, now in conn.execute("SELECT was, now FROM event WHERE subject = 'run' ORDER BY seq"):
            running += (now == "running") - (was == "running")
            yield running
