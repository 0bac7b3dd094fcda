"""What a run is drawn from: the graph that it runs, who is behind it, and the moves of its tasks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bide import Param, dag, shell, task
from bide.runtime.cli.made import made_lines
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


@dag(params={"day": Param("today"), "password": Param(""), "to": Param({}), "rows": Param(1, ge=0)})
def asked() -> None:
    """Takes parameters, a secret among them."""
    shell("says", "echo {params.password} {params.day}")


async def test_t17_a_run_shows_what_it_was_made_with_and_never_a_secret() -> None:
    async with sim_runtime([asked]) as rt:
        secret = {"password": "hunter2", "to": {"url": "https://ann:hunter2@host/", "token": "hunter2"}}
        run = await rt.trigger("asked", params={"day": "<b>2026</b>", **secret})
        await rt.trigger("asked", params={"day": "x" * 70_000})
        shown = await rt.operations.show(str(run.run_id))
        assert shown.params == {
            "day": "<b>2026</b>",
            "password": "***",
            "to": {"url": "https://***@host/", "token": "***"},
            "rows": 1,
        }
        assert (shown.hidden, shown.made, shown.who) == (("password", "to"), "triggered", "python")
        task = await rt.operations.tasks.show(str(run.run_id), "says")
        assert "hunter2" not in repr((shown, task.inputs)), "nor do rendered inputs show it"
        assert [*made_lines(shown)] == [
            f"graph {shown.version[:12]}, made as triggered, asked for by python",
            'param day = "<b>2026</b>"',
            "param password = ***",
            'param to = {"url":"https://***@host/","token":"***"}',
            "param rows = 1",
        ]
        large = await rt.operations.show("2")
        assert (large.params, large.params_bytes > 70_000, large.hidden) == (None, True, ())
        assert [*made_lines(large)][1:] == [
            f"its parameters have {large.params_bytes:,} bytes: more than is shown"
        ]


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
