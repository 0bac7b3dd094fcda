"""A wait for an instant is not given up before it, in any mode; a time-out that says so means it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest

from bide import Context, dag, task
from bide.runtime.clock import DAY, SECOND
from bide.runtime.errors import WaitTimedOut
from bide.sensors import TimeSensor
from bide.testing import SimRuntime
from bide.triggers import TimeTrigger
from tests.conformance.stage import MODES

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
FAR = timedelta(days=2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["at", "delta"])
async def test_c31_a_time_sensor_that_names_no_timeout_reaches_its_instant(
    sim_runtime: Sim, mode: str, how: str
) -> None:
    when: dict[str, Any] = {"at": "2026-06-17T00:00"} if how == "at" else {"delta": FAR}

    @dag
    def d() -> None:
        TimeSensor("w", mode=mode, poll_interval=timedelta(hours=1), **when)

    async with sim_runtime([d], start="2026-06-15T00:00") as rt:
        run = await rt.trigger("d")
        await rt.settled()
        [wait] = await rt.waits()
        assert wait.deadline == "2026-06-18T00:00:00Z"
        await rt.clock.advance(FAR - timedelta(seconds=1))
        assert (await run.show()).state == "running"
        await rt.clock.advance(1)
        assert (await run.wait()).tasks == {"w": "success"}


@pytest.mark.parametrize("mode", MODES)
async def test_c31_a_timeout_that_passes_before_the_instant_fails_at_once(
    sim_runtime: Sim, mode: str
) -> None:
    @dag
    def d() -> None:
        TimeSensor("w", delta=FAR, timeout=timedelta(hours=1), mode=mode)

    async with sim_runtime([d], start="2026-06-15T00:00") as rt:
        run = await rt.trigger("d")
        await rt.settled()
        [line] = (await run.show()).tasks
        assert line.state == "failed"
        assert line.reason.startswith(
            "it waits for 2026-06-17T00:00:00+00:00 and its timeout of 1:00:00 is over before, at "
            "2026-06-15T01:00:00+00:00: leave timeout out"
        )
        assert (rt.armed, rt.slots_in_use) == (0, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"on_timeout": "skip"}, "skipped"),
        ({"soft_fail": True}, "skipped"),
        ({"on_timeout": "succeed"}, "success"),
    ],
    ids=["skip", "soft_fail", "succeed"],
)
async def test_c31_a_timeout_whose_end_was_chosen_means_what_it_says(
    sim_runtime: Sim, mode: str, options: dict[str, Any], state: str
) -> None:
    @dag
    def d() -> None:
        TimeSensor("w", delta=FAR, timeout=timedelta(hours=1), mode=mode, **options)

    async with sim_runtime([d]) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(timedelta(hours=1) - timedelta(seconds=1))
        assert (await run.show()).state == "running"
        await rt.clock.advance(1)
        assert (await run.wait()).tasks == {"w": state}


async def test_c31_a_wait_for_an_instant_inside_a_task_reaches_it(sim_runtime: Sim) -> None:
    @task
    async def sleeper(ctx: Context) -> Any:
        at_us = int(ctx.scheduled_for.timestamp()) * SECOND + 2 * DAY
        with pytest.raises(WaitTimedOut):
            await ctx.wait(TimeTrigger(at_us=at_us), timeout=timedelta(hours=1))
        return await ctx.wait(TimeTrigger(at_us=at_us))

    @dag
    def d() -> None:
        sleeper()

    async with sim_runtime([d], start="2026-06-15T00:00") as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(timedelta(hours=1))
        [wait] = await rt.waits()
        assert wait.deadline == "2026-06-18T00:00:00Z"
        await rt.clock.advance(FAR)
        assert (await run.wait()).outputs == {"sleeper": {"at": "2026-06-17T00:00:00+00:00"}}
