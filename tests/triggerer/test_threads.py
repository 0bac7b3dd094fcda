"""Blocking looks: in threads of our own, cut when they hang, never called beside themselves."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bide.runtime.clock import SECOND
from bide.runtime.engine.messages import WaitFired
from bide.runtime.triggerer.threads import Threads
from bide.triggers import PythonTrigger
from bide.triggers.base import LookFailed

from .conftest import Bench

BRIEF_US = SECOND // 20


async def _until(true: object) -> None:
    async with asyncio.timeout(5):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_results_and_errors_come_back() -> None:
    threads = Threads(2)
    assert await threads.call(lambda a, b: a + b, 1, 2, limit_us=SECOND) == 3
    with pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 / 0, limit_us=SECOND)
    with pytest.raises(LookFailed, match="SystemExit"):
        await threads.call(lambda: exit(3), limit_us=SECOND)
    await threads.close()


async def test_never_more_than_the_limit_at_once() -> None:
    threads, most, now, lock = Threads(3), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.005)
        with lock:
            now -= 1

    await asyncio.gather(*[threads.call(work, limit_us=SECOND) for _ in range(30)])
    assert most <= 3
    await threads.close()


async def test_p10_a_thread_that_hangs_is_written_off_and_replaced() -> None:
    threads, release = Threads(1), threading.Event()
    with pytest.raises(LookFailed, match=r"longer than 0\.05 s"):
        await threads.call(release.wait, limit_us=BRIEF_US)
    assert threads.lost == 1
    assert await threads.call(lambda: 7, limit_us=SECOND) == 7
    release.set()
    await _until(lambda: threads.lost == 0)
    await threads.close()


async def test_closing_joins_the_threads_that_can_be_joined() -> None:
    before = {thread.ident for thread in threading.enumerate()}
    threads = Threads(4)
    await asyncio.gather(*[threads.call(int, limit_us=SECOND) for _ in range(8)])
    await threads.close()
    assert {thread.ident for thread in threading.enumerate()} <= before
    with pytest.raises(LookFailed, match="closed"):
        await threads.call(int, limit_us=SECOND)


async def test_a_sync_predicate_runs_in_a_thread(bench: Bench) -> None:
    names: list[str] = []

    def ready() -> str:
        names.append(threading.current_thread().name)
        return "yes"

    bench.predicates["d", "t"] = ready
    bench.arm(1, PythonTrigger(dag="d", task="t"))
    await _until(lambda: bench.posted)
    assert bench.posted == [WaitFired(1, b'"yes"')]
    assert names[0].startswith("bide-look")


async def test_c38_a_hanging_predicate_is_cut_not_called_again_and_delays_no_other(bench: Bench) -> None:
    release, calls = threading.Event(), 0

    def hangs() -> bool:
        nonlocal calls
        calls += 1
        release.wait(10)
        return calls > 1

    bench.predicates["d", "bad"] = hangs
    bench.predicates["d", "good"] = lambda: True
    bench.arm(1, PythonTrigger(dag="d", task="bad", limit_us=BRIEF_US), poll_us=SECOND)
    bench.arm(2, PythonTrigger(dag="d", task="good"), poll_us=SECOND)
    await _until(lambda: bench.fired == [2])
    await _until(lambda: "longer than" in _answer(bench))
    await bench.clock.advance(3 * SECOND, SECOND)
    await _until(lambda: "not called beside itself" in _answer(bench))
    assert calls == 1
    release.set()
    await _until(lambda: bench.triggerer.threads.lost == 0)
    for _ in range(30):  # real threads answer on a clock moved by hand: give them a moment each
        await bench.clock.advance(SECOND)
        await asyncio.sleep(0.01)
    assert 1 in bench.fired


def _answer(bench: Bench) -> str:
    status = bench.triggerer.status(1)
    return status.last_answer if status is not None else "over"
