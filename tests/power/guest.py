"""What runs in the machine whose power is cut: PID 1, which opens a runtime on the disk and says each fact once it stands.

Over the serial line: `ready` when all is loaded, then it waits for `go LEVEL NOW_NS`; `open`, and `ack KIND RUN` AFTER
bide has acknowledged the fact. `python -m tests.power.guest FOLDER` rehearses it for a moment on this machine, and
prints the files that it took.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import importlib.metadata
import os
import sys
import time
import traceback
import tty
import zoneinfo
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, cast

from bide import Asset, Context, Dag, Runtime, dag, task
from bide.runtime.service.handles import RunHandle
from bide.triggers import TimeTrigger

DISK: Final = "/dev/vda"
DATA: Final = Path("/data")
MODULES: Final = Path("/modules")
FLUSH_BUFFERS: Final = 0x1261  # BLKFLSBUF
MAKERS: Final = 4
PARKED: Final = 12
NEVER_US: Final = 4_000_000_000_000_000
ORDERS: Final = Asset("orders")


def say(*words: object) -> None:
    """One line, at once."""
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def declared(say: Callable[..., None]) -> list[Dag]:
    """The DAGs; `say` is told of each fact that a body has been given."""

    @task(outlets=[ORDERS])
    async def make(ctx: Context) -> int:
        say("ack began", ctx.run_id)
        drawn = int(await ctx.once("draw", lambda: 7))
        say("ack once", ctx.run_id)
        return drawn

    @task
    async def use(ctx: Context, drawn: int) -> int:
        await ctx.wait(TimeTrigger(at_us=1), timeout=timedelta(hours=1))
        say("ack fired", ctx.run_id)
        return drawn + 1

    @task
    async def park(ctx: Context) -> None:
        say("ack began", ctx.run_id)
        await ctx.wait(TimeTrigger(at_us=NEVER_US), timeout=timedelta(days=365))

    @dag(max_active_runs=1000)
    def made() -> None:
        use(make())

    @dag(max_active_runs=1000)
    def parked() -> None:
        park()

    return [made, parked]


async def makes(runtime: Runtime) -> None:
    """Runs from their start to their end, one after another."""
    while True:
        run = await runtime.trigger("made", new=True)
        say("ack run", run.run_id)
        result = await run.wait()
        assert result.ok, result
        say("ack ended", run.run_id)
        say("ack version", run.run_id)


async def parks(runtime: Runtime) -> None:
    """Waits that stay open; the oldest are cancelled."""
    said: set[int] = set()
    while True:
        run = await runtime.trigger("parked", new=True)
        say("ack run", run.run_id)
        waits = {int(wait.run_id or 0) for wait in await runtime.waits() if wait.dag == "parked"}
        for each in sorted(waits - said):
            say("ack wait", each)
        said |= waits
        for each in sorted(waits)[:-PARKED]:
            await RunHandle(runtime, each).cancel()
            say("ack cancelled", each)


async def works(db: Path, level: Literal["FULL", "NORMAL"]) -> None:
    async with Runtime(db, declared(say), synchronous=level, watchdog=False) as runtime:
        say("open")
        async with asyncio.TaskGroup() as group:
            for _ in range(MAKERS):
                group.create_task(makes(runtime))
            group.create_task(parks(runtime))


# --- as PID 1 ----------------------------------------------------------------------------------------


def boots() -> None:
    """Nothing but this process: it mounts and loads for itself."""
    libc = ctypes.CDLL(None, use_errno=True)

    def must(result: int, what: str) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), what)

    for kind, at in (("devtmpfs", "/dev"), ("proc", "/proc")):
        Path(at).mkdir(exist_ok=True)
        must(libc.mount(kind.encode(), at.encode(), kind.encode(), 0, None), f"mount {at}")
    for module in sorted(MODULES.iterdir()):
        image = module.read_bytes()
        must(libc.syscall(175, image, ctypes.c_ulong(len(image)), b""), str(module))  # init_module
    until = time.monotonic() + 20
    while not Path(DISK).exists() and time.monotonic() < until:
        time.sleep(0.01)
    tty.setraw(0)
    say("ready")
    _, level, now_ns = sys.stdin.readline().split()
    time.clock_settime_ns(time.CLOCK_REALTIME, int(now_ns))
    with Path(DISK).open("rb") as disk:
        fcntl.ioctl(disk, FLUSH_BUFFERS)  # the disk is not the one that the machine was started with
    DATA.mkdir()
    must(libc.mount(DISK.encode(), str(DATA).encode(), b"ext4", 0, None), "mount the disk")
    asyncio.run(works(DATA / "bide.db", cast('Literal["FULL", "NORMAL"]', level)))


def fails(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say why, and let it be read before the kernel says that it has lost its init."""
    say(f"failed {error!r}")
    say("".join(traceback.format_exception(kind, error, trace)))
    time.sleep(60)


def rehearses(folder: str) -> None:
    """A moment of the same on this machine: the files of all modules it has taken, one a line."""
    out, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)

    async def briefly() -> None:
        try:
            async with asyncio.timeout(2):
                await works(Path(folder) / "bide.db", "FULL")
        except TimeoutError:
            pass

    asyncio.run(briefly())
    os.dup2(out, 1)
    for module in list(sys.modules.values()):
        file: Any = getattr(module, "__file__", None)
        cached: Any = getattr(module, "__cached__", None)
        for each in (file, cached):
            if each and Path(each).exists():
                say(Path(each))
    for package in ("bide", "tzdata"):
        for part in importlib.metadata.files(package) or ():
            if ".dist-info" in str(part) or part.name == "UTC":
                say(part.locate())
    for zones in zoneinfo.TZPATH:
        if (Path(zones) / "UTC").exists():
            say(Path(zones) / "UTC")


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.excepthook = fails
        boots()
    else:
        rehearses(sys.argv[1])
