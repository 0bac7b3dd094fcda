"""`why` of what branches, tear-downs and the run before decide, and `show` with the same reasons."""

from __future__ import annotations

import asyncio

from bide import branch, dag, task
from bide.testing import sim_runtime


@task
async def full() -> None: ...


@task
async def delta() -> None: ...


async def test_d5_what_a_branch_did_not_choose_says_so() -> None:
    @branch
    async def pick() -> str:
        return "full"

    @dag
    def choose() -> None:
        pick() >> [full(), delta()]

    async with sim_runtime([choose]) as rt:
        run = await rt.trigger(choose)
        await run.wait()
        why = await rt.operations.why(run.run_id, "delta")
        assert (why.state, why.why) == ("skipped", "it was skipped: not chosen by pick")
        shown = await rt.operations.show(run.run_id)
        assert [line.reason for line in shown.tasks if line.task == "delta"] == ["not chosen by pick"]


async def test_d5_a_wrong_choice_is_told_by_the_branch() -> None:
    @branch
    async def pick() -> str:
        return "fll"

    @dag
    def choose() -> None:
        pick() >> full()

    async with sim_runtime([choose]) as rt:
        run = await rt.trigger(choose)
        assert (await run.wait()).state == "failed"
        why = await rt.operations.why(run.run_id, "pick")
        assert "chose 'fll', which is no task right downstream of it: did you mean 'full'?" in why.why
        assert why.why.endswith("there are: full")


async def test_d5_who_waits_for_the_run_before_names_it_and_its_state_now() -> None:
    go = asyncio.Event()
    fails = [True]

    @task(depends_on_past=True)
    async def load() -> None:
        await go.wait()
        if fails:
            fails.clear()
            raise ValueError("no rows")

    @dag(max_active_runs=3)
    def daily() -> None:
        load()

    async with sim_runtime([daily]) as rt:
        first = await rt.trigger(daily, logical_date="2026-06-14")
        second = await rt.trigger(daily, logical_date="2026-06-15")
        await rt.clock.settle()
        why = await rt.operations.why(second.run_id, "load")
        assert why.state == "pending"
        assert why.why == (
            f"waits for the run before (depends_on_past): load of run {first.run_id} (2026-06-14T00:00:00Z) is running"
        )
        assert why.next == f"it starts on the commit that ends that well; see `bide why {first.run_id} load`"
        go.set()
        assert (await first.wait()).state == "failed"
        why = await rt.operations.why(second.run_id, "load")
        assert why.why.endswith("is failed")
        assert why.next == (
            f"`bide rerun {first.run_id} load` or `bide mark {first.run_id} load success` lets it start"
        )
        await rt.operations.rerun(first.run_id, "load")
        assert (await second.wait()).state == "success"


async def test_d5_a_tear_down_with_nothing_to_take_away_says_so() -> None:
    @task
    async def create() -> None:
        raise ValueError("no quota")

    @task
    async def delete() -> None: ...

    @dag
    def job() -> None:
        made = create()
        delete().as_teardown(setups=made)

    async with sim_runtime([job]) as rt:
        run = await rt.trigger(job)
        assert (await run.wait()).state == "failed"
        why = await rt.operations.why(run.run_id, "delete")
        assert why.state == "upstream_failed"
        assert "create is failed" in why.why
