"""C24 to C29: waiting for other DAGs, which went on for ever, ended too soon, or meant another run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bide import Context, Dag, SkipTask, dag, task
from bide.runtime.service.handles import RunHandle
from bide.runtime.store.inline import InlineWriter
from bide.sensors import ExternalTaskSensor
from bide.testing import SimClock, SimRuntime
from tests.complaints.play import DATE, Sim, attempts, reason, seconds, states
from tests.conformance.stage import MODES

FIRST, SECOND, THIRD = ("2026-03-01", "2026-03-02", "2026-03-03")


def other(clock: SimClock, ends: dict[str, str]) -> Dag:
    """Two tasks of a minute each; `load` ends as `ends` says for its date."""

    @task
    async def load(ctx: Context) -> None:
        await clock.sleep(60)
        match ends.get(f"{ctx.logical_date:%Y-%m-%d}"):
            case "skipped":
                raise SkipTask("nothing came")
            case "failed":
                raise OSError("the disk is gone")

    @task
    async def tail() -> None:
        await clock.sleep(60)

    @dag(max_active_runs=99)
    def other() -> None:
        load() >> tail()

    return other


def waiting(mode: str = "deferred", **options: Any) -> Dag:
    @dag(max_active_runs=99)
    def d() -> None:
        ExternalTaskSensor("w", dag="other", mode=mode, poll_interval=seconds(5), **options)

    return d


async def by_date(rt: SimRuntime, name: str) -> dict[str, RunHandle]:
    return {date: await rt.trigger(name, logical_date=date) for date in (FIRST, SECOND, THIRD)}


async def of_all(runs: dict[str, RunHandle]) -> list[str]:
    return [(await states(run))["w"] for run in runs.values()]


@pytest.mark.parametrize("mode", MODES)
async def test_c24_c25_c26_each_wait_ends_by_the_run_it_names_and_by_no_other(
    sim_runtime: Sim, mode: str
) -> None:
    """Of three runs one succeeds, one is skipped, one fails: three waits of one DAG, three ends."""
    clock = SimClock(DATE)
    up = other(clock, {SECOND: "skipped", THIRD: "failed"})
    async with sim_runtime([up, waiting(mode, task="load")], clock=clock, slots=99) as rt:
        runs = await by_date(rt, "d")
        await clock.advance(30)
        going = "running" if mode == "poke" else "deferred"
        assert await of_all(runs) == [going] * 3
        for date, run in runs.items():
            assert f"other.load for {date}T00:00:00" in str(await rt.operations.why(run.run_id, "w"))
        await rt.trigger("other", logical_date=THIRD)
        await clock.advance(66)
        assert await of_all(runs) == [going, going, "failed"]
        await rt.trigger("other", logical_date=FIRST)
        await rt.trigger("other", logical_date=SECOND)
        await clock.advance(66)
        assert await of_all(runs) == ["success", "failed", "failed"]
        assert await reason(runs[SECOND], "w") == f"other.load for {SECOND}T00:00:00+00:00 is skipped"
        assert await reason(runs[THIRD], "w") == f"other.load for {THIRD}T00:00:00+00:00 is failed"


@pytest.mark.parametrize("mode", MODES)
async def test_c24_c26_a_skip_that_is_wanted_is_an_end_that_is_wanted(sim_runtime: Sim, mode: str) -> None:
    """`tail` is skipped because `load` was: nobody ran it, and it counts all the same."""
    clock = SimClock(DATE)
    up = other(clock, {FIRST: "skipped", SECOND: "skipped", THIRD: "skipped"})
    down = waiting(mode, task="tail", states=("success", "skipped"))
    async with sim_runtime([up, down], clock=clock, slots=99) as rt:
        runs = await by_date(rt, "d")
        await by_date(rt, "other")
        await clock.advance(66)
        assert await of_all(runs) == ["success"] * 3


@pytest.mark.parametrize("mode", MODES)
async def test_c25_a_whole_run_is_over_when_its_last_task_is(sim_runtime: Sim, mode: str) -> None:
    clock = SimClock(DATE)
    async with sim_runtime([other(clock, {THIRD: "failed"}), waiting(mode)], clock=clock, slots=99) as rt:
        runs = await by_date(rt, "d")
        await by_date(rt, "other")
        await clock.advance(66)
        going = "running" if mode == "poke" else "deferred"
        assert await of_all(runs) == [going, going, "failed"]
        await clock.advance(60)
        assert await of_all(runs) == ["success", "success", "failed"]


async def test_c28_c29_a_task_that_defers_is_not_over_and_its_run_keeps_the_graph_that_has_it(
    sim_runtime: Sim,
) -> None:
    clock = SimClock(DATE)

    @dag(name="other", max_active_runs=9)
    def without() -> None:
        task(name="only")(lambda: None)()

    @dag(name="other", max_active_runs=9)
    def deferring() -> None:
        ExternalTaskSensor("load", dag="third", timeout=timedelta(days=3))

    @dag
    def third() -> None:
        task(name="only")(lambda: None)()

    d = waiting(task="load", timeout=timedelta(days=3))
    async with sim_runtime([third, deferring, d], clock=clock) as rt:
        run = await rt.trigger("d", logical_date=FIRST)
        up = await rt.trigger("other", logical_date=FIRST)
        await clock.advance(timedelta(days=2))
        assert (await states(up), await states(run)) == ({"load": "deferred"}, {"w": "deferred"})
        await rt.load([third, without, d], {})
        await rt.trigger("third", logical_date=FIRST)
        await clock.advance(timedelta(hours=1))
        assert (await states(up), await states(run)) == ({"load": "success"}, {"w": "success"})


async def test_c29_s3_22_a_rerun_keeps_to_its_date_and_its_own_graph_and_wakes_who_waits_for_it(
    sim_runtime: Sim,
) -> None:
    clock = SimClock(DATE)

    @task(name="load")
    async def load_now() -> None:
        await clock.sleep(60)

    @dag(name="other", max_active_runs=99)
    def newer() -> None:
        load_now() >> task(name="brand_new")(lambda: None)()

    d = waiting(task="load")
    async with sim_runtime([other(clock, {}), d], clock=clock) as rt:
        ups = await by_date(rt, "other")
        await clock.advance(130)
        await rt.load([newer, d], {})
        await rt.operations.rerun(ups[FIRST].run_id, "load", downstream=True)
        assert await states(ups[FIRST]) == {"load": "running", "tail": "pending"}
        for date in (SECOND, THIRD):
            assert await states(ups[date]) == {"load": "success", "tail": "success"}
            assert len(attempts(ups[date], "load")) == 1
        runs = await by_date(rt, "d")
        assert await of_all(runs) == ["deferred", "success", "success"], "the rerun is not over yet"
        await clock.advance(60)
        assert await of_all(runs) == ["success"] * 3
        assert "brand_new" not in await states(ups[FIRST])
        assert len(attempts(ups[FIRST], "load")) == 2


async def test_d1_a_thousand_waits_for_another_dag_ask_nothing_while_they_wait(sim_runtime: Sim) -> None:
    """Not one statement in an hour; then the end of the one task is the end of them all."""
    clock = SimClock(DATE)

    @dag(max_active_tasks=2000)
    def d() -> None:
        for n in range(1000):
            ExternalTaskSensor(f"w{n}", dag="other", task="load")

    async with sim_runtime([other(clock, {}), d], clock=clock) as rt:
        run = await rt.trigger("d", logical_date=FIRST)
        await clock.settle()
        asked: list[str] = []
        assert isinstance(rt._store, InlineWriter)
        rt._store._raw.set_trace_callback(asked.append)
        await clock.advance(3600)
        assert asked == []
        assert (rt.slots_in_use, len(await rt.waits())) == (0, 1000)
        await rt.trigger("other", logical_date=FIRST)
        await clock.advance(60)
        assert set((await states(run)).values()) == {"success"}
