"""DAGs that the row `window` looks at: one of 1,000 tasks, one of 200 that has run 50 times, one whose tasks change together."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from bide import dag, group, task

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
