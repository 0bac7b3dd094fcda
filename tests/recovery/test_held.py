"""T9: two thousand waits are held over kills and under load, and what holds them grows neither in memory nor in files.

BIDE_SOAK=n: five times as many waits, n times the load, and the lag of the loop is judged as well.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest

from tests.recovery.sweep import SOAK
from tests.recovery.test_kills import tables
from tests.recovery.test_orphans import OneFile, files_of, until
from tests.recovery.test_storage import rows

LONG: Final = bool(os.environ.get("BIDE_SOAK"))
HELD: Final = 10_000 if LONG else 2_000
RUNS: Final = 300 * SOAK
LAG_S: Final = 0.05
FILE: Final = """
import asyncio, time
from datetime import timedelta
from bide import Asset, dag, shell, task
from bide.sensors import AssetSensor, FileSensor, TimeSensor

gold = Asset("gold")
FAR = timedelta(days=300)

@dag(max_active_runs=1000)
def held():
    for n in range(20):
        FileSensor(f"file{n}", path=f"{FOLDER}/none-{n}-{{run_id}}", timeout=FAR)
    for n in range(20):
        TimeSensor(f"time{n}", at="2099-01-01T00:00:00+00:00", timeout=FAR * 100)
    for n in range(10):
        AssetSensor(f"asset{n}", asset=gold, timeout=FAR)

@task
async def one():
    return 1

@task
async def two(number):
    lags = []
    for _ in range(3):
        begun = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - begun - 0.005)
    return max(lags)

@dag(max_active_runs=1000)
def small():
    two(one())
"""


def resident(pid: int) -> int:
    """Pages that are its own: neither shared nor mapped from files."""
    _, pages, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    return pages - shared


@pytest.mark.soak
@pytest.mark.slow
async def test_t9_p14_what_is_held_over_kills_grows_neither_memory_nor_files(tmp_path: Path) -> None:
    db, file = tmp_path / "b.db", tmp_path / "dags.py"
    file.write_text(FILE.replace("{FOLDER}", str(tmp_path)))
    service = OneFile(db, file)

    def count(sql: str) -> int:
        (found,) = rows(db, sql)[0]
        assert isinstance(found, int)
        return found

    async def worked(runs: range) -> None:
        for n in runs:
            service.say(f"trigger small 2026-01-01T00:00:00.{n:06d} small-{n}")
        done = "SELECT count(*) FROM run WHERE state = 'success'"
        await until(lambda: count(done) == runs.stop, within=60 + RUNS / 10)

    await service.start()
    for n in range(HELD // 50):
        service.say(f"trigger held 2026-01-01T00:00:00.{n:06d} held-{n}")
    await until(lambda: count("SELECT count(*) FROM wait WHERE state = 'open'") == HELD, within=120)
    for n in range(2):
        await worked(range(n * 20, (n + 1) * 20))
        await service.kill()
        await service.start()
    await worked(range(40, 140))  # what a runtime keeps at hand is there by now
    assert service.process is not None
    pid = service.process.pid
    pages, files = resident(pid), len(files_of(pid))
    await worked(range(140, 140 + RUNS))
    await asyncio.sleep(0)
    grown = resident(pid) / pages - 1
    assert grown < 0.05, f"{pages} pages have grown by {grown:.1%}"
    assert len(files_of(pid)) <= files + 2, files_of(pid)
    assert count("SELECT count(*) FROM wait WHERE state = 'open'") == HELD
    if LONG:
        lags = sorted(float(str(lag)) for (lag,) in rows(db, "SELECT value FROM output JOIN task_instance USING (instance_id) WHERE task = 'two'"))  # fmt: skip
        assert lags[len(lags) * 99 // 100] < LAG_S
    await service.stop()
    assert tables(db)[2] == []
