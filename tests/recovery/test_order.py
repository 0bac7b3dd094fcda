"""P3 and P6: each stored wait is watched again after a crash; records come before what they record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from datetime import timedelta
from pathlib import Path

from bide import Context, Runtime, dag, task
from bide.sensors import ExternalTaskSensor, FileSensor, PythonSensor, TimeSensor
from bide.testing import SimClock, SimRuntime
from bide.testing.plugin import sim_runtime
from bide.triggers import FileTrigger
from tests.conformance.stage import crash_image

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
__all__ = ["sim_runtime"]


async def test_s0_9_p6_a_start_is_on_record_before_the_body_and_an_end_before_what_follows(
    tmp_path: Path,
) -> None:
    """Read by a connection of its own from within the bodies: what it sees is committed."""
    db = tmp_path / "bide.db"
    seen: list[dict[str, tuple[str, str]]] = []

    def look() -> None:
        with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
            rows = conn.execute(
                "SELECT task, i.state, a.state FROM task_instance i JOIN attempt a USING (attempt_id)"
            ).fetchall()
        seen.append({name: (state, attempt) for name, state, attempt in rows})

    @task
    async def first() -> int:
        look()
        return 1

    @task
    def second(n: int) -> int:
        look()
        return n

    @task
    async def third(n: int) -> None:
        look()

    @dag
    def d() -> None:
        third(second(first()))

    async with Runtime(db, [d]) as rt:
        assert (await (await rt.trigger("d")).wait(10)).ok
    begun, over = ("running", "running"), ("success", "success")
    assert seen == [
        {"first": begun},
        {"first": over, "second": begun},
        {"first": over, "second": over, "third": begun},
    ]


async def test_p3_after_a_crash_each_open_wait_is_watched_within_five_seconds(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    drops = tmp_path / "drops"

    @task
    async def body(ctx: Context) -> None:
        await ctx.wait(FileTrigger(path=str(drops / "for the body")))

    @task
    async def never() -> None:
        pass

    @dag
    def other() -> None:
        never()

    @dag
    def d() -> None:
        TimeSensor("time", delta=timedelta(days=1))
        FileSensor("file", path=str(drops / "a"))
        PythonSensor("python", lambda: None)
        ExternalTaskSensor("external", dag="other", task="never")
        FileSensor(
            "rescheduled", path=str(drops / "b"), mode="reschedule", poll_interval=timedelta(seconds=5)
        )
        body()

    clock = SimClock()
    async with sim_runtime([d, other], clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.settle()
        before = {(line.id, line.deadline) for line in await rt.waits()}
        assert len(before) == 6
        image = crash_image(rt.db, tmp_path / "image")
    async with SimRuntime(image, [d, other], clock=SimClock(clock.now())) as rt:
        await rt.clock.advance(5)
        assert {(line.id, line.deadline) for line in await rt.waits()} == before
        assert rt.unwatched == frozenset()
        assert len(rt.watched) == 4, "the engine holds the external one, the rescheduled one is looked at"
        states = {line.task: line.state for line in (await rt.operations.show(run.run_id)).tasks}
        assert set(states.values()) == {"deferred"}
