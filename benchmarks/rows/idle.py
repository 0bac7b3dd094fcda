"""Doing nothing with 10,000 waits: processor time and resident memory of a `Runtime`, and as `bide serve`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import rss, scratch
from benchmarks.rows.waits import DATE, armed
from bide import Dag, Runtime, dag, task
from bide.sensors import ExternalTaskSensor, TimeSensor

EACH, MEASURED_S = 5000, 20


@task
async def never() -> None:
    pass


@dag
def upstream() -> None:
    never()


def waiting_until(due: datetime) -> Dag:
    @dag
    def waiting() -> None:
        for i in range(EACH):
            TimeSensor(f"t{i}", at=due)
            ExternalTaskSensor(f"e{i}", dag="upstream", task="never", timeout=timedelta(days=2))

    return waiting


async def runtime() -> dict[str, float]:
    waiting = waiting_until(datetime.now(UTC) + timedelta(days=1))
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


SERVED = """
from benchmarks.rows.idle import upstream, waiting_until
from datetime import UTC, datetime

waiting = waiting_until(datetime(2100, 1, 1, tzinfo=UTC))
"""


def used_by(pid: int) -> tuple[float, float]:
    """(processor seconds so far, resident MB) of another process."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")  # nanoseconds: `stat` counts in hundredths
    used_ns = sum(int(thread.read_text().split()[0]) for thread in threads)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return used_ns / 1e9, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def served() -> dict[str, float]:
    """The same as a service that was killed once: what it holds is what recovery has built."""
    with scratch() as folder:
        (folder / "idle_dags.py").write_text(SERVED)
        db = folder / "bide.db"
        bide = [sys.executable, "-m", "bide"]
        ready = "serving"
        for again in (False, True):
            service = await asyncio.create_subprocess_exec(
                *bide, "serve", str(folder / "idle_dags.py"), "--db", str(db), stderr=asyncio.subprocess.PIPE
            )
            try:
                assert service.stderr is not None
                while ready not in (line := (await service.stderr.readline()).decode()):
                    assert line, "the service ended"
                if not again:
                    trigger = await asyncio.create_subprocess_exec(
                        *bide, "trigger", "waiting", "--db", str(db), stdout=asyncio.subprocess.DEVNULL
                    )
                    assert await trigger.wait() == 0
                    await armed(db, 2 * EACH)
                    continue
                await asyncio.sleep(3)
                before, _ = used_by(service.pid)
                await asyncio.sleep(MEASURED_S)
                after, held = used_by(service.pid)
                return {"cpu_s_per_min": (after - before) / MEASURED_S * 60, "rss_mb": held}
            finally:
                service.kill()
                await service.wait()
    raise AssertionError
