"""Firings that nobody saw: a laptop asleep, a service down, a clock set, a pause; in a whole runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import AnyOf, Context, Cron, Dag, Every, On, dag, task, within
from bide.runtime.service.shapes import RunLine, Timetable
from bide.testing import FakeHttp, FakeKafka, FakeSource, SimClock, SimRuntime
from bide.triggers import FileTrigger, HttpTrigger, KafkaOffsetTrigger

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ran: list[str] = []


@task
async def work(ctx: Context) -> None:
    ran.append(f"{ctx.interval.start:%d %H:%M}")


@task
async def slow(ctx: Context) -> None:
    ran.append(f"{ctx.interval.start:%d %H:%M}")
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def hourly(body: Any = work, **options: Any) -> Dag:
    @dag(schedule=Cron("0 * * * *"), **options)
    def watched() -> None:
        body()

    return watched


async def timetable(rt: SimRuntime, name: str = "watched") -> Timetable:
    return await rt.operations.schedule(name)


async def runs(rt: SimRuntime) -> list[RunLine]:
    return (await rt.operations.runs(limit=10_000))[::-1]


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@pytest.fixture
def clock() -> SimClock:
    return SimClock("2026-01-01T00:30")


JUDGED = [
    ("all", ["01 00:00", "01 01:00", "01 02:00", "01 03:00", "01 04:00"], 0),
    ("latest", ["01 04:00"], 4),
    ("none", [], 5),
    (within(timedelta(hours=2)), ["01 03:00", "01 04:00"], 3),
]


@pytest.mark.parametrize(("catchup", "wanted", "skipped"), JUDGED)
async def test_s3_7_s3_8_s3_10_b26_c60_a_service_that_was_down_judges_what_it_missed(
    sim_runtime: Sim, clock: SimClock, catchup: Any, wanted: list[str], skipped: int
) -> None:
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock):
        pass
    clock._move(clock.now() + 5 * 3600 * 1_000_000)
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock) as rt:
        await rt.clock.advance(1)
        assert ran == wanted
        await rt.clock.advance(HOUR)
        assert ran == [*wanted, "01 05:00"]
        assert covered(await timetable(rt)) == skipped
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock) as rt:
        await rt.clock.advance(1)
        assert ran == [*wanted, "01 05:00"]


def covered(found: Timetable) -> int:
    """How many whole hours the records of what was not run are about."""
    from datetime import datetime

    total = 0
    for line in found.skipped:
        first, last = datetime.fromisoformat(line.fires_at), datetime.fromisoformat(line.until)
        total += 1 + round((last - first) / HOUR)
        assert line.reason
    return total


@pytest.mark.parametrize(("catchup", "wanted", "skipped"), JUDGED)
async def test_s3_8_c58_a_laptop_that_slept_judges_what_it_slept_through(
    sim_runtime: Sim, clock: SimClock, catchup: Any, wanted: list[str], skipped: int
) -> None:
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock) as rt:
        clock._move(clock.now() + 5 * 3600 * 1_000_000)
        await rt.clock.advance(1)
        assert ran == wanted
        assert covered(await timetable(rt)) == skipped


@pytest.mark.parametrize(("catchup", "wanted", "skipped"), JUDGED)
async def test_c59_unpausing_asks_the_catchup_policy(
    sim_runtime: Sim, clock: SimClock, catchup: Any, wanted: list[str], skipped: int
) -> None:
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock) as rt:
        await rt.operations.pause("watched")
        await rt.clock.advance(5 * HOUR)
        assert ran == []
        await rt.operations.unpause("watched")
        await rt.clock.advance(1)
        assert ran == wanted
        assert covered(await timetable(rt)) == skipped


@pytest.mark.parametrize(("catchup", "wanted", "skipped"), JUDGED)
async def test_p9_c58_a_clock_set_forward_is_time_that_was_missed(
    sim_runtime: Sim, clock: SimClock, catchup: Any, wanted: list[str], skipped: int
) -> None:
    async with sim_runtime(dags=[hourly(catchup=catchup)], clock=clock) as rt:
        clock.step(5 * HOUR)
        await rt.clock.advance(1)
        assert ran == wanted
        assert covered(await timetable(rt)) == skipped


async def test_p9_c57_a_clock_set_back_repeats_nothing(sim_runtime: Sim, clock: SimClock) -> None:
    async with sim_runtime(dags=[hourly(catchup="all")], clock=clock) as rt:
        await rt.clock.advance(3 * HOUR)
        clock.step(-2 * HOUR)
        await rt.clock.advance(2 * HOUR)
        assert ran == ["01 00:00", "01 01:00", "01 02:00"]
        await rt.clock.advance(HOUR)
        assert ran == ["01 00:00", "01 01:00", "01 02:00", "01 03:00"]
        assert (await timetable(rt)).skipped == ()


async def test_s0_8b_c62_a_firing_is_at_its_microsecond_and_never_early(
    sim_runtime: Sim, clock: SimClock
) -> None:
    @dag(schedule=Every(timedelta(seconds=1, microseconds=1), anchor="2026-01-01T00:30:00.000007+00:00"))  # type: ignore[arg-type]
    def watched() -> None:
        work()

    async with sim_runtime(dags=[watched], clock=clock) as rt:
        await rt.clock.advance(timedelta(microseconds=6))
        assert await runs(rt) == []
        await rt.clock.advance(timedelta(microseconds=1))
        [first] = await runs(rt)
        assert first.created_at == "2026-01-01T00:30:00.000007Z"
        await rt.clock.advance(timedelta(seconds=1, microseconds=1))
        assert (await runs(rt))[1].created_at == "2026-01-01T00:30:01.000008Z"


# --- pace, cap, bounds ----------------------------------------------------------------------------


async def test_s3_9_b26_c59_ten_thousand_missed_firings_fill_no_queue(sim_runtime: Sim) -> None:
    """They are made as they can be started: two at once here, and two more as those end."""
    gate = asyncio.Semaphore(0)

    @task
    async def held() -> None:
        await gate.acquire()

    @dag(schedule=Cron("* * * * *"), start="2025-12-25", catchup="all", max_active_runs=2)
    def watched() -> None:
        held()

    async with sim_runtime(dags=[watched], start="2026-01-01T00:00:30") as rt:
        for done in range(0, 10, 2):
            await rt.settled()
            lines = await runs(rt)
            assert [line.state for line in lines] == [*["success"] * done, "running", "running"]
            assert len({line.logical_date for line in lines}) == len(lines)
            gate.release()
            gate.release()
            await rt.clock.settle()
        [behind] = (await timetable(rt)).catching_up
        assert behind.end in ("2025-12-31T23:59:00Z", "2026-01-01T00:00:00Z")
        await rt.clock.advance(60)
        assert (await runs(rt))[-1].logical_date == "2026-01-01T00:00:00Z"
        gate.release()


async def test_s3_9_a_service_with_much_to_catch_up_is_open_at_once(
    sim_runtime: Sim, clock: SimClock
) -> None:
    late = hourly(catchup="all", start="2025-12-01", max_active_runs=4)
    async with sim_runtime(dags=[late], clock=clock) as rt:
        assert len(rt._engine.world.dags["watched"].backlog) == 1
        assert ran == []
        await rt.clock.advance(1)
        assert len(await runs(rt)) == 31 * 24 + 1


async def test_s3_9_what_fires_while_it_catches_up_is_not_starved(sim_runtime: Sim, clock: SimClock) -> None:
    gate = asyncio.Event()

    @task
    async def held(ctx: Context) -> None:
        ran.append(f"{ctx.interval.start:%d %H:%M}")
        await gate.wait()

    async with sim_runtime(dags=[hourly(held, catchup="all", start="2025-12-31")], clock=clock) as rt:
        await rt.settled()
        assert len(await runs(rt)) == 1
        await rt.clock.advance(HOUR)
        assert [run.logical_date for run in await runs(rt)] == [
            "2025-12-30T23:00:00Z",
            "2026-01-01T00:00:00Z",
        ]
        gate.set()
        await rt.clock.advance(1)
        assert ran[:3] == ["30 23:00", "01 00:00", "31 00:00"]
        await rt.clock.advance(1)
        assert len(ran) == 26
        assert (await timetable(rt)).catching_up == ()


async def test_b26_the_cap_keeps_the_newest_and_records_the_rest(sim_runtime: Sim, clock: SimClock) -> None:
    async with sim_runtime(
        dags=[hourly(catchup="all", catchup_cap=3, start="2025-12-31")], clock=clock
    ) as rt:
        await rt.clock.advance(1)
        assert ran == ["31 21:00", "31 22:00", "31 23:00"]
        [skip] = (await timetable(rt)).skipped
        assert (skip.fires_at, skip.until) == ("2025-12-31T00:00:00Z", "2025-12-31T21:00:00Z")
        assert skip.reason == "missed, and more than its catchup_cap of 3"


async def test_s3_13_b29_the_backfill_window_refuses_what_is_older(sim_runtime: Sim, clock: SimClock) -> None:
    old = hourly(catchup="all", backfill_window=timedelta(hours=3), start="2025-12-31")
    async with sim_runtime(dags=[old], clock=clock) as rt:
        await rt.clock.advance(1)
        assert ran == ["31 21:00", "31 22:00", "31 23:00"]
        [skip] = (await timetable(rt)).skipped
        assert skip.reason == "missed, and older than its backfill_window of 3:00:00"


async def test_s3_11_start_and_end_are_bounds_in_the_dags_zone(sim_runtime: Sim) -> None:
    @dag(schedule=Cron("0 6 * * *", tz="Europe/Berlin"), start="2026-03-28", end="2026-03-31", catchup="all")
    def watched() -> None:
        work()

    async with sim_runtime(dags=[watched], start="2026-03-27T12:00") as rt:
        assert [line.fires_at for line in (await timetable(rt)).firings] == [
            "2026-03-28T05:00:00Z",
            "2026-03-29T04:00:00Z",
            "2026-03-30T04:00:00Z",
        ]
        await rt.clock.advance(5 * DAY)
        assert [run.logical_date for run in await runs(rt)] == [
            "2026-03-27T05:00:00Z",
            "2026-03-28T05:00:00Z",
            "2026-03-29T04:00:00Z",
        ]


@pytest.mark.parametrize(
    ("overlap", "made", "said"),
    [
        ("queue_all", 4, 0),
        ("queue_one", 2, 2),
        ("skip", 1, 3),
        ("cancel_running", 4, 0),
    ],
)
async def test_s3_12_b27_c57_what_is_due_while_others_run_keeps_to_overlap(
    sim_runtime: Sim, clock: SimClock, overlap: str, made: int, said: int
) -> None:
    gate = asyncio.Event()

    @task
    async def held() -> None:
        await gate.wait()

    async with sim_runtime(dags=[hourly(held, overlap=overlap)], clock=clock) as rt:
        await rt.clock.advance(4 * HOUR)
        lines = await runs(rt)
        assert len(lines) == made
        assert len((await timetable(rt)).skipped) == said
        states = [line.state for line in lines]
        assert states.count("running") == 1
        assert states.count("cancelled") == (3 if overlap == "cancel_running" else 0)
        gate.set()


# --- events ---------------------------------------------------------------------------------------


async def test_s3_4_s3_5_b23_an_event_and_its_fallback_in_a_whole_runtime(
    sim_runtime: Sim, clock: SimClock
) -> None:
    @dag(schedule=AnyOf(On(FileTrigger(glob="/drops/*.csv")), Every(hours=6)), max_active_runs=5)
    def watched() -> None:
        work()

    drops = FakeSource()
    async with sim_runtime(dags=[watched], clock=clock, fakes={"file": drops}) as rt:
        await rt.clock.advance(HOUR)
        drops.fire({"path": "/drops/a.csv"})
        await rt.clock.advance(1)
        drops.fire({"path": "/drops/a.csv"})
        await rt.clock.advance(6 * HOUR)
        kinds = [run.kind for run in await runs(rt)]
        assert kinds == ["scheduled", "event"]
        found = await timetable(rt)
        assert [held.firings for held in found.waits_for] == [2]
        assert any("run 2 (event) is there for its interval" in skip.reason for skip in found.skipped)
        why = await rt.operations.why("2")
        assert ("made for", "event: file /drops/*.csv") in [(d.what, d.value) for d in why.details]
    async with sim_runtime(dags=[watched], clock=clock, fakes={"file": drops}) as rt:
        drops.fire({"path": "/drops/a.csv"})
        await rt.settled()
        assert len(await runs(rt)) == 2


async def test_s3_4a_a_file_that_lands_makes_its_run_once(sim_runtime: Sim, tmp_path: Path) -> None:
    """The real source: what is there already is an event, and no second one while it stays."""
    drops = tmp_path / "drops"
    drops.mkdir()

    @dag(schedule=On(FileTrigger(glob=f"{drops}/*.csv", settle_us=0)), max_active_runs=9)
    def watched() -> None:
        work()

    (drops / "a.csv").write_text("1")
    async with sim_runtime(dags=[watched]) as rt:
        await rt.clock.advance(5)
        assert len(await runs(rt)) == 1
        (drops / "b.csv").write_text("2")
        await rt.clock.advance(120)
        assert len(await runs(rt)) == 2
    async with sim_runtime(dags=[watched]) as rt:
        await rt.clock.advance(120)
        assert len(await runs(rt)) == 2
        assert (await rt.operations.doctor()).ok


async def test_s3_4_records_of_a_queue_and_a_page_that_changes_are_events(sim_runtime: Sim) -> None:
    """What is polled: a look that sees nothing new makes nothing, across a restart too."""
    kafka, web = FakeKafka(), FakeHttp()
    orders = KafkaOffsetTrigger(bootstrap="broker.example:9092", topic="orders", offset=1, across="sum")

    @dag(schedule=On(orders, poll_interval=timedelta(seconds=10)), max_active_runs=9)
    def queue() -> None:
        work()

    @dag(schedule=On(HttpTrigger(url="https://partner.example/ready")), max_active_runs=9)
    def page() -> None:
        work()

    async def made(rt: SimRuntime) -> list[str]:
        return [run.dag for run in await runs(rt)]

    fakes = {"kafka": kafka, "http": web}
    async with sim_runtime(dags=[queue, page], fakes=fakes) as rt:
        kafka.produce("orders", 0)
        await rt.clock.advance(60)
        assert await made(rt) == []
        kafka.produce("orders", 3)
        await rt.clock.advance(60)
        assert await made(rt) == ["queue"]
        web.answer("https://partner.example/ready", json={"day": 1}, headers={"date": "now"})
        await rt.clock.advance(60)
        web.answer("https://partner.example/ready", json={"day": 1}, headers={"date": "later"})
        await rt.clock.advance(120)
        assert await made(rt) == ["queue", "page"]
    async with sim_runtime(dags=[queue, page], fakes=fakes) as rt:
        await rt.clock.advance(120)
        assert await made(rt) == ["queue", "page"]
        kafka.produce("orders", 1)
        web.answer("https://partner.example/ready", json={"day": 2})
        await rt.clock.advance(120)
        assert sorted(await made(rt)) == ["page", "page", "queue", "queue"]
