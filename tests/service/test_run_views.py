"""What a run is drawn from: the graph that it runs, who is behind it, and the moves of its tasks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bide import dag, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.testing import SimRuntime, sim_runtime

gates: dict[str, asyncio.Event] = {}


@task
async def first() -> None: ...


@task(retries=1, retry_delay=timedelta(minutes=10))
async def shaky() -> None:
    if not gates["well"].is_set():
        raise ValueError("not yet")


@task
async def each(n: int) -> int:
    return n


@dag
def drawn() -> None:
    """One after the other, and three of a kind."""
    first() >> shaky() >> each.map(n=[1, 2, 3])


async def _begun(rt: SimRuntime) -> None:
    gates["well"] = asyncio.Event()
    await rt.trigger(drawn)
    await rt.clock.advance(timedelta(minutes=1))
    gates["well"].set()


async def test_a_run_shows_the_graph_that_it_runs_and_not_that_which_came_after() -> None:
    async with sim_runtime([drawn]) as rt:
        await _begun(rt)
        shown = await rt.operations.stats.graph("1")
        assert [(one.task, one.upstream, one.does) for one in shown.tasks] == [
            ("first", (), "task"),
            ("shaky", ("first",), "task"),
            ("each", ("shaky",), "task"),
        ]
        assert (shown.newer, shown.paused, shown.ended_at) == (False, None, None)

        @dag(name="drawn")
        def later() -> None:
            first()

        await rt.load([later], {})
        assert (await rt.operations.stats.graph("1")).newer
        with pytest.raises(NotFoundError, match="no run 7"):
            await rt.operations.stats.graph("7")


async def test_a_run_of_a_paused_dag_says_since_when_and_why() -> None:
    async with sim_runtime([drawn]) as rt:
        await _begun(rt)
        await rt.operations.pause("drawn")
        paused = (await rt.operations.stats.graph("1")).paused
        assert paused is not None
        assert (paused.reason, paused.since) == ("by hand", paused.since)
        await rt.operations.unpause("drawn")
        assert (await rt.operations.stats.graph("1")).paused is None


async def test_the_moves_of_a_task_tell_what_it_did_when_page_by_page() -> None:
    async with sim_runtime([drawn]) as rt:
        await _begun(rt)
        await rt.clock.advance(timedelta(minutes=10))
        shown = await rt.operations.stats.times("1")
        by = {(one.task, one.map_index): one for one in shown}
        shaky_one = by["shaky", -1]
        assert [move.now for move in shaky_one.moves] == [
            "ready", "running", "up_for_retry", "ready", "running", "success",
        ]  # fmt: skip
        assert (shaky_one.first, shaky_one.state, shaky_one.attempts) == ("pending", "success", 2)
        assert {place for name, place in by if name == "each"} == {-1, 0, 1, 2}
        pages = await rt.operations.stats.times("1", limit=2)
        assert pages == shown[:2]
        assert await rt.operations.stats.times("1", limit=9, before=pages[-1].id) == shown[2:]
        with pytest.raises(UsageError, match="names no item"):
            await rt.operations.stats.times("1", before="shaky")
