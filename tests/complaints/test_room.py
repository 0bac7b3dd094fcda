"""C9 to C18: time and room of deferred work, the ways out of it, and what it must not give away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Pool, Secret, dag, task
from bide.runtime.errors import BideError
from bide.sensors import ExternalTaskSensor, HttpSensor
from bide.testing import FakeHttp, FakeSource, SimClock, SimRuntime
from bide.triggers import FileTrigger, HttpTrigger
from tests.complaints.play import (
    DATE,
    URL,
    Sim,
    Third,
    asks,
    attempts,
    ends,
    journal,
    log,
    on_disk,
    reason,
    seconds,
    states,
    wait_of,
)
from tests.conformance.stage import MODES, crash_image
from tests.servers.http_server import HttpServer, reply


async def test_c9_resuming_gives_no_time_back(sim_runtime: Sim) -> None:
    """The total deadline is one instant; the active time is one sum over all stretches."""

    @task(deadline=seconds(100))
    async def total(ctx: Context) -> None:
        for turn in range(20):
            await ctx.wait(Third(), timeout=seconds(30), name=str(turn))

    @task(timeout=seconds(5))
    async def active(ctx: Context) -> None:
        for turn in range(20):
            await ctx.wait(FileTrigger(path="/nowhere"), timeout=seconds(1000), name=str(turn))
            await clock.sleep(2)

    @dag
    def d() -> None:
        total()
        active()

    clock, files, thirds = SimClock(DATE), FakeSource(), FakeSource()
    async with sim_runtime([d], clock=clock, fakes={"file": files, "third": thirds}) as rt:
        run = await rt.trigger("d")
        for turn in range(9):
            await clock.advance(11)
            thirds.fire(turn)
            files.fire(turn)
        assert await states(run) == {"total": "deferred", "active": "failed"}
        await clock.advance(2)
        assert await states(run) == {"total": "failed", "active": "failed"}
        assert "its deadline passed: 100 s" in await reason(run, "total")
        [attempt] = attempts(run, "active")
        assert (attempt.state.value, attempt.active_us) == ("timed_out", 5_000_000)


async def test_c10_waiting_is_no_part_of_the_active_time(sim_runtime: Sim) -> None:
    web = FakeSource()

    @task(timeout=seconds(5))
    async def patient(ctx: Context) -> Any:
        await clock.sleep(2)
        event = await ctx.wait(HttpTrigger(url=URL), timeout=timedelta(days=9))
        await clock.sleep(2)
        return event

    @dag
    def d() -> None:
        patient()

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock, fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await clock.advance(timedelta(days=7))
        web.fire({"late": True})
        await clock.advance(3)
        assert (await run.wait(5)).outputs == {"patient": {"late": True}}
        [attempt] = attempts(run, "patient")
        assert attempt.active_us == 4_000_000


async def _time_out(rt: SimRuntime, _: Any) -> None:
    await rt.clock.advance(3601)


async def _cancel(_: SimRuntime, run: Any) -> None:
    await run.cancel()


async def _mark(rt: SimRuntime, run: Any) -> None:
    for name in ("w", "asks"):
        await rt.operations.mark(run.run_id, name, "failed")


async def _fail(rt: SimRuntime, run: Any) -> None:
    for name in ("w", "asks"):
        await rt.operations.wait_fail(await wait_of(run, name), "by hand")


Way = Callable[[SimRuntime, Any], Awaitable[None]]


@pytest.mark.parametrize(
    ("way", "told"),
    [(_time_out, "timed_out"), (_cancel, "cancelled"), (_mark, "cancelled"), (_fail, "failed")],
)
async def test_c11_c12_every_way_out_cleans_up_with_its_reason(sim_runtime: Sim, way: Way, told: str) -> None:
    """The source is told, and the body's own `finally` runs: the remote job is not left behind."""
    web, cleaned = FakeSource(), []

    @task
    async def asks(ctx: Context) -> None:
        try:
            await ctx.wait(HttpTrigger(url=URL), timeout=seconds(3600))
        finally:
            cleaned.append("the remote job is cancelled")

    @dag
    def d() -> None:
        HttpSensor("w", url=URL, timeout=seconds(3600))
        asks()

    async with sim_runtime([d], fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await rt.clock.settle()
        assert len(web.waiting) == 2
        await way(rt, run)
        await rt.clock.settle()
        assert (web.waiting, web.removed, cleaned) == ([], [told] * 2, ["the remote job is cancelled"])
        assert (rt.slots_in_use, await rt.waits()) == (0, [])
        assert set((await states(run)).values()) <= {"failed", "cancelled"}


async def test_c13_b57_what_resumes_goes_before_all_that_is_new(sim_runtime: Sim) -> None:
    """Behind whoever holds the slot, and before a hundred of higher priority that were there first."""
    web, order = FakeSource(), []

    @task(priority=-9)
    async def resumes(ctx: Context) -> None:
        await ctx.wait(HttpTrigger(url=URL), timeout=seconds(100))
        order.append("resumed")

    @task(priority=99)
    async def new(n: int) -> None:
        order.append(f"new {n}")
        await clock.sleep(10)

    @dag
    def one() -> None:
        resumes()

    @dag
    def crowd() -> None:
        for n in range(100):
            new(n)

    clock = SimClock(DATE)
    async with sim_runtime([one, crowd], clock=clock, fakes={"http": web}, slots=1) as rt:
        run = await rt.trigger("one")
        assert await states(run) == {"resumes": "deferred"}
        await rt.trigger("crowd")
        await clock.advance(15)
        assert order == ["new 0", "new 1"]
        web.fire({})
        await clock.advance(10)
        assert order == ["new 0", "new 1", "resumed", "new 2"]
        [attempt] = attempts(run, "resumes")
        assert attempt.state.value == "success"


async def test_c14_d14_executing_and_in_flight_are_two_limits(sim_runtime: Sim) -> None:
    web = FakeSource()

    @dag(max_active_runs=99)
    def d() -> None:
        for n in range(6):
            asks.options(name=f"free{n}", pool="free")()
            asks.options(name=f"few{n}", pool="few")()
            HttpSensor(f"sensor{n}", url=URL, pool="few")

    pools = {"free": Pool(slots=1), "few": Pool(slots=1, in_flight=4)}
    async with sim_runtime([d], fakes={"http": web}, pools=pools) as rt:
        run = await rt.trigger("d")
        now = await states(run)
        assert [now[f"free{n}"] for n in range(6)] == ["deferred"] * 6, "waiting takes no executing slot"
        few = [now[name] for name in now if name.startswith(("few", "sensor"))]
        assert (few.count("deferred"), few.count("ready")) == (4, 8), "in flight counts those that wait"
        for _ in range(6):
            web.fire({})
            await rt.clock.settle()
        assert set((await states(run)).values()) == {"success"}


async def test_c15_a_task_cap_of_one_and_deferral_do_not_bounce(sim_runtime: Sim) -> None:
    """Five wait at once, one executes at a time, and each instance makes no move but those of its life."""
    web, going, most = FakeSource(), [], []

    @task(max_active=1)
    async def capped(ctx: Context) -> None:
        await ctx.wait(HttpTrigger(url=URL), timeout=seconds(3600))
        going.append(ctx.run_id)
        most.append(len(going))
        await clock.sleep(60)
        going.remove(ctx.run_id)

    @dag(max_active_runs=99)
    def d() -> None:
        capped()

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock, fakes={"http": web}) as rt:
        runs = [await rt.trigger("d", logical_date=f"2026-03-{day:02}") for day in range(1, 6)]
        await clock.advance(600)
        assert len(web.waiting) == 5
        web.fire({})
        await clock.advance(5 * 60)
        assert most == [1] * 5
        for run in runs:
            assert (await run.wait(5)).ok
            moves = [now for _, now, _ in journal(run, "instance")]
            assert moves == ["ready", "running", "deferred", "ready", "running", "success"]


