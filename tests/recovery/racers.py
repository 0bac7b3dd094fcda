"""Processes that race for one database, for the test of the lock.

    python -m tests.recovery.racers DB RACES RACERS lock|runtime

A warm process forks the racers of each race; they wait at one barrier, then all want the database.
The winner holds it until every other has given up. One line of JSON a racer on stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time

from bide.runtime.clock import SystemClock
from bide.runtime.errors import StoreHeldError
from bide.runtime.store.lock import Lock
from tests.recovery.warm import rehearsed


async def as_runtime(db: str, barrier: int, hold: int) -> None:
    from bide import Runtime

    os.read(barrier, 1)
    began = time.monotonic()
    try:
        async with Runtime(db):
            tell(True, began, "")
            os.read(hold, 1)
    except StoreHeldError as error:
        tell(False, began, str(error))


async def alone(db: str) -> None:
    from bide import Runtime

    async with Runtime(db):
        pass


def as_lock(db: str, barrier: int, hold: int) -> None:
    os.read(barrier, 1)
    began = time.monotonic()
    try:
        with asyncio.run(Lock(db).acquire("runtime", SystemClock())):
            tell(True, began, "")
            os.read(hold, 1)
    except StoreHeldError as error:
        tell(False, began, str(error))


OUT = 1


def tell(won: bool, began: float, said: str) -> None:
    line = {"pid": os.getpid(), "won": won, "ms": round((time.monotonic() - began) * 1000), "said": said}
    os.write(OUT, json.dumps(line).encode() + b"\n")


def race(db: str, racers: int, kind: str) -> None:
    """One race. A read of the barrier or the hold returns when this process closes its end."""
    global OUT
    barrier, go = os.pipe()
    hold, done = os.pipe()
    answers, OUT = os.pipe()
    pids = []
    for _ in range(racers):
        pid = os.fork()
        if pid:
            pids.append(pid)
            continue
        os.close(go)
        os.close(done)
        os.close(answers)
        signal.alarm(30)
        if kind == "lock":
            as_lock(db, barrier, hold)
        else:
            asyncio.run(as_runtime(db, barrier, hold))
        os._exit(0)
    os.close(OUT)
    os.close(go)
    with os.fdopen(answers) as lines:
        for _ in range(racers):
            print(lines.readline(), end="", flush=True)
    os.close(done)
    for pid in pids:
        os.waitpid(pid, 0)
    for fd in (barrier, hold):
        with contextlib.suppress(OSError):
            os.close(fd)


if __name__ == "__main__":
    path, times, crowd, what = sys.argv[1:]
    if what == "runtime":
        with tempfile.TemporaryDirectory() as folder:
            rehearsed(lambda: asyncio.run(alone(f"{folder}/b.db")))
    for _ in range(int(times)):
        race(path, int(crowd), what)
