"""T10: clocks that are stepped, zones that change, leap days, machines that start anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bide import Cron, Dag, dag, task
from bide.runtime.clock import from_us
from bide.runtime.store import invariants
from bide.sensors import HttpSensor, TimeSensor
from bide.testing import FakeHttp, SimClock, SimRuntime

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]

START = "2026-06-15T12:30"
STEPS = {
    "an hour back": timedelta(hours=-1),
    "an hour on": timedelta(hours=1),
    "a day back": timedelta(days=-1),
    "a day on": timedelta(days=1),
    "ten years on": timedelta(days=3652),
    "to 1970": datetime(1970, 1, 1, 12, 30) - datetime.fromisoformat(START),
}
steps = pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))


@task
async def work() -> None:
    pass


async def logical_dates(rt: SimRuntime) -> list[datetime]:
    found = await rt.store.read(
        lambda conn: conn.execute("SELECT logical_us FROM run ORDER BY run_id").fetchall()
    )
    return [from_us(us) for (us,) in found]


async def well(rt: SimRuntime) -> None:
    assert await rt.store.read(invariants.check) == []


# --- steps of the wall clock -----------------------------------------------------------------------


@dag(schedule=Cron("0 * * * *", interval="hour"))
def hourly() -> None:
    work()


@steps
async def test_p9_a_step_repeats_no_firing_and_skips_none_silently(sim_runtime: Sim, step: timedelta) -> None:
    async with sim_runtime([hourly], start=START) as rt:
        await rt.clock.advance(timedelta(hours=2))
        before = await logical_dates(rt)
        rt.clock.step(step)
        await rt.clock.advance(timedelta(hours=3))
        dates = await logical_dates(rt)
        assert dates[: len(before)] == before
        assert len(set(dates)) == len(dates)
        if step > timedelta():
            assert len(dates) >= len(before) + 3
            said = await rt.store.read(
                lambda conn: conn.execute(
                    "SELECT now, reason FROM event WHERE subject IN ('dag', 'clock')"
                ).fetchall()
            )
            missed = (step + timedelta(hours=2)) // timedelta(hours=1) > 3
            assert any(now == "skipped" for now, _ in said) or not missed
            assert any(now == "stepped" for now, _ in said)
        else:
            assert len(dates) == len(before) + max(0, 3 + step // timedelta(hours=1))
        await well(rt)


@dag
def waiting() -> None:
    TimeSensor("until", at="2090-01-01T00:00:00+00:00", timeout=timedelta(minutes=30), on_timeout="skip")


@steps
async def test_p8_a_time_limit_is_as_long_as_it_was_whatever_the_wall_clock_does(
    sim_runtime: Sim, step: timedelta
) -> None:
    async with sim_runtime([waiting], start=START) as rt:
        run = await rt.trigger("waiting")
        await rt.clock.advance(timedelta(minutes=10))
        rt.clock.step(step)
        await rt.clock.advance(timedelta(minutes=19))
        assert (await run.show()).state == "running"
        await rt.clock.advance(timedelta(minutes=2))
        assert (await run.wait()).tasks == {"until": "skipped"}
        await well(rt)


tries: list[int] = []


@task(retries=1, retry_delay=timedelta(minutes=30))
async def fails_once() -> None:
    tries.append(1)
    if len(tries) == 1:
        raise OSError("once")


@dag
def retrying() -> None:
    fails_once()


@steps
async def test_p8_a_retry_delay_is_as_long_as_it_was(sim_runtime: Sim, step: timedelta) -> None:
    tries.clear()
    async with sim_runtime([retrying], start=START) as rt:
        run = await rt.trigger("retrying")
        await rt.clock.advance(timedelta(minutes=10))
        rt.clock.step(step)
        await rt.clock.advance(timedelta(minutes=19))
        assert len(tries) == 1
        await rt.clock.advance(timedelta(minutes=2))
        assert (await run.wait()).ok
        await well(rt)


@dag
def polling() -> None:
    HttpSensor(
        "web", url="https://x.example/", poll_interval=timedelta(minutes=1), timeout=timedelta(hours=20)
    )


@steps
async def test_looks_go_on_at_their_pace_after_a_step(sim_runtime: Sim, step: timedelta) -> None:
    web = FakeHttp()
    async with sim_runtime([polling], start=START, fakes={"http": web}) as rt:
        run = await rt.trigger("polling")
        await rt.clock.advance(timedelta(minutes=10))
        asked = len(web.asked)
        rt.clock.step(step)
        await rt.clock.advance(timedelta(minutes=10))
        assert 9 <= len(web.asked) - asked <= 12
        web.answer("https://x.example/", text="yes")
        await rt.clock.advance(timedelta(minutes=2))
        assert (await run.wait()).ok


# --- zones -----------------------------------------------------------------------------------------

CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-04-05"),
    ("America/Santiago", "2026-09-06"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-30"),
    ("Pacific/Chatham", "2026-04-05"),
    ("Pacific/Chatham", "2026-09-27"),
]


def nightly(tz: str) -> Dag:
    @dag(
        name="nightly", schedule=Cron("30 2 * * *", tz=tz, interval="day"), catchup="all", max_active_runs=10
    )
    def body() -> None:
        work()

    return body


@pytest.mark.parametrize(("tz", "day"), CHANGES)
async def test_a_daily_run_has_one_run_for_each_local_day_over_a_change(
    sim_runtime: Sim, tz: str, day: str
) -> None:
    start = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(tz)) - timedelta(days=3)
    async with sim_runtime([nightly(tz)], start=start) as rt:
        await rt.clock.advance(timedelta(days=6))
        days = [date.astimezone(ZoneInfo(tz)) for date in await logical_dates(rt)]
        assert [date.date() for date in days] == [start.date() + timedelta(days=n) for n in range(6)]
        await well(rt)


# --- the calendar ------------------------------------------------------------------------------------


@dag(schedule=Cron("0 0 29 2 *"), catchup="all", max_active_runs=10)
def leap() -> None:
    work()


async def test_a_leap_day_comes_every_four_years(sim_runtime: Sim) -> None:
    async with sim_runtime([leap], start="2027-01-01") as rt:
        await rt.clock.advance(timedelta(days=365 * 10))
        found = await rt.store.read(lambda conn: conn.execute("SELECT scheduled_us FROM run").fetchall())
        assert [f"{from_us(us):%Y-%m-%d}" for (us,) in found] == ["2028-02-29", "2032-02-29", "2036-02-29"]


@dag(schedule=Cron("0 1 * * *", interval="day"), catchup="all", max_active_runs=10)
def daily() -> None:
    work()


async def test_the_leap_day_is_a_day_like_others(sim_runtime: Sim) -> None:
    async with sim_runtime([daily], start="2028-02-27T12:00") as rt:
        await rt.clock.advance(timedelta(days=4))
        assert [f"{date:%m-%d}" for date in await logical_dates(rt)] == ["02-27", "02-28", "02-29", "03-01"]


# --- a machine that starts anew: elapsed time begins at zero, wall time goes on ------------------------


@pytest.mark.parametrize("which", [waiting, retrying, hourly], ids=["wait", "retry", "schedule"])
async def test_p8_instants_hold_over_a_boot(sim_runtime: Sim, which: Any) -> None:
    tries.clear()
    async with sim_runtime([which], start=START) as rt:
        run = None if which is hourly else await rt.trigger(which.name)
        await rt.clock.advance(timedelta(minutes=10))
    async with sim_runtime([which], clock=SimClock("2026-06-15T12:50")) as rt:
        await rt.clock.advance(timedelta(minutes=9))
        if run is None:
            await rt.clock.advance(timedelta(minutes=1))
            assert [f"{date:%H:%M}" for date in await logical_dates(rt)] == ["12:00"]
            return
        assert (await rt.operations.show(run.run_id)).state == "running"
        await rt.clock.advance(timedelta(minutes=2))
        ended = await rt.wait(run.run_id)
        assert [*ended.tasks.values()] == ["skipped" if which is waiting else "success"]
