"""What a run is drawn from: the graph that it runs, who is behind it, and the moves of its tasks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bide import Asset, Cron, OnAssets, Param, by, dag, shell, task
from bide.runtime.cli.chain import shown_chain
from bide.runtime.cli.made import made_lines
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.testing import SimRuntime, sim_runtime

gates: dict[str, asyncio.Event] = {}
drawn_at_once = 2


@task
async def first() -> None: ...


@task(retries=1, retry_delay=timedelta(minutes=10))
async def shaky() -> None:
    if not gates["well"].is_set():
        raise ValueError("not yet")


@task
async def each(n: int) -> int:
    return n


@dag(max_active_runs=drawn_at_once)
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


orders = Asset("orders", grain="day")
revenue = Asset("revenue", grain="day")


@task(outlets=[orders])
async def load() -> None: ...


@task(inlets=[orders], outlets=[revenue])
async def sum_up() -> None: ...


@dag(
    schedule=Cron("0 0 * * *", interval="day"), start="2026-06-14", catchup="none", deadline_alert=by("05:45")
)
def loading() -> None:
    load()


@dag(schedule=OnAssets(orders, consume="each"))
def summing() -> None:
    sum_up()


@dag(schedule=OnAssets(revenue, consume="each"))
def telling() -> None:
    first()


async def test_the_chain_of_a_run_goes_up_to_the_clock_and_down_to_what_was_made_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with sim_runtime([loading, summing, telling], start="2026-06-14T12:00") as rt:
        await rt.clock.advance(timedelta(days=1))
        by_dag = {run.dag: run for run in await rt.operations.runs()}
        last = await rt.operations.stats.chain(by_dag["telling"].run_id)
        assert [(one.dag, one.depth, [each.asset for each in one.versions]) for one in last.causes] == [
            ("telling", 0, ["revenue"]),
            ("summing", 1, ["orders"]),
            ("loading", 2, []),
        ]
        assert [one.kind for one in last.causes] == ["asset", "asset", "scheduled"]
        assert last.causes[0].versions[0].run_id == by_dag["summing"].run_id
        assert (last.read, last.made, last.sets_going, last.more) == ((), (), (), False)

        middle = await rt.operations.stats.chain(by_dag["summing"].run_id)
        assert [each.asset for each in middle.read] == ["orders"]
        assert [(each.asset, each.state) for each in middle.made] == [("revenue", "published")]
        assert [one.dag for one in middle.sets_going] == ["telling"]
        shown_chain(middle, json=False)
        said = capsys.readouterr().out
        assert "run 2 of summing (success) was made by new data" in said
        assert "  run 1 of loading (success) was made by its schedule" in said
        assert "set going run 3 of telling (success)" in said
        with pytest.raises(NotFoundError, match="no run 99"):
            await rt.operations.stats.chain("99")


async def test_who_asked_for_a_run_by_hand_and_which_backfill_has_it_is_in_its_chain() -> None:
    async with sim_runtime([drawn, loading], start="2026-06-20T12:00") as rt:
        await _begun(rt)
        [run] = await rt.operations.runs(dag="drawn")
        [by_hand] = (await rt.operations.stats.chain(run.run_id)).causes
        assert (by_hand.kind, by_hand.backfill_id, by_hand.versions) == ("manual", None, ())
        await rt.operations.backfills.start(
            BackfillRequest(dag="loading", from_="2026-06-16", to="2026-06-17")
        )
        await rt.clock.advance(timedelta(minutes=1))
        [run] = await rt.operations.runs(kind="backfill")
        [of_backfill] = (await rt.operations.stats.chain(run.run_id)).causes
        assert of_backfill.backfill_id == "1"


async def test_what_a_dag_promises_is_shown_in_words() -> None:
    async with sim_runtime([drawn, loading]) as rt:
        assert (await rt.operations.dag("loading")).promise == "by 05:45 UTC"
        shown = await rt.operations.dag("drawn")
        assert (shown.promise, shown.tasks[0].promise) == (None, None)


async def test_the_chain_of_a_run_in_any_state_is_told() -> None:
    async with sim_runtime([drawn]) as rt:
        gates["well"] = asyncio.Event()
        for _ in range(drawn_at_once + 1):
            await rt.trigger(drawn)
        states = {run.run_id: run.state for run in await rt.operations.runs()}
        assert "queued" in states.values()
        for run, state in states.items():
            assert [one.state for one in (await rt.operations.stats.chain(run)).causes] == [state]
        for run in states:
            await rt.operations.cancel(run)
            assert [one.state for one in (await rt.operations.stats.chain(run)).causes] == ["cancelled"]
