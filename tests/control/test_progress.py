"""A backfill says how far it is, interval by interval."""

from __future__ import annotations

import asyncio

from bide import Context, Every, dag, task
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.testing import sim_runtime

gate: dict[str, asyncio.Event] = {}


@task
async def load(ctx: Context) -> None:
    day = f"{ctx.logical_date:%d}"
    if day == "03":
        raise ValueError("no file for the third")
    if day == "04":
        await gate["fourth"].wait()


async def test_s0_36_progress_of_a_backfill_by_interval() -> None:
    gate["fourth"] = asyncio.Event()

    @dag(schedule=Every(days=1), catchup="none")
    def daily() -> None:
        load()

    async with sim_runtime([daily], start="2026-06-30") as rt:
        request = BackfillRequest(dag="daily", from_="2026-06-01", to="2026-06-06", max_active=1)
        started = await rt.operations.backfills.start(request)
        await rt.clock.settle()
        shown = await rt.operations.backfills.show(started.backfill_id)
        assert [each.state for each in shown.intervals] == [
            "success", "success", "failed", "running", "pending",
        ]  # fmt: skip
        assert [each.interval.start[:10] for each in shown.intervals][2] == "2026-06-03"
        assert shown.done == 3
        gate["fourth"].set()
        await rt.clock.settle()
        shown = await rt.operations.backfills.show(started.backfill_id)
        assert (shown.state, shown.done, shown.counts["success"]) == ("failed", 5, 4)
