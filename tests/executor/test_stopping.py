"""Stopping: how each lane is told, what is posted, and that a shutdown leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from bide.runtime.engine.messages import AttemptEnded, StepDone, WaitDropped
from bide.runtime.engine.states import AttemptState
from bide.runtime.executor.context import Context
from bide.runtime.graph.binding import Command
from bide.runtime.graph.spec import Lane
from bide.triggers.base import Trigger
from tests.executor import bodies
from tests.executor.desk import Desk

S = AttemptState


def open_fds() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def begun(desk: Desk, attempt_id: int, word: str = "begun") -> None:
    async with asyncio.timeout(20):
        while word not in desk.logs.read(attempt_id):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("state", [S.CANCELLED, S.TIMED_OUT])
async def test_a_coroutine_is_cancelled_and_cleans_up(desk: Desk, state: AttemptState) -> None:
    cleaned = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    attempt_id = desk.start(waits)
    await asyncio.sleep(0)
    desk.stop(attempt_id, state, "too long")
    ended = await desk.ended(attempt_id)
    assert ended.failure is not None
    assert (ended.state, ended.failure.message, cleaned.is_set()) == (state, "too long", True)


async def test_a_body_stopped_before_its_first_step_ends_as_told(desk: Desk) -> None:
    attempt_id = desk.start(bodies.answer)
    desk.stop(attempt_id)
    assert (await desk.ended(attempt_id)).state is S.CANCELLED


async def test_a_coroutine_that_swallows_its_cancellation_is_pressed_again(desk: Desk) -> None:
    async def stubborn() -> str:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
        return "as if nothing had been said"

    attempt_id = desk.start(stubborn)
    await asyncio.sleep(0)
    desk.stop(attempt_id, S.TIMED_OUT, "too long")
    ended = await desk.ended(attempt_id)
    assert (ended.state, ended.output) == (S.TIMED_OUT, None)


async def test_a_cancellation_from_within_is_a_failure(desk: Desk) -> None:
    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    ended = await desk.run(cancels_itself)
    assert ended.failure is not None
    assert ended.state is S.FAILED
    assert "nobody had asked" in ended.failure.message


async def test_a_thread_keeps_its_attempt_until_it_returns(desk: Desk) -> None:
    release = threading.Event()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def deaf(ctx: Context) -> None:
        loop.call_soon_threadsafe(told.set)
        release.wait(20)

    attempt_id = desk.start(deaf, lane=Lane.THREAD, takes_context=True)
    await told.wait()
    desk.stop(attempt_id, S.TIMED_OUT, "too long")
    async with asyncio.timeout(20):
        while desk.executor.stuck() != [attempt_id]:
            await asyncio.sleep(0.02)
    assert desk.posted == []
    release.set()
    assert (await desk.ended(attempt_id)).state is S.TIMED_OUT


@pytest.mark.parametrize("lane", [Lane.THREAD, Lane.PROCESS])
async def test_a_plain_function_sees_that_it_should_stop(desk: Desk, lane: Lane) -> None:
    attempt_id = desk.start(bodies.runs_until_stopped, lane=lane, takes_context=True)
    await begun(desk, attempt_id)
    desk.stop(attempt_id)
    ended = await desk.ended(attempt_id)
    assert (ended.state, ended.output) == (S.CANCELLED, None)


async def test_a_process_that_refuses_to_end_is_killed(desk: Desk) -> None:
    attempt_id = desk.start(bodies.refuses_to_end, lane=Lane.PROCESS, takes_context=True)
    await begun(desk, attempt_id)
    desk.stop(attempt_id, S.TIMED_OUT, "too long")
    assert (await desk.ended(attempt_id)).state is S.TIMED_OUT


async def test_p16_close_leaves_no_task_thread_fd_or_end_behind(tmp_path: Path) -> None:
    fds, threads = open_fds(), set(threading.enumerate())
    tasks = asyncio.all_tasks()
    desk = Desk(tmp_path)
    desk.acknowledges = False

    async def waits(ctx: Context) -> None:
        await ctx.wait(Bell(name="x"))

    def steps(ctx: Context) -> None:
        ctx.once("charge", bodies.answer)

    desk.start(waits, takes_context=True)
    in_step = desk.start(steps, lane=Lane.THREAD, takes_context=True)
    desk.start(bodies.runs_until_stopped, lane=Lane.THREAD, takes_context=True)
    await desk.seen(StepDone, in_step)
    desk.acknowledges = True
    process = desk.start(bodies.runs_until_stopped, lane=Lane.PROCESS, takes_context=True)
    shell = desk.start(None, lane=Lane.SHELL, shell=Command("echo begun; sleep 600", {}, "/"))
    await begun(desk, process)
    await begun(desk, shell)
    gated = desk.start(None, lane=Lane.SHELL, shell=Command("echo begun; sleep 600", {}, "/"))
    assert gated
    assert await desk.executor.close(5_000_000) == []
    assert desk.of(AttemptEnded) == []
    assert desk.of(WaitDropped) == []
    assert desk.logs.tail(1)[-1].endswith("WARNING stopping: shutdown")
    assert asyncio.all_tasks() == tasks
    assert set(threading.enumerate()) == threads
    assert open_fds() == fds


class Bell(Trigger, frozen=True, kw_only=True, tag="bell"):
    """Waits for nothing in particular."""

    name: str
