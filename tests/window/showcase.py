"""DAGs that have something for every screen of the window: all states, waits of several kinds, assets, approvals, pools."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bide import Asset, Context, Cron, Param, approval, dag, group, shell, task
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, PythonSensor, TimeSensor

WORLD = Path(os.environ.get("BIDE_SHOWCASE_WORLD", "."))
HOSTILE = "<img src=x onerror=document.title='hurt'>"
"""In every name and text that takes it: shown as it is, it hurts nobody."""

orders = Asset("orders", owner="sales", grain="day", node="raw")
revenue = Asset("revenue", owner="finance", grain="day", node="product", criticality="high")


@task(outlets=[orders])
async def load_orders(ctx: Context) -> dict[str, int]:
    """Loads the orders of the interval."""
    print(f"\x1b[32mloaded\x1b[0m {ctx.logical_date:%Y-%m-%d} {HOSTILE}")
    return {"rows": 120}


@task(inlets=[orders], outlets=[revenue])
async def sum_up(loaded: dict[str, int]) -> int:
    return loaded["rows"] * 3


@dag(
    schedule=Cron("0 4 * * *", tz="Europe/Berlin"),
    start=datetime(2026, 3, 1, tzinfo=UTC),
    catchup="none",
    owner="sales",
    tags=["daily"],
)
def daily_orders() -> None:
    """Orders of a day, and what they bring."""
    sum_up(load_orders())


@task(retries=1, retry_delay=timedelta(milliseconds=10))
async def breaks(ctx: Context) -> None:
    print("about to break")
    raise ValueError(f"no such column: price {HOSTILE}")


@task
async def after() -> None:
    pass


@dag(tags=["broken"])
def failing() -> None:
    """Fails, always."""
    breaks() >> after()


@task(pool="narrow")
async def holds(ctx: Context) -> None:
    """Runs until its file is there."""
    import asyncio

    print("holding")
    while not (WORLD / "go").exists():
        await asyncio.sleep(0.05)


@dag(max_active_runs=10)
def crowded() -> None:
    """Wants one slot of a pool three times at once."""
    for _ in range(3):
        holds()


@dag(max_active_runs=20)
def waiting() -> None:
    """Waits for the world in several ways."""
    FileSensor("file", path=str(WORLD / "drops" / "{logical_date:%Y-%m-%d}.csv"), timeout=timedelta(hours=6))
    HttpSensor(
        "page", url="http://127.0.0.1:9/ready", timeout=timedelta(hours=2), poll_interval=timedelta(seconds=5)
    )
    ExternalTaskSensor("orders_done", dag="daily_orders", task="sum_up", timeout=timedelta(days=2))
    TimeSensor("next_year", at=datetime(2027, 1, 1, tzinfo=UTC), timeout=timedelta(days=60))
    PythonSensor("flag", (WORLD / "flag").exists, poll_interval=timedelta(seconds=30))


@dag
def publishing() -> None:
    """Asks a person before it goes on."""
    approval("release", prompt="Publish the figures?") >> after()


@task
async def double(number: int) -> int:
    return number * 2


@task
async def numbers() -> list[int]:
    return list(range(12))


@dag
def mapped() -> None:
    """One task for each of a list."""
    double.map(number=numbers())


@task
async def step(before: Any = None) -> int:
    return 1


@dag
def wide() -> None:
    """1,000 tasks: ten groups of 100."""
    first = step()
    for number in range(10):
        with group(f"part{number}"):
            for _ in range(100):
                step(first)


@dag(params={"text": Param("hello", doc="What is said", max_length=40), "often": Param(2, ge=1, le=9)})
def with_params() -> None:
    """Takes parameters: a form is made of their schema."""
    shell("speaks", "echo {params.text}")
