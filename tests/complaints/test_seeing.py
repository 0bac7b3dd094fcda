"""C22 to C46: what is seen of the world while waiting, how often, by whom, and what is told of it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from bide import Every, dag, task
from bide.runtime.errors import StoreHeldError
from bide.runtime.service.handles import RunHandle
from bide.runtime.store.reader import Reader
from bide.sensors import FileSensor, HttpSensor, KafkaOffsetSensor, PythonSensor
from bide.testing import FakeHttp, FakeKafka, SimClock, SimRuntime
from tests.complaints.play import DATE, URL, Sim, ThirdSensor, log, reason, seconds, states, wait_of
from tests.conformance.stage import MODES, sound


async def heard(rt: SimRuntime, run: RunHandle, task: str, words: str) -> None:
    """Return once the live log holds the words: lines are written a moment after they are said."""
    async with asyncio.timeout(5):
        while words not in (await rt.operations.logs(run.run_id, task)).text:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("mode", MODES)
async def test_c22_the_waiting_phase_is_in_the_log_of_its_attempt_live_and_later(
    sim_runtime: Sim, mode: str
) -> None:
    web = FakeHttp()
    web.answer(URL, status=503)

    @dag
    def d() -> None:
        HttpSensor("w", url=URL, mode=mode, poll_interval=seconds(10), json_path="state", equals="done")

    clock = SimClock(DATE)
    async with sim_runtime([d], fakes={"http": web}, clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.advance(25)
        await heard(rt, run, "w", "503")
        web.answer(URL, json={"state": "running"})
        await clock.advance(15)
        await heard(rt, run, "w", 'state is "running"')
    async with sim_runtime([d], fakes={"http": web}, clock=clock) as rt:
        web.answer(URL, json={"state": "done"})
        await clock.advance(30)
        assert (await rt.wait(run.run_id, 5)).ok
    told = log(rt.db, run.run_id, "w")
    assert told.index("503") < told.index('state is "running"')
    assert told.count("503") == 1, "an answer that stays the same is said once"


async def test_c30_s3_43_a_file_that_grows_or_is_empty_or_has_no_marker_is_not_there(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    """By default, without an option; `settle` counts from the last change."""
    whole, marked = tmp_path / "whole.csv", tmp_path / "marked.csv"

    @dag
    def d() -> None:
        FileSensor("whole", path=str(whole), poll_interval=seconds(1))
        FileSensor("marked", path=str(marked), marker=".done", poll_interval=seconds(1))

    async with sim_runtime([d]) as rt:
        run = await rt.trigger("d")
        whole.touch()
        marked.write_text("a")
        await rt.clock.advance(60)
        assert await states(run) == {"whole": "deferred", "marked": "deferred"}
        for _ in range(8):
            with whole.open("a") as file:
                file.write("one more line\n")
            await rt.clock.advance(1.5)
            assert (await states(run))["whole"] == "deferred"
        (tmp_path / "marked.csv.done").touch()
        await rt.clock.advance(5)
        result = await run.wait(5)
        assert result.outputs["whole"]["size"] == 8 * len("one more line\n")
        assert result.tasks == {"whole": "success", "marked": "success"}


async def test_c36_what_was_seen_before_an_offset_reset_counts_no_more(sim_runtime: Sim) -> None:
    """The topic is made anew: neither the old ends nor the sum with them let the wait through."""
    kafka = FakeKafka()
    kafka.produce("orders", 100)

    @dag
    def d() -> None:
        KafkaOffsetSensor("w", bootstrap="k:9092", topic="orders", offset=150, poll_interval=seconds(10))

    clock = SimClock(DATE)
    async with sim_runtime([d], fakes={"kafka": kafka}, clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.advance(30)
        kafka.produce("orders", 49)
        await clock.advance(30)
        kafka.produce("orders", -149)
        await clock.advance(30)
        kafka.produce("orders", 149)
        await clock.advance(30)
        assert await states(run) == {"w": "deferred"}
    async with sim_runtime([d], fakes={"kafka": kafka}, clock=clock) as rt:
        await clock.advance(30)
        assert len(await rt.waits()) == 1
        kafka.produce("orders", 1)
        await clock.advance(30)
        [event] = (await rt.wait(run.run_id, 5)).outputs.values()
        assert (event["topic"], event["offsets"]) == ("orders", {"0": 150})


async def test_c41_one_scheduler_makes_one_run_of_each_date(sim_runtime: Sim) -> None:
    """Whoever wants to be the second is refused; restarts and a clock set back repeat nothing."""
    clock = SimClock(DATE)

    @dag(schedule=Every(timedelta(hours=1)), catchup="all", max_active_runs=99)
    def d() -> None:
        task(name="only")(lambda: None)()

    async with sim_runtime([d], clock=clock) as rt:
        await clock.advance(timedelta(hours=5))
        with pytest.raises(StoreHeldError):
            async with sim_runtime([d], clock=clock):
                pytest.fail("two schedulers on one database")
        clock.step(timedelta(hours=-3))
        await clock.advance(timedelta(hours=1))
    for _ in range(3):
        async with sim_runtime([d], clock=clock) as rt:
            await clock.advance(timedelta(hours=2))
    with Reader(rt.db) as reader:
        dates = sorted(run.logical_us for run in reader.runs())
    assert len(dates) >= 5
    assert {later - sooner for sooner, later in pairwise(dates)} == {3_600_000_000}
    sound(rt.db)


@pytest.mark.parametrize("mode", MODES)
async def test_c42_what_came_in_a_pause_is_used_at_its_end_and_not_at_the_next_event(
    sim_runtime: Sim, mode: str, tmp_path: Path
) -> None:
    """No time passes between the end of the pause and the end of the wait; the missed firing is made up."""
    web = FakeHttp()

    @dag(schedule=Every(timedelta(days=1)), max_active_runs=9)
    def d() -> None:
        HttpSensor("http", url=URL, mode=mode, poll_interval=timedelta(hours=2))
        FileSensor("file", path=str(tmp_path / "a"), settle=seconds(0), mode=mode)

    clock = SimClock(DATE)
    async with sim_runtime([d], fakes={"http": web}, clock=clock) as rt:
        run = await rt.trigger("d", logical_date="2026-01-01")
        await clock.advance(timedelta(hours=3))
        await rt.operations.pause("d")
        await clock.advance(timedelta(days=2))
        web.answer(URL)
        (tmp_path / "a").write_text("x")
        await clock.advance(timedelta(hours=1))
        assert "success" not in (await states(run)).values()
        with Reader(rt.db) as reader:
            assert len(reader.runs()) == 2  # the first firing, and the one by hand
        before = clock.now()
        await rt.operations.unpause("d")
        assert await states(run) == {"http": "success", "file": "success"}
        assert clock.now() == before
        with Reader(rt.db) as reader:
            assert len(reader.runs()) == 3


async def test_c45_a_run_that_waits_for_more_than_a_thousand_things_is_woken_by_all(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    web = FakeHttp()

    @dag(max_active_tasks=5000)
    def d() -> None:
        for n in range(501):
            HttpSensor(f"same{n}", url=URL, poll_interval=seconds(10))
            HttpSensor(f"own{n}", url=f"{URL}/{n}", poll_interval=seconds(10))
            FileSensor(f"file{n}", path=str(tmp_path / "a"), settle=seconds(0), poll_interval=seconds(10))

    async with sim_runtime([d], fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(25)
        assert len(await rt.waits()) == rt.armed == 1503
        web.answer(URL)
        for n in range(501):
            web.answer(f"{URL}/{n}")
        (tmp_path / "a").write_text("x")
        await rt.clock.advance(13)
        assert (await rt.wait(run, 10)).ok


async def test_c46_a_wait_that_nobody_watches_is_found(sim_runtime: Sim) -> None:
    web = FakeHttp()

    @dag
    def d() -> None:
        HttpSensor("a", url=URL)
        HttpSensor("b", url=URL)

    async with sim_runtime([d], fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await rt.clock.settle()
        assert (await rt.operations.doctor()).ok
        lost = await wait_of(run, "b")
        rt._shell.triggerer.disarm(int(lost), "forgotten")
        [live] = [check for check in (await rt.operations.doctor()).checks if check.name == "live"]
        assert not live.ok
        assert f"wait {lost}" in live.found
    async with sim_runtime([d], fakes={"http": web}) as rt:
        await rt.clock.settle()
        assert (await rt.operations.doctor()).ok
        assert len(rt.watched) == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"kind": "vanished"}', "vanished"),
        ('{"kind": "third", "fault": 5}', "fault"),
        ("", "cannot be read"),
    ],
    ids=["its kind is gone", "its shape has changed", "it is damaged"],
)
async def test_c46_a_wait_that_cannot_be_watched_any_more_says_so_and_ends(
    sim_runtime: Sim, data: str, said: str
) -> None:
    """A third party's package was removed, or its data no longer reads: no row is left without a watcher."""

    @dag
    def d() -> None:
        ThirdSensor("w")
        PythonSensor("fine", lambda: None)

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock) as rt:
        run = await rt.trigger("d")
        assert await states(run) == {"w": "deferred", "fine": "deferred"}
    with contextlib.closing(sqlite3.connect(rt.db)) as conn, conn:
        conn.execute("UPDATE wait SET trigger = ? WHERE kind = 'third'", (data,))
    async with sim_runtime([d], clock=clock) as rt:
        again = RunHandle(rt, int(run.run_id))
        assert await states(again) == {"w": "failed", "fine": "deferred"}
        assert said in await reason(again, "w")
        assert (await rt.operations.doctor()).ok
