"""Doing nothing with 10,000 waits: processor time and resident memory of a `Runtime`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from benchmarks.measure import rss, scratch
from benchmarks.rows.waits import DATE, armed
from bide import Runtime, dag, task
from bide.sensors import ExternalTaskSensor, TimeSensor

EACH, MEASURED_S = 5000, 20


@task
async def never() -> None:
    pass


@dag
def upstream() -> None:
    never()


async def runtime() -> dict[str, float]:
    due = datetime.now(UTC) + timedelta(days=1)

    @dag
    def waiting() -> None:
        for i in range(EACH):
            TimeSensor(f"t{i}", at=due, timeout=timedelta(days=2))
            ExternalTaskSensor(f"e{i}", dag="upstream", task="never", timeout=timedelta(days=2))

    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[waiting, upstream], slots=256) as rt:
            run = await rt.trigger(waiting, logical_date=DATE)
            await armed(folder / "bide.db", 2 * EACH)
            await asyncio.sleep(1)
            held = rss()
            used = time.process_time()
            await asyncio.sleep(MEASURED_S)
            used = time.process_time() - used
            await run.cancel()
    return {"cpu_s_per_min": used / MEASURED_S * 60, "rss_mb": held / 1e6}
