"""C1 to C6, C19 to C21: deferred work that stalls, is forgotten, or is run by something that is not there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, dag, task
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import AttemptEnded, Failure, WaitFired
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import BideError, StoreHeldError
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, PythonSensor, TimeSensor
from bide.testing import FakeHttp, FakeSource, SimClock
from bide.triggers import HttpTrigger
from tests.complaints.play import (
    DATE,
    URL,
    Sim,
    Third,
    ThirdSensor,
    attempts,
    ends,
    log,
    reason,
    seconds,
    states,
    wait_of,
)
from tests.conformance.stage import MODES, sound


async def test_c1_what_an_earlier_attempt_says_late_moves_nothing(sim_runtime: Sim) -> None:
    web, tries = FakeSource(), []

    @task(retries=1)
    async def flaky(ctx: Context) -> str:
        tries.append(ctx.attempt)
        await ctx.wait(HttpTrigger(url=URL), name=f"try {ctx.attempt}")
        if ctx.attempt == 1:
            raise OSError("once")
        await clock.sleep(60)
        return "done"

    @dag
    def d() -> None:
        flaky()

    clock = SimClock(DATE)
    async with sim_runtime([d], fakes={"http": web}, clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.settle()
        first = int(await wait_of(run, "flaky"))
        web.fire({"n": 1})
        await clock.settle()
        web.fire({"n": 2})
        await clock.settle()
        assert await states(run) == {"flaky": "running"}
        [old, new] = attempts(run, "flaky")
        rt._engine.post(AttemptEnded(old.attempt_id, AttemptState.FAILED, failure=Failure("a stale end")))
        rt._engine.post(AttemptEnded(old.attempt_id, AttemptState.SUCCESS))
        rt._engine.post(WaitFired(first, b'"a stale event"'))
        await rt.settled()
        assert await states(run) == {"flaky": "running"}
        await clock.advance(60)
        assert (await run.wait(5)).outputs == {"flaky": "done"}
        assert (tries, ends(run, "flaky"), new.state.value) == ([1, 2], ["failed", "success"], "running")


@pytest.mark.parametrize("lead", [-2, 0, 2], ids=["armed before", "at the same time", "over before"])
async def test_c2_d1_the_commit_that_ends_the_other_wakes_the_wait(sim_runtime: Sim, lead: int) -> None:
    """Whatever the order of fifteen runs and their waits, none is left; the wake is in that commit."""

    @task
    async def work() -> None:
        await clock.sleep(10 + max(-lead, 0))

    @dag(max_active_runs=99)
    def other() -> None:
        work()

    @dag(max_active_runs=99)
    def d() -> None:
        TimeSensor("at", at=lambda _: clock.time + seconds(10 + max(lead, 0))) >> ExternalTaskSensor(
            "w", dag="other", task="work"
        )

    clock = SimClock(DATE)
    async with sim_runtime([other, d], clock=clock) as rt:
        together: list[set[str]] = []

        def listen(committed: Changes) -> None:
            moves = {(row[3], row[7]) for row in committed.events}
            together.append({f"{subject} {now}" for subject, now in moves})

        runs = []
        for day in range(1, 16):
            for name in ("other", "d") if day % 2 else ("d", "other"):
                run = await rt.trigger(name, logical_date=f"2026-03-{day:02}")
                runs += [run] if name == "d" else []
        rt._shell.listeners.append(listen)
        await clock.advance(30)
        for run in runs:
            assert (await run.wait(5)).tasks == {"at": "success", "w": "success"}
        if lead < 0:
            woken = [each for each in together if {"wait fired", "attempt success"} <= each]
            assert woken, together


async def test_c3_a_rerun_waits_anew_and_the_old_wait_is_nobodys(sim_runtime: Sim) -> None:
    web = FakeSource()

    @dag
    def d() -> None:
        HttpSensor("w", url=URL)

    async with sim_runtime([d], fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await rt.clock.settle()
        old = await wait_of(run, "w")
        await rt.operations.wait_fail(old, "stuck")
        assert await states(run) == {"w": "failed"}
        await rt.operations.rerun(run.run_id, "w")
        assert await states(run) == {"w": "deferred"}
        new = await wait_of(run, "w")
        assert new != old
        rt._engine.post(WaitFired(int(old), b"1"))
        await rt.settled()
        assert await states(run) == {"w": "deferred"}
        web.fire({"n": 2})
        assert await states(run) == {"w": "success"}
        assert [attempt.number for attempt in attempts(run, "w")] == [1, 2]


async def test_c4_c19_each_open_wait_is_watched_from_the_first_moment_by_the_one_runtime(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    @dag(max_active_runs=99)
    def d() -> None:
        TimeSensor("t", delta=timedelta(days=1))
        FileSensor("f", path=str(tmp_path / "never"))
        PythonSensor("p", lambda: None)

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock) as rt:
        for _ in range(5):
            await rt.trigger("d")
        await clock.settle()
        assert rt.armed == len(await rt.waits()) == 15
        with pytest.raises(StoreHeldError):
            async with sim_runtime([d], clock=clock):
                pytest.fail("two runtimes hold the waits of one database")
        assert rt.armed == 15
    async with sim_runtime([d], clock=clock) as rt:
        assert rt.armed == len(await rt.waits()) == 15


async def test_c5_a_wait_of_a_paused_or_removed_dag_starts_nothing(sim_runtime: Sim) -> None:
    web, ran = FakeSource(), []

    @task
    async def after(event: Any) -> None:
        ran.append(event)

    @dag(max_active_runs=9)
    def d() -> None:
        after(HttpSensor("w", url=URL).output)

    async with sim_runtime([d], fakes={"http": web}) as rt:
        paused = await rt.trigger("d")
        await rt.clock.settle()
        await rt.operations.pause("d")
        assert (web.waiting, web.removed) == ([], ["paused"])
        await rt.clock.advance(timedelta(days=30))
        await rt.operations.unpause("d")
        assert await states(paused) == {"w": "deferred", "after": "pending"}
        await rt.load([], {})
        web.fire({"n": 1})
        assert await states(paused) == {"w": "success", "after": "ready"}
        assert "code not loaded" in await reason(paused, "after")
        with pytest.raises(BideError, match="removed"):
            await rt.trigger("d")
        await rt.clock.advance(timedelta(days=1))
        assert ran == []
        await paused.cancel()
        assert await states(paused) == {"w": "success", "after": "cancelled"}


@pytest.mark.parametrize("mode", MODES)
async def test_c6_a_trigger_that_breaks_takes_only_itself_along(
    sim_runtime: Sim, third: type[Third], mode: str, tmp_path: Path
) -> None:
    """Exceptions of every class, in every call of a third party: its neighbours end as ever."""

    def sync_call() -> None:
        raise SystemError("a vendor's library, called without await")

    @dag
    def d() -> None:
        every = seconds(10)
        for fault in ("judge", "poll_key", "look"):
            ThirdSensor(fault, fault, mode=mode, poll_interval=every, timeout=seconds(300))
        ThirdSensor("fine", mode=mode, poll_interval=every)
        PythonSensor("sync", sync_call, mode=mode, poll_interval=every, timeout=seconds(300))
        FileSensor("file", path=str(tmp_path / "a"), settle=seconds(0), mode=mode, poll_interval=every)
        TimeSensor("time", delta=seconds(60), mode=mode, poll_interval=every)

    async with sim_runtime([d]) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(30)
        third.sees = {"yes": 1}
        (tmp_path / "a").write_text("x")
        await rt.clock.advance(45)
        now = await states(run)
        assert {now[each] for each in ("fine", "file", "time")} == {"success"}
        assert {now[each] for each in ("judge", "poll_key")} == {"failed"}
        assert "cannot judge" in await reason(run, "judge")
        assert {now[each] for each in ("look", "sync")} == {"running" if mode == "poke" else "deferred"}
        await rt.clock.advance(300)
        now = await states(run)
        assert {now[each] for each in ("look", "sync")} == {"failed"}
    assert "the vendor's library gave up" in log(rt.db, run.run_id, "look")
    assert "without await" in log(rt.db, run.run_id, "sync")


async def test_c20_many_sensors_on_one_thing_are_one_poller(sim_runtime: Sim, tmp_path: Path) -> None:
    web = FakeHttp()

    @dag(max_active_runs=99)
    def d() -> None:
        for n in range(50):
            HttpSensor(f"h{n}", url=URL, poll_interval=seconds(60), json_path="$.n", equals=n)
            FileSensor(f"f{n}", path=str(tmp_path / f"{n}.csv"))

    async with sim_runtime([d], fakes={"http": web}) as rt:
        for _ in range(4):
            await rt.trigger("d")
        await rt.clock.advance(600)
        assert 10 <= len(web.asked) <= 12, "400 waits and one URL: one request a period"
        triggerer = rt._shell.triggerer
        assert sorted(triggerer.sources.values()) == [200, 200]


async def test_c21_what_happened_while_nobody_looked_is_seen(sim_runtime: Sim, tmp_path: Path) -> None:
    """Waits are rows: whoever subscribed before a restart is told of what came meanwhile, once."""
    clock = SimClock(DATE)

    @dag(max_active_runs=99)
    def d() -> None:
        FileSensor("w", path=str(tmp_path / "{run_id}"), settle=seconds(0))

    async with sim_runtime([d], clock=clock) as rt:
        runs = [(await rt.trigger("d")).run_id for _ in range(4)]
        await clock.settle()
    for run_id in runs[:2]:
        (tmp_path / run_id).write_text("while it was down")
    async with sim_runtime([d], clock=clock) as rt:
        await clock.settle()
        assert len(await rt.waits()) == 2
        for run_id in runs[2:]:
            (tmp_path / run_id).write_text("while it is up")
        for run_id in runs:
            assert (await rt.wait(run_id, 5)).ok
    sound(rt.db)
