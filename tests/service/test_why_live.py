"""What `why` says of a living runtime: who holds a resource, when a rescheduled wait is looked at again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from bide import Dag, Pool, Runtime, dag, task
from bide.sensors import FileSensor


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
