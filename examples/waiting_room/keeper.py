"""The process that is killed: a bide runtime on a database, which tells once in a while how it is.

    python -m examples.waiting_room.keeper DB

Speaks JSON, a line a message: `Told` on stdout, `Asked` on stdin.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from bide import Runtime
from bide.runtime.graph.load import load_paths
from examples.waiting_room.room import now_us

SLOTS = 8
TELL_S, SAMPLE_S = 0.05, 0.01
FOUR = ("orders", "prices", "payments", "warehouse")


class Looked(msgspec.Struct, frozen=True):
    """The last look of a wait."""

    at_us: int | None
    answer: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How the runtime is; `slots_most` and `samples` since the last line."""

    at_us: int
    epoch: int
    armed: int
    slots: int
    slots_most: int
    samples: int
    memory: int
    looks: dict[str, Looked] = {}
    reply: Any = None
    said: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`trigger`: all of `runs`, each a DAG, a date and parameters; answered when
    at least `armed` waits are watched. `why`: of a task of a run. `stop`."""

    verb: str
    runs: list[tuple[str, str, dict[str, Any]]] = []
    armed: int = 0
    run: str = ""
    task: str = ""


class Desk:
    """Answers, samples the slots, and tells."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.most = self.samples = 0
        self.waits: dict[str, int] = {}

    async def answer(self, asked: Asked) -> Any:
        runtime = self.runtime
        if asked.verb == "trigger":
            runs = [
                runtime.trigger(dag, logical_date=date, params=params) for dag, date, params in asked.runs
            ]
            ids = [run.run_id for run in await asyncio.gather(*runs)]
            await runtime.settled()
            while runtime.armed < asked.armed:
                await asyncio.sleep(0.001)
            return ids
        return (await runtime.operations.why(asked.run, asked.task)).why

    async def know_waits(self) -> None:
        """Find the four waits that the picture names: they are the first of the run."""
        found = await self.runtime.waits()
        self.waits = {wait.task: int(wait.id) for wait in found if wait.task in FOUR}

    def tell(self, said: str = "", reply: Any = None) -> None:
        runtime = self.runtime
        looks = {task: runtime.look(wait) for task, wait in self.waits.items()}
        told = Told(
            at_us=now_us(),
            epoch=runtime.epoch,
            armed=runtime.armed,
            slots=runtime.slots_in_use,
            slots_most=max(self.most, runtime.slots_in_use),
            samples=self.samples + 1,
            memory=memory(),
            looks={task: Looked(look.at_us, look.answer) for task, look in looks.items() if look},
            reply=reply,
            said=said,
        )
        self.most = self.samples = 0
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()

    async def go_on_telling(self) -> None:
        while True:
            for _ in range(int(TELL_S / SAMPLE_S)):
                await asyncio.sleep(SAMPLE_S)
                self.most = max(self.most, self.runtime.slots_in_use)
                self.samples += 1
            self.tell()


def memory() -> int:
    """Bytes of this process that are in memory; where there is no /proc, the most that ever were."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def keep(db: str) -> None:
    for library in ("httpx", "aiokafka"):  # so that what the run adds to memory is the run
        import_module(library)
    found = load_paths([str(Path(__file__).with_name("room.py"))])
    for file, error in found.errors.items():
        raise SystemExit(f"{file}: {error}")
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Runtime(db, found.dags, slots=SLOTS) as runtime:
        desk = Desk(runtime)
        desk.tell("ready")
        gc.freeze()  # the libraries stay: looking through them again would stop the loop for 50 ms
        await desk.know_waits()
        telling = asyncio.create_task(desk.go_on_telling(), name="telling")
        try:
            while line := await lines.readline():
                asked = msgspec.json.decode(line, type=Asked)
                if asked.verb == "stop":
                    break
                reply = await desk.answer(asked)
                desk.tell("reply", reply)
                if not desk.waits:
                    await desk.know_waits()
        finally:
            telling.cancel()


if __name__ == "__main__":
    asyncio.run(keep(sys.argv[1]))
