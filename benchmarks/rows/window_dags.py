"""DAGs that the row `window` looks at: one of 1,000 tasks, one of 200 that has run 50 times, one whose tasks change together, one that only waits."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from bide import dag, group, task
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor

GO = Path(os.environ.get("BIDE_BENCH_GO", "go"))
"""The file that lets `bench_burst` go on."""


@task
async def step(before: Any = None) -> None: ...


@task
async def gate() -> None:
    while not GO.exists():
        await asyncio.sleep(0.02)


@dag
def bench_wide() -> None:
    first = step()
    for number in range(10):
        with group(f"part{number}"):
            for _ in range(99 if number == 9 else 100):
                step(first)


@dag(max_active_runs=50)
def bench_grid() -> None:
    for _ in range(20):
        before = step()
        for _ in range(9):
            before = step(before)


@dag
def bench_burst() -> None:
    held = gate()
    for _ in range(899):
        step()
    for _ in range(100):
        held >> step()


@dag
def bench_one() -> None:
    step()


@dag(max_active_runs=10)
def bench_waits() -> None:
    for n in range(1000):
        hours = timedelta(hours=2 + n % 40)
        if n % 5 == 3:
            HttpSensor(
                f"site{n:04}",
                url="http://127.0.0.1:9/ready",
                timeout=hours,
                poll_interval=timedelta(seconds=5),
            )
        elif n % 5 == 4:
            ExternalTaskSensor(f"other{n:04}", dag="bench_one", task="step", timeout=hours)
        else:
            FileSensor(f"file{n:04}", path=f"/nowhere/{{logical_date:%Y-%m-%d}}/{n:04}.csv", timeout=hours)
