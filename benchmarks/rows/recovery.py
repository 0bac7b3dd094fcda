"""kill -9 with 10,000 waits (time, file, external): from process start to all of them watched again.

Run as a module it is the victim: it says "armed N" once all its waits are watched, and stays.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import scratch
from benchmarks.rows.waits import DATE, armed
from bide import Dag, Runtime, dag, task
from bide.sensors import ExternalTaskSensor, FileSensor, TimeSensor

WAITS = 10_000
LONG = timedelta(days=2)


@task
async def never() -> None:
    pass


@dag
def upstream() -> None:
    never()


def waiting_on(folder: Path) -> Dag:
    due = datetime(2100, 1, 1, tzinfo=UTC)

    @dag
    def waiting() -> None:
        for i in range(WAITS):
            match i % 3:
                case 0:
                    TimeSensor(f"w{i}", at=due, timeout=LONG)
                case 1:
                    FileSensor(f"w{i}", path=str(folder / f"{i % 100}" / f"{i}.csv"), timeout=LONG)
                case _:
                    ExternalTaskSensor(f"w{i}", dag="upstream", task="never", timeout=LONG)

    return waiting


async def victim(folder: Path) -> None:
    db = folder / "bide.db"
    again = db.exists()
    waiting = waiting_on(folder)
    async with Runtime(db=db, dags=[waiting, upstream], slots=256) as rt:
        if not again:
            await rt.trigger(waiting, logical_date=DATE)
        await armed(db, WAITS)
        print("armed", rt.armed, flush=True)
        await asyncio.Event().wait()


async def start(folder: Path) -> tuple[float, asyncio.subprocess.Process]:
    began = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.recovery", str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    line = (await child.stdout.readline()).decode()
    assert line == f"armed {WAITS}\n", line
    return time.perf_counter() - began, child


async def killed() -> dict[str, float]:
    with scratch() as folder:
        for i in range(100):
            (folder / str(i)).mkdir()
        _, child = await start(folder)
        child.kill()
        await child.wait()
        watched, child = await start(folder)
        child.kill()
        await child.wait()
    return {"watched_s": watched}


if __name__ == "__main__":
    asyncio.run(victim(Path(sys.argv[1])))
