"""P16: a guest in somebody's loop. It takes nothing that is the host's, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bide import Context, Runtime, dag, shell, task
from bide.runtime.errors import StoreLostError
from bide.runtime.service import runtime as room
from bide.runtime.store.lock import Lock
from bide.sensors import FileSensor
from bide.triggers import FileTrigger
from tests.recovery.sweep import ROOT


@dag
def visit() -> None:
    @task
    def threaded() -> int:
        return 1

    @task
    async def waits(ctx: Context) -> None:
        await ctx.wait(FileTrigger(path="/nowhere/at/all"))

    threaded() >> [shell("said", "echo hi"), waits(), FileSensor("never", path="/nowhere/else")]


Seen = tuple[frozenset[str], frozenset[asyncio.Task[object]], frozenset[tuple[str, str]], object, object]


def seen() -> Seen:
    """Threads, tasks, open files, signal handlers, the root logger."""
    gc.collect()
    root = logging.getLogger()
    files = set()
    for fd in Path("/proc/self/fd").iterdir():
        try:
            files.add((fd.name, str(fd.readlink())))
        except OSError:  # the listing's own
            continue
    return (
        frozenset(f"{thread.name} {thread.ident}" for thread in threading.enumerate()),
        frozenset(asyncio.all_tasks()),
        frozenset(files),
        {number: signal.getsignal(number) for number in signal.valid_signals()},
        (
            root.level,
            list(root.handlers),
            list(root.filters),
            logging.getLogger("bide").level,
            logging.raiseExceptions,
        ),
    )


def children() -> str:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()


async def test_c81_a_coroutine_runs_in_the_hosts_loop_and_no_process_is_begun(tmp_path: Path) -> None:
    where: list[object] = []

    @dag
    def alone() -> None:
        @task
        async def here() -> None:
            where.extend((os.getpid(), threading.get_ident(), asyncio.get_running_loop()))

        here()

    before = children()
    async with Runtime(tmp_path / "bide.db", [alone]) as runtime:
        done = await runtime.wait(await runtime.trigger("alone"), timeout=20)
        with_it = children()
    assert done.state == "success"
    assert where == [os.getpid(), threading.get_ident(), asyncio.get_running_loop()]
    assert with_it == before


async def until_open(runtime: Runtime, waits: int) -> None:
    async with asyncio.timeout(20):
        while runtime.armed < waits:
            await asyncio.sleep(0.01)


async def test_p16_threads_tasks_files_signals_and_logging_are_after_it_as_they_were_before(
    tmp_path: Path,
) -> None:
    async with Runtime(tmp_path / "warm.db"):  # what is imported or cached once is not left behind
        pass
    before = seen()
    hook = asyncio.get_running_loop().get_exception_handler()
    async with Runtime(tmp_path / "b.db", [visit], grace=0.2) as runtime:
        await runtime.trigger("visit")
        await until_open(runtime, 2)
        during = seen()
    assert during[3:] == before[3:]
    assert asyncio.get_running_loop().get_exception_handler() is hook
    assert seen() == before


async def test_p16_leaving_is_bounded_while_the_body_of_a_thread_does_not_return(tmp_path: Path) -> None:
    let_go, began = threading.Event(), threading.Event()

    @dag
    def stuck() -> None:
        @task
        def never() -> None:
            began.set()
            let_go.wait(30)

        never()

    try:
        async with Runtime(tmp_path / "b.db", [stuck], grace=0.2) as runtime:
            await runtime.trigger(stuck)
            await asyncio.to_thread(began.wait, 10)
            start = time.monotonic()
        assert time.monotonic() - start < 5
        async with Runtime(tmp_path / "b.db") as runtime:  # the lock is free
            assert runtime.epoch == 2
    finally:
        let_go.set()


async def test_p16_two_runtimes_on_two_databases_share_one_loop(tmp_path: Path) -> None:
    @dag
    def one() -> None:
        @task
        async def only(ctx: Context) -> str:
            return ctx.run_id

        only()

    async with Runtime(tmp_path / "a.db", [one]) as a, Runtime(tmp_path / "b.db", [one]) as b:
        runs = [await (await a.trigger("one")).wait(10) for _ in range(3)]
        other = await (await b.trigger("one")).wait(10)
    assert [run.outputs["only"] for run in runs] == ["1", "2", "3"]
    assert other.outputs["only"] == "1"


async def test_p16_leaving_by_a_cancellation_still_closes_everything(tmp_path: Path) -> None:
    before = seen()
    inside = asyncio.Event()

    async def host() -> None:
        async with Runtime(tmp_path / "b.db", [visit], grace=0.2) as runtime:
            await runtime.trigger("visit")
            await until_open(runtime, 2)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(host())
    await asyncio.wait_for(inside.wait(), 20)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (seen()[:3], Lock(tmp_path / "b.db").holder()) == (before[:3], None)


@pytest.mark.parametrize("steps", [*range(8), 20, 50, 100, 200, 400, 800, 1600, 3200])
async def test_p16_entering_that_is_cancelled_anywhere_leaves_no_lock_thread_or_file(
    tmp_path: Path, steps: int
) -> None:
    """Cancelled at each of its first suspensions, and ever later."""
    async with Runtime(tmp_path / "warm.db"):
        pass
    before = seen()
    entering = asyncio.create_task(Runtime(tmp_path / "b.db", [visit]).__aenter__())
    for _ in range(steps):
        await asyncio.sleep(0)
    entering.cancel()
    await asyncio.wait([entering])
    if not entering.cancelled():
        await entering.result().__aexit__(None, None, None)
    assert (seen()[:3], Lock(tmp_path / "b.db").holder()) == (before[:3], None)


PLACES = ["locked", "opened", "epoch-begun", "loaded", "world-restored", "triggerer-started", "recovered"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, OSError])
async def test_p16_entering_that_fails_at_any_place_leaves_no_lock_thread_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: type[BaseException]
) -> None:
    async with Runtime(tmp_path / "warm.db"):
        pass
    before = seen()

    def point(name: str) -> None:
        if name == place:
            raise error(name)

    monkeypatch.setattr(room, "point", point)
    runtime = Runtime(tmp_path / "b.db", [visit])
    # in a coroutine of its own: a KeyboardInterrupt that leaves a task would end the loop
    with pytest.raises(error):
        await runtime.__aenter__()
    assert (seen()[:3], Lock(tmp_path / "b.db").holder()) == (before[:3], None)
    monkeypatch.undo()
    async with Runtime(tmp_path / "b.db", [visit]) as again:
        assert again.epoch >= 1


HOST = """
import asyncio, logging, signal, sys, threading, warnings
from bide import Runtime, dag, task, shell, Context
from bide.sensors import FileSensor