async def test_c16_a_task_that_waits_long_is_judged_by_nobody(sim_runtime: Sim) -> None:
    web = FakeSource()

    @task
    async def month(ctx: Context) -> str:
        await ctx.wait(HttpTrigger(url=URL), timeout=timedelta(days=60))
        await clock.sleep(3600 * 24)
        return "done"

    @dag
    def d() -> None:
        month()

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock, fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await clock.advance(timedelta(days=30))
        assert await states(run) == {"month": "deferred"}
        web.fire({})
        await clock.advance(timedelta(days=1))
        assert (await run.wait(5)).outputs == {"month": "done"}
        assert ends(run, "month") == ["success"]


async def test_c17_a_test_of_waits_needs_no_second_process_and_no_time(sim_runtime: Sim) -> None:
    """And a wait for a DAG that is not there is an error at once, not a test that never ends."""

    @dag
    def hopeless() -> None:
        ExternalTaskSensor("w", dag="nowhere", task="load")

    web = FakeHttp()
    web.answer(URL, status=503)

    @dag
    def d() -> None:
        HttpSensor("w", url=URL, poll_interval=timedelta(minutes=5), timeout=timedelta(days=9))

    with pytest.raises(BideError, match="nowhere"):
        async with sim_runtime([d, hopeless]) as rt:
            await rt.trigger("hopeless")
    async with sim_runtime([d], fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(timedelta(days=2))
        web.answer(URL)
        await rt.clock.advance(timedelta(minutes=5))
        assert (await run.wait(5)).ok


@pytest.mark.parametrize("mode", MODES)
async def test_c18_no_secret_reaches_the_disk(
    sim_runtime: Sim, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    """Not in rows, nor in the log, nor in what the server echoes: the files are searched for it."""
    canary = "canary-6f1d8c"
    monkeypatch.setenv("CANARY", canary)
    url = http_server.on("/echo", reply(500, f"you sent {canary}"), reply(200, {"echo": canary}))

    @task
    async def sends(ctx: Context) -> None:
        ctx.log.info("the token", token=Secret("env:CANARY").resolve())
        raise OSError(f"401 for {canary}")

    @dag
    def d() -> None:
        (
            HttpSensor(
                "w",
                url=url,
                mode=mode,
                auth=Secret("env:CANARY"),
                headers={"X-Key": Secret("env:CANARY")},
                poll_interval=seconds(10),
                json_path="echo",
            )
            >> sends.options(name="sends")()
        )

    async with sim_runtime([d]) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(30)
        assert await states(run) == {"w": "success", "sends": "failed"}
        assert http_server.asked[-1].headers["x-key"] == canary
        image = crash_image(rt.db, tmp_path / "image")
    files = [*on_disk(image), *on_disk(rt.db)]
    assert len(files) >= 5, files
    assert [str(path) for path in files if canary.encode() in path.read_bytes()] == []
    assert "the token" in log(rt.db, run.run_id, "sends")
