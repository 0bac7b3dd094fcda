"""The clock for tests: it moves from sleeper to sleeper, in due order, and not while work is going on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from bide import Context, Every, dag, task
from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.sensors import HttpSensor, TimeSensor
from bide.testing import FakeHttp, FakeSource, SimClock, SimRuntime, assert_order, starts_of

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]


async def test_sleepers_wake_in_due_order_each_at_its_own_instant() -> None:
    clock = SimClock(0)
    woken: list[tuple[str, int]] = []

    async def sleep(name: str, seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now() // SECOND))

    tasks = [asyncio.create_task(sleep(*each)) for each in (("late", 30), ("soon", 10), ("also", 10))]
    await clock.advance(60)
    await asyncio.gather(*tasks)
    assert woken == [("soon", 10), ("also", 10), ("late", 30)]
    assert clock.now() == 60 * SECOND


async def test_a_sleeper_that_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock = SimClock(0)
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1)
            ticks.append(clock.now() // SECOND)

    task = asyncio.create_task(tick())
    await clock.advance(5)
    task.cancel()
    assert ticks == [1, 2, 3, 4, 5]


async def test_a_step_moves_the_wall_clock_and_no_time_elapses() -> None:
    clock = SimClock("2026-01-01")
    told: list[int] = []
    clock.attach(lambda: False, told.append)
    await clock.advance(10)
    clock.step(-3600)
    assert (clock.elapsed(), clock.time.isoformat()) == (10 * SECOND, "2025-12-31T23:00:10+00:00")
    assert told == [-3600 * SECOND]


async def test_time_does_not_move_while_somebody_is_at_work() -> None:
    clock = SimClock(0)
    busy = True
    clock.attach(lambda: busy)
    moving = asyncio.create_task(clock.advance(10))
    await asyncio.sleep(0.02)
    assert clock.now() == 0
    busy = False
    await moving
    assert clock.now() == 10 * SECOND


async def test_patience_ends_and_time_moves_on_without_the_work_that_hangs() -> None:
    clock = SimClock(0, patience=0.01)
    clock.attach(lambda: True)
    await clock.advance(10)
    assert clock.now() == 10 * SECOND


async def test_two_movers_are_refused() -> None:
    clock = SimClock(0)
    moving = asyncio.create_task(clock.advance(10))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="one mover"):
        await clock.advance(1)
    await moving


@task
async def fetch(ctx: Context) -> int:
    return ctx.interval.start.hour


@task
def store(hour: int) -> int:
    return hour * 100


@dag(schedule=Every(hours=1), max_active_runs=4)
def hourly() -> None:
    store(fetch())


async def test_s0_3_a_day_of_an_hourly_dag_runs_in_order(sim_runtime: Sim) -> None:
    async with sim_runtime([hourly], start="2026-06-15") as rt:
        await rt.clock.advance(timedelta(days=1))
        results = [await rt.wait(str(number)) for number in range(1, 26)]
        hours = [23, *range(24)]  # the first firing is that of the load, for the hour before
        assert [result.outputs["store"] for result in results] == [hour * 100 for hour in hours]
        assert_order(rt, "1", "fetch", "store")
        assert starts_of(rt, "24") == ["fetch", "store"]


@dag
def partner() -> None:
    ready = HttpSensor(
        "ready", url="https://partner.example/ready", json_path="state", equals="done",
        poll_interval=timedelta(minutes=5), timeout=timedelta(hours=6),
    )  # fmt: skip
    ready >> fetch()


async def test_a_fake_origin_is_polled_as_the_real_one_is(sim_runtime: Sim) -> None:
    web = FakeHttp()
    async with sim_runtime([partner], fakes={"http": web}) as rt:
        run = await rt.trigger("partner")
        await rt.clock.advance(timedelta(hours=1))
        assert 12 <= len(web.asked) <= 13
        assert rt.armed == 1
        web.unreachable("https://partner.example/ready")
        await rt.clock.advance(timedelta(hours=1))
        web.answer("https://partner.example/ready", json={"state": "done"})
        await rt.clock.advance(timedelta(hours=1))
        assert (await run.wait()).ok


async def test_a_fake_source_ends_waits_by_word_of_the_test(sim_runtime: Sim) -> None:
    web = FakeSource()
    async with sim_runtime([partner], fakes={"http": web}) as rt:
        run = await rt.trigger("partner")
        await rt.settled()
        assert [trigger.url for trigger in web.waiting] == ["https://partner.example/ready"]
        web.fire({"status": 200})
        assert (await run.wait()).outputs["ready"] == {"status": 200}
        assert (web.waiting, web.removed) == ([], ["fired"])


async def test_a_fake_source_ends_a_wait_as_failed(sim_runtime: Sim) -> None:
    web = FakeSource()
    async with sim_runtime([partner], fakes={"http": web}) as rt:
        run = await rt.trigger("partner")
        await rt.settled()
        web.fail("gone for good")
        assert (await run.wait()).tasks == {"ready": "failed", "fetch": "upstream_failed"}


@dag
def tomorrow() -> None:
    TimeSensor("until", at="2026-06-16T00:00", timeout=timedelta(days=7))


async def test_a_wait_survives_a_close_and_a_new_runtime_on_the_same_database(sim_runtime: Sim) -> None:
    clock = SimClock("2026-06-15")
    async with sim_runtime([tomorrow], clock=clock) as rt:
        run = await rt.trigger("tomorrow")
        await clock.advance(timedelta(hours=3))
    async with sim_runtime([tomorrow], clock=clock) as rt:
        assert rt.armed == 1
        await clock.advance(timedelta(days=1))
        assert (await rt.wait(run.run_id)).ok