@dag
def visit():
    @task
    def threaded(): return 1
    @task
    async def body(ctx: Context): return 2
    @task
    async def slow(): await asyncio.sleep(60)
    threaded() >> [body(), shell("said", "echo hi"), FileSensor("never", path="/nowhere")]
    slow()

async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.5
    problems = []
    loop.set_exception_handler(lambda loop, context: problems.append(context))
    for number in range(2):
        async with Runtime(sys.argv[1], [visit], grace=0.2) as rt:
            await rt.trigger("visit")
            while not rt.armed:
                await asyncio.sleep(0.01)
    assert not problems, problems
    assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()

logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("clean")
"""


def test_p16_no_warning_in_the_strictest_mode_of_the_interpreter(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(HOST), str(tmp_path / "b.db")],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("clean", "", 0)


def test_p16_an_interrupted_host_ends_by_its_own_interrupt(tmp_path: Path) -> None:
    """Ctrl-C is asyncio.run's, as without a guest: the runtime closes on the way out."""
    host = HOST.replace("while not rt.armed:", 'print("in", flush=True)\n            while True:')
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", host, str(tmp_path / "b.db")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n", process.communicate()
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Warning" not in said
    assert Lock(tmp_path / "b.db").holder() is None


@pytest_asyncio.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    """As a user writes it: entered in one task of the test run, left in another."""
    async with Runtime(tmp_path / "fixture.db", [visit], grace=0.2) as entered:
        yield entered


async def test_p16_it_lives_in_an_async_fixture(runtime: Runtime) -> None:
    run = await runtime.trigger("visit")
    await until_open(runtime, 2)
    await run.cancel()
    assert (await run.wait(10)).state == "cancelled"


async def test_p16_after_leaving_nobody_is_left_waiting(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "b.db", [visit], grace=0.2) as runtime:
        run = await runtime.trigger("visit")
        waiting = asyncio.create_task(run.wait())
        await until_open(runtime, 2)
    for late in (waiting, run.wait(), run.cancel(), runtime.trigger("visit")):
        with pytest.raises(StoreLostError, match="closed"):
            await asyncio.wait_for(late, 5)
