"""A DAG file with every lane and a wait of every kind, whose outcome does not depend on when it is killed.

Effects leave a mark in a ledger file, so that a test can count how often a body ran.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from bide import Context, FailTask, Failure, Runtime, dag, shell, task
from bide.sensors import (
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    KafkaOffsetSensor,
    PythonSensor,
    TimeSensor,
)
from bide.triggers import FileTrigger

WORLD = Path(os.environ.get("BIDE_TEST_WORLD", "."))
HTTP = os.environ.get("BIDE_TEST_HTTP", "http://127.0.0.1:9")
KAFKA = os.environ.get("BIDE_TEST_KAFKA", "127.0.0.1:9")
OFTEN = 1000
SOON = timedelta(seconds=0.1)


def mark(ctx: Context, what: str) -> None:
    """Append one line, whole, to the ledger."""
    line = f"{ctx.run_id} {ctx.task} {what} {ctx.attempt}\n".encode()
    fd = os.open(WORLD / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


@task(max_lost=OFTEN)
async def begin(ctx: Context) -> str:
    mark(ctx, "begin")
    return ctx.run_id


@task(max_lost=OFTEN, retries=3, retry_delay=timedelta(milliseconds=20))
async def flaky(ctx: Context) -> int:
    """Fails until its ledger has two failures: however often it is killed, it ends well."""
    failures = (WORLD / "ledger").read_text().count(f"{ctx.run_id} flaky failing ")
    if failures < 2:
        mark(ctx, "failing")
        raise OSError("not yet")
    return 7


@task(max_lost=OFTEN)
def in_thread(run: str, waited: Any, ctx: Context) -> list[Any]:
    mark(ctx, "thread")
    return [run, waited["path"].rpartition("/")[2]]


@task(max_lost=OFTEN, isolate=True)
def in_process(number: int) -> int:
    return number * 6


@task(max_lost=OFTEN)
async def waits_inside(ctx: Context) -> dict[str, Any]:
    """Code before a wait runs again after a crash; a recorded step does not."""

    def stamped() -> str:
        mark(ctx, "once")
        return "stamped"

    stamp = await ctx.once("stamp", stamped)
    event = await ctx.wait(
        FileTrigger(path=str(WORLD / f"inner-{ctx.run_id}"), settle_us=0), timeout=timedelta(hours=1)
    )
    return {"stamp": stamp, "size": event["size"]}


@task(max_lost=OFTEN)
async def parts(ctx: Context) -> list[int]:
    return [1, 2, 3]


@task(max_lost=OFTEN)
def doubled(number: int, ctx: Context) -> int:
    return number * 2


@task(idempotent=False)
async def only_once(ctx: Context) -> None:
    mark(ctx, "only")


@task(max_lost=OFTEN)
async def told(failure: Failure, ctx: Context) -> list[str]:
    return [failure.task, failure.error, failure.error_type]


@task(max_lost=OFTEN)
def told_all(failures: list[Failure]) -> list[str]:
    return [failure.task for failure in failures]


@task(max_lost=OFTEN, on_failure=told)
async def broken() -> None:
    raise FailTask("always")


@task(max_lost=OFTEN, trigger_rule="all_done")
async def whatever_happened(ctx: Context) -> str:
    return "seen"


@dag(max_active_runs=100)
def upstream() -> None:
    @task(max_lost=OFTEN)
    async def source(ctx: Context) -> str:
        return ctx.logical_date.isoformat()

    source()


@dag(max_active_runs=100, tz="UTC", on_all_failed=told_all)
def everything() -> None:
    run = begin()
    file = FileSensor("file", path=str(WORLD / "drop-{run_id}"), settle=timedelta(0), poll_interval=SOON)
    web = HttpSensor("web", url=HTTP + "/ready/{run_id}", poll_interval=SOON)
    offset = KafkaOffsetSensor("offset", bootstrap=KAFKA, topic="events", offset=5, poll_interval=SOON)
    clock = TimeSensor("clock", delta=timedelta(seconds=0))
    other = ExternalTaskSensor("other", dag="upstream", task="source")
    python = PythonSensor("python", (WORLD / "python").exists, poll_interval=SOON)
    poked = FileSensor(
        "poked", path=str(WORLD / "drop-{run_id}"), settle=timedelta(0), mode="poke", poll_interval=SOON
    )
    looked = FileSensor(
        "looked",
        path=str(WORLD / "drop-{run_id}"),
        settle=timedelta(0),
        mode="reschedule",
        poll_interval=SOON,
    )
    run >> [file, web, offset, clock, other, python, poked, looked]
    threaded = in_thread(run, file.output)
    number = in_process(flaky())
    inside = waits_inside()
    run >> inside
    once = only_once()
    broken() >> whatever_happened()
    twice = doubled.map(number=parts())
    said = shell("said", "echo it is {run_id}", max_lost=OFTEN)
    [threaded, number, inside, web, offset, clock, other, python, poked, looked, twice] >> said >> once


__all__ = ["Runtime", "everything", "upstream"]
