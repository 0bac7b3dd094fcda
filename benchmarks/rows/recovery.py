"""kill -9 with 10,000 waits (time, file, external): from process start to all of them watched again, and, as
`bide serve` under systemd, to READY=1: recovered, the doors open.

Run as a module it is the victim: it says "watched" once its sources hold all waits for time and files
(those for other tasks are held by the engine, from the instant that `Runtime` is open), and stays.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import scratch
from benchmarks.rows.waits import DATE, armed
from bide import Dag, Runtime, dag, task
from bide.sensors import ExternalTaskSensor, FileSensor, TimeSensor

WAITS = 10_000
HELD_BY_SOURCES = sum(i % 3 != 2 for i in range(WAITS))
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
                    TimeSensor(f"w{i}", at=due)
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
        while rt.armed < HELD_BY_SOURCES:
            await asyncio.sleep(0.001)
        print("watched", flush=True)
        await asyncio.Event().wait()


async def until_watched(folder: Path) -> float:
    """Start the victim; seconds until it watches; kill it."""
    began = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.recovery", str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), 60)
        took = time.perf_counter() - began
        assert line == b"watched\n", line
    finally:
        child.kill()
        await child.wait()
    return took


async def killed() -> dict[str, float]:
    with scratch() as folder:
        for i in range(100):
            (folder / str(i)).mkdir()
        await until_watched(folder)
        watched_s = await until_watched(folder)
        return {"watched_s": watched_s, "ready_s": await until_ready(folder)}


async def until_ready(folder: Path) -> float:
    """Start the service on the same database; seconds until it tells systemd that it is ready; kill it."""
    (folder / "dags.py").write_text(
        "from pathlib import Path\n\nfrom benchmarks.rows.recovery import upstream, waiting_on\n\n"
        f"waiting, upstream = waiting_on(Path({str(folder)!r})), upstream\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as heard:
        heard.bind(str(folder / "notify"))
        env = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "PYTHONPATH": str(Path.cwd())}
        began = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bide", "serve", str(folder / "dags.py"), "--db", str(folder / "bide.db"),
            "--slots", "256", env=env, cwd=folder, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                said = ""
                while "READY=1" not in said:
                    said = (await asyncio.get_running_loop().sock_recv(heard, 65536)).decode()
            took = time.perf_counter() - began
            assert f"{WAITS:,} waits" in said, said
        finally:
            child.kill()
            await child.wait()
    return took


if __name__ == "__main__":
    asyncio.run(victim(Path(sys.argv[1])))
