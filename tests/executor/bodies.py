"""Bodies that every lane runs: at the top of a module, so that an isolated process finds them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from bide.runtime.errors import FailTask, RefusedError, SkipTask
from bide.runtime.executor.context import Context, current
from bide.runtime.values import Secret


class NoRowsError(LookupError):
    """Asks for patience."""

    retry_after = 1.5


def doubled(n: int) -> dict[str, int]:
    return {"n": n * 2}


def nothing() -> None:
    """Returns nothing."""


def no_rows() -> None:
    raise NoRowsError("no rows\nat all")


def skips() -> None:
    raise SkipTask("weekend")


def gives_up() -> None:
    raise FailTask("wrong customer")


def exits() -> None:
    sys.exit(3)


def interrupts_itself() -> None:
    raise KeyboardInterrupt


def not_json() -> Any:
    return {1, 2, object()}


def too_much() -> str:
    return "x" * 300_000


def facts(ctx: Context) -> list[Any]:
    assert current() is ctx
    ctx.progress(1, 4)
    return [
        ctx.dag, ctx.task, ctx.run_id, ctx.map_index, ctx.attempt, str(ctx.logical_date), str(ctx.interval),
        str(ctx.scheduled_for), dict(ctx.params), ctx.idempotency_key, ctx.attempt_key, ctx.stopping,
    ]  # fmt: skip


def logs(ctx: Context) -> None:
    ctx.log.info("loading", rows=3, where="a b")
    ctx.log.warning("slow")
    try:
        raise OSError("disk")
    except OSError:
        ctx.log.exception("went on")


def leaks(ctx: Context) -> None:
    password = Secret("env:BIDE_TEST_PASSWORD").resolve()
    ctx.log.info("connecting", password=password)
    raise RuntimeError(f"cannot connect with {password}")


def moves_the_watermark(ctx: Context) -> Any:
    seen = ctx.watermark
    ctx.watermark = {"id": 8}
    ctx.metrics(rows=42, seconds=1.5)
    return [seen, ctx.watermark]


def wrong_metric(ctx: Context) -> None:
    ctx.metrics(rows="many")  # type: ignore[arg-type]


def once_twice(ctx: Context) -> list[int]:
    calls: list[int] = []

    def step() -> int:
        calls.append(1)
        return 7

    return [ctx.once("charge", step), ctx.once("charge", step), len(calls)]


async def once_twice_async(ctx: Context) -> list[int]:
    calls: list[int] = []

    async def step() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        return 7

    first, second = await asyncio.gather(ctx.once("charge", step), ctx.once("charge", step))
    return [first, second, len(calls)]


def runs_until_stopped(ctx: Context, tick: float = 0.01) -> str:
    ctx.log.info("begun")
    done = threading.Event()
    while not ctx.stopping:
        done.wait(tick)
    return "stopped"


def refuses_to_end(ctx: Context) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.log.info("begun")
    time.sleep(600)


def has_children(ctx: Context) -> None:
    child = subprocess.Popen(["/bin/sh", "-c", "sleep 600 & echo grandchild $!; wait"])
    print("child", child.pid, flush=True)
    child.wait()


def fills_memory() -> int:
    return len(bytearray(4 << 30))


def dies() -> None:
    print("last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before_its_daemon(ctx: Context, how: str) -> None:
    """Leaves a process outside of its group: a fork of this one, or a program with what it may inherit."""
    if how == "fork":
        if os.fork() == 0:
            os.setsid()
            ctx.log.info("daemon", pid=os.getpid())
            for fd in (0, 1, 2):
                os.close(fd)
            time.sleep(600)
            os._exit(0)
    else:
        if how == "program with all":
            for fd in range(3, 64):
                with contextlib.suppress(OSError):
                    os.set_inheritable(fd, True)
        command = "echo daemon pid=$$; exec sleep 600 >/dev/null 2>&1"
        subprocess.Popen(["setsid", "/bin/sh", "-c", command], close_fds=False)
    time.sleep(0.3)
    os._exit(7)


def asks_in_a_fork(ctx: Context) -> int:
    """The exit status of a fork that records a step."""
    child = os.fork()
    if child == 0:
        try:
            ctx.once("charge", answer)
        except RefusedError as error:
            print(error, flush=True)
        os._exit(5)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def logs_without_end(ctx: Context) -> str:
    ctx.log.info("x" * 80_000_000)
    return "done"


def speaks_wrongly(ctx: Context) -> None:
    ctx.progress("half")  # type: ignore[arg-type]
    time.sleep(600)


def answer() -> int:
    return 42
