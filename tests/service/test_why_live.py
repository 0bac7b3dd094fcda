"""What `why` says of a living runtime: who holds a resource, when a rescheduled wait is looked at again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from bide import Context, Dag, Pool, Runtime, dag, task
from bide.sensors import FileSensor
from bide.testing import sim_runtime


async def test_only_those_who_hold_a_pool_are_named_as_its_holders(tmp_path: Path) -> None:
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    @task
    async def outside() -> None:
        begun.release()
        await go.wait()

    @task(pool="gpu")
    async def inside() -> None:
        begun.release()
        await go.wait()

    @dag
    def crowd() -> None:
        outside()
        inside()
        inside.options(name="next")()

    async with Runtime(db=tmp_path / "b.db", dags=[crowd], pools={"gpu": Pool(slots=1)}) as rt:
        run = await rt.trigger("crowd")
        await begun.acquire()
        await begun.acquire()
        why = await rt.operations.why(run.run_id, "next")
        assert why.why == "wants a place in pool gpu, and 1 of 1 are taken"
        assert [detail.value for detail in why.details] == [f"inside of run {run.run_id}"]
        go.set()
        await run.wait(timeout=10)


async def test_a_running_task_says_how_far_it_is(tmp_path: Path) -> None:
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    @task
    async def counts(ctx: Context) -> None:
        for done, total in ((1200, 5000), (0.5, None), ("a half", None), (float("nan"), 1), (10**400, 1)):
            ctx.progress(done, total)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
            begun.release()
            await go.wait()
            go.clear()

    @dag
    def long() -> None:
        counts()

    async with Runtime(db=tmp_path / "b.db", dags=[long]) as rt:
        run = await rt.trigger("long")
        for words in ("1200 of 5000 (24 %)", "0.5", None, None, None):
            await begun.acquire()
            why = await rt.operations.why(run.run_id, "counts")
            assert {detail.what: detail.value for detail in why.details}.get("progress") == words
            go.set()
        await run.wait(timeout=10)
        over = await rt.operations.why(run.run_id, "counts")
        assert "progress" not in {detail.what for detail in over.details}


async def test_a_ready_task_of_a_runtime_that_stops_says_that_it_starts_with_the_next(tmp_path: Path) -> None:
    go, begun = asyncio.Event(), asyncio.Event()

    @task
    async def inside() -> None:
        begun.set()
        await go.wait()

    @dag(max_active_runs=2)
    def queue() -> None:
        inside()
        inside.options(name="next")()

    async with Runtime(db=tmp_path / "b.db", dags=[queue], slots=1) as rt:
        run = await rt.trigger("queue")
        await begun.wait()
        assert (await rt.operations.why(run.run_id, "next")).why == "wants a slot, and 1 of 1 are taken"
        await rt.drain(0)
        why = await rt.operations.why(run.run_id, "next")
        assert why.why == "the runtime is stopping and starts nothing new"
        assert why.next == "it starts with the next runtime on this database"
        go.set()
        await rt.drain(10)
        of_run = await rt.operations.why(run.run_id)
        assert of_run.why == (
            "1 of its tasks is ready and wants a slot; the runtime is stopping and starts nothing new"
        )
        assert of_run.next == "it starts with the next runtime"
    async with Runtime(db=tmp_path / "b.db", dags=[queue], slots=1) as rt:
        assert (await rt.wait(run.run_id, timeout=10)).state == "success"


async def test_a_rescheduled_wait_says_when_it_was_and_will_be_looked_at(tmp_path: Path) -> None:
    deferred = rescheduled(tmp_path)
    async with Runtime(db=tmp_path / "b.db", dags=[deferred]) as rt:
        run = await rt.trigger(deferred)
        async with asyncio.timeout(10):
            while (why := await rt.operations.why(run.run_id, "drop")).state != "deferred":
                await asyncio.sleep(0.01)
        said = {detail.what: detail.value for detail in why.details}
        assert "ago" in said["last look"] or "now" in said["last look"]
        assert "not there yet" in said["last look"]
        assert "(in " in said["next look"]
        assert why.next is not None
        await rt.operations.pause("rescheduled")
        run_why = await rt.operations.why(run.run_id)
        assert "gives up" not in str(run_why.next)
        assert "bide unpause rescheduled" in str(run_why.next)


def rescheduled(folder: Path) -> Dag:
    @dag
    def rescheduled() -> None:
        FileSensor(
            "drop", path=str(folder / "x"), mode="reschedule", poll_interval=timedelta(seconds=5),
            timeout=timedelta(hours=1),
        )  # fmt: skip

    return rescheduled


async def test_c77_a_task_that_its_deadline_has_failed_says_so_and_not_what_became_of_its_attempt(
    tmp_path: Path,
) -> None:
    @task(retries=3, retry_delay=timedelta(minutes=10), deadline=timedelta(minutes=5))
    async def load() -> None:
        raise ValueError("no route")

    @dag
    def etl() -> None:
        load()

    async with sim_runtime([etl], db=tmp_path / "bide.db") as rt:
        run = await rt.trigger("etl")
        await rt.clock.advance(timedelta(minutes=1))
        assert "no route" in (await rt.operations.why(run.run_id, "load")).why
        await rt.clock.advance(timedelta(minutes=10))
        why = await rt.operations.why(run.run_id, "load")
        assert (why.state, "its deadline passed" in why.why) == ("failed", True)
        assert "its deadline passed" in (await rt.operations.why(run.run_id)).why
