"""The loop around `decide`: a batch that is refused costs its culprit and nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Every, dag, task
from bide.runtime.clock import SECOND
from bide.runtime.engine import commands
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import Command, Input, Parked, TriggerBuilt
from bide.runtime.errors import RefusedError, StoreLostError
from bide.runtime.store import invariants
from bide.runtime.store.inline import InlineWriter
from bide.sensors import ExternalTaskSensor, HttpSensor, TimeSensor
from bide.testing import FakeHttp, FakeSource, SimRuntime

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
now: dict[str, SimRuntime] = {}


def explode(*_: Any) -> Any:
    raise ZeroDivisionError("a bug in a handler")


@pytest.fixture(autouse=True)
def poison(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(commands.VERBS, "explode", explode)
    logging.getLogger("bide.engine").disabled = True
    yield
    logging.getLogger("bide.engine").disabled = False


def boom() -> Command:
    return Command(0, "explode", {})


@task(idempotent=False)
async def ends_beside_the_poison() -> int:
    now["rt"]._engine.post(boom())
    return 7


@task(idempotent=False)
async def parks(ctx: Context) -> Any:
    from bide.triggers import TimeTrigger

    return await ctx.wait(TimeTrigger(at_us=ctx._facts.scheduled_us + 60 * SECOND))


@dag
def mixed() -> None:
    HttpSensor("web", url="https://x.example/")
    ends_beside_the_poison()
    parks()


async def test_the_end_of_an_attempt_in_a_refused_batch_is_kept(sim_runtime: Sim) -> None:
    web = FakeSource()
    async with sim_runtime([mixed], fakes={"http": web}) as rt:
        now["rt"] = rt
        run = await rt.trigger("mixed")
        await rt.clock.settle()
        tasks = {each.task: each.state for each in (await run.show()).tasks}
        assert tasks == {"web": "deferred", "ends_beside_the_poison": "success", "parks": "deferred"}
        with pytest.raises(RefusedError, match="a bug in a handler"):
            await rt.command("explode", {})
        await rt.clock.advance(60)
        web.fire("here")
        result = await run.wait()
        assert result.ok
        assert result.outputs["ends_beside_the_poison"] == 7
        assert rt.store._raw is not None  # type: ignore[attr-defined]
        assert await rt.store.read(invariants.check) == []
        rejected = await rt.store.read(
            lambda conn: conn.execute("SELECT reason FROM event WHERE now = 'rejected'").fetchall()
        )
        assert len(rejected) == 2


@task
async def first() -> int:
    return 1


@dag(schedule=Every(hours=1))
def upstream() -> None:
    first()


@dag
def downstream() -> None:
    ExternalTaskSensor("wait", dag="upstream", at="2026-01-01T00:00:00+00:00", timeout=timedelta(hours=1))


async def test_what_a_wait_asks_the_database_in_a_refused_batch_is_answered(sim_runtime: Sim) -> None:
    async with sim_runtime([upstream, downstream]) as rt:
        await rt.clock.advance(timedelta(hours=1, minutes=1))
        post = rt._engine.post

        def with_poison(each: Input) -> None:
            post(each)
            if isinstance(each, TriggerBuilt):
                post(boom())

        rt._shell.post = with_poison
        run = await rt.trigger("downstream")
        await rt.clock.advance(1)
        assert (await run.wait(timeout=1)).ok


async def test_a_firing_in_a_refused_batch_is_not_forgotten(sim_runtime: Sim) -> None:
    async with sim_runtime([upstream]) as rt:
        await rt.clock.settle()
        rt.clock._wall += 3600 * SECOND
        rt.clock._elapsed += 3600 * SECOND
        rt._engine.post(boom())
        await rt.clock.settle()
        runs = await rt.store.read(lambda conn: conn.execute("SELECT count(*) FROM run").fetchone())
        assert runs == (2,)


@dag
def waits() -> None:
    TimeSensor("until", at="2026-06-01T00:00:00+00:00", timeout=timedelta(minutes=10), on_timeout="skip")


async def test_p9_a_step_of_the_clock_is_noticed_before_deadlines_are_judged_by_it(sim_runtime: Sim) -> None:
    async with sim_runtime([waits]) as rt:
        run = await rt.trigger("waits")
        await rt.clock.settle()
        rt._engine._watches = True
        rt.clock._wall += 3600 * SECOND
        rt._engine.post(Parked(999))
        await rt.clock.settle()
        [wait] = await rt.waits()
        assert wait.deadline == "2026-01-01T01:10:00Z"
        await rt.clock.advance(timedelta(minutes=9))
        assert (await run.show()).state == "running"
        await rt.clock.advance(timedelta(minutes=2))
        assert (await run.wait()).tasks == {"until": "skipped"}


class Slow(InlineWriter):
    """Commits and reads that let others have their turn, as the database thread does."""

    async def commit(self, changes: Changes, batch: int) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self.commit_here(changes, batch)

    async def read(self, fn: Callable[[Any], Any]) -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        return self.read_here(fn)


@task
async def second(number: int) -> int:
    return number + 1


@dag
def pair() -> None:
    second(first())


async def test_p12_a_cancel_that_is_being_committed_while_a_body_is_prepared_leaves_no_slot(
    tmp_path: Path,
) -> None:
    def slow(db: Path) -> Slow:
        return Slow.open_here(db, synchronous="NORMAL", create=True)

    async with SimRuntime(tmp_path / "bide.db", [pair], open_store=slow) as rt:
        run = await rt.trigger("pair")
        assert (await run.wait()).ok
        await rt.command("rerun", {"run_id": int(run.run_id), "task": "second"})
        await run.cancel()
        await rt.clock.settle()
        assert rt.slots_in_use == 0
        assert (await run.wait()).tasks["second"] == "cancelled"


@dag
def polls() -> None:
    HttpSensor("web", url="https://x.example/", poll_interval=timedelta(hours=1))


async def test_a_look_by_hand_at_an_armed_wait_is_made_at_once_and_leaves_nothing_behind(
    sim_runtime: Sim,
) -> None:
    web = FakeHttp()
    async with sim_runtime([polls], fakes={"http": web}) as rt:
        run = await rt.trigger("polls")
        await rt.clock.advance(60)
        assert len(web.asked) == 1
        await rt.command("wait_look", {"wait_id": 1})
        await rt.clock.settle()
        assert len(web.asked) == 2
        assert rt._shell._tasks == set()
        web.answer("https://x.example/", text="yes")
        await rt.clock.advance(60)  # no closer to the last look than the source allows
        await rt.command("wait_look", {"wait_id": 1})
        await rt.clock.settle()
        assert (await run.wait(5)).ok


async def test_what_no_input_has_brought_about_is_blamed_on_none_and_stops_the_engine(
    sim_runtime: Sim, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bide.runtime.engine import scheduling

    async def live() -> None:
        async with sim_runtime([upstream]) as rt:
            await rt.clock.settle()
            monkeypatch.setattr(scheduling, "fire", explode)
            moving = asyncio.create_task(rt.clock.advance(timedelta(hours=2)))
            await rt._engine.ended()
            rt.clock.patience = 0
            await moving
            await rt.command("pause", {"dag": "upstream"})

    with pytest.raises(StoreLostError, match="a bug in a handler"):
        await live()
