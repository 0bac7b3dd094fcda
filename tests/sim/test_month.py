"""D4: a month of three cadences and a mart, through the whole stack, in seconds; the same each time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Cron, dag, task
from bide.runtime.clock import SECOND
from bide.runtime.store import invariants
from bide.sensors import ExternalTaskSensor, HttpSensor, KafkaOffsetSensor
from bide.testing import FakeHttp, FakeKafka, SimRuntime, sim_runtime

MONTH = timedelta(days=30)
SECONDS = 20.0


@task(retries=2, retry_delay=timedelta(minutes=1))
async def load(ctx: Context) -> dict[str, Any]:
    if ctx.interval.start.hour == 13 and ctx.attempt == 1:
        raise OSError("the warehouse is away for a moment")
    ctx.watermark = ctx.interval.end.isoformat()
    return {"rows": ctx.interval.start.hour}


@dag(schedule=Cron("5 * * * *", interval="hour"), catchup="all", max_active_runs=4)
def events_hourly() -> None:
    """A Kafka batch an hour."""
    KafkaOffsetSensor(
        "batch", bootstrap="kafka:9092", topic="events", offset=0, poll_interval=timedelta(minutes=1),
        timeout=timedelta(hours=2),
    ) >> load()  # fmt: skip


def crm_export(ctx: Any) -> str:
    return f"https://crm.example/export/{ctx.interval.start:%Y-%m-%d}"


@dag(schedule=Cron("30 1 * * *", tz="Europe/Berlin", interval="day"), catchup="all")
def crm_daily() -> None:
    """An export that is there at two, polled until it is."""
    ready = HttpSensor(
        "export", url=crm_export, poll_interval=timedelta(minutes=5), timeout=timedelta(hours=6)
    )
    ready >> load()


@dag(schedule=Cron("0 3 * * 1", tz="Europe/Berlin", interval="week"), catchup="all")
def finance_weekly() -> None:
    load()


def same_day(ctx: Any) -> datetime:
    return ctx.interval.start  # type: ignore[no-any-return]


@dag(schedule=Cron("0 5 * * *", tz="Europe/Berlin", interval="day"), catchup="all")
def mart() -> None:
    """On the wall clock, and only on what is fresh."""
    crm = ExternalTaskSensor("crm", dag="crm_daily", task="load", at=same_day, timeout=timedelta(minutes=45))
    crm >> load()


class Crm(FakeHttp):
    """A day's export is there half an hour after it is asked for first."""

    rt: SimRuntime

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[str, int] = {}

    def seen(self, url: str) -> Any:
        first = self._first.setdefault(url, self.rt.clock.now())
        if self.rt.clock.now() - first >= 1800 * SECOND:
            self.answer(url, json={"rows": 10})
        return super().seen(url)


async def live_a_month(db: Path) -> list[tuple[Any, ...]]:
    kafka, crm = FakeKafka(), Crm()
    kafka.produce("events", 100)
    async with sim_runtime(
        [events_hourly, crm_daily, finance_weekly, mart], start="2026-03-02", db=db, slots=4,
        fakes={"kafka": kafka, "http": crm},
    ) as rt:  # fmt: skip
        crm.rt = rt
        await rt.clock.advance(MONTH)
        assert await rt.store.read(invariants.check) == []
        return await rt.store.read(lambda conn: conn.execute("SELECT * FROM event ORDER BY seq").fetchall())


@pytest.mark.slow
async def test_d4_a_month_of_three_cadences_in_seconds_and_twice_the_same(tmp_path: Path) -> None:
    began = time.monotonic()
    journal = await live_a_month(tmp_path / "one.db")
    took = time.monotonic() - began
    assert took <= SECONDS, f"{took:.1f} s"
    again = await live_a_month(tmp_path / "two.db")
    assert journal == again
    runs = [line[7] for line in journal if line[3] == "run" and line[7] in ("success", "failed")]
    assert runs.count("failed") == 0
    assert len(runs) >= 30 * 24 + 29 + 4 + 29
