"""20 notices a second, each of a run that fails: from the commit of the alert to the signed webhook at its receiver.

The receiver is a process of its own (this module, run as one), which says of each message when it came; both
sides read the same monotonic clock. Alerts that are raised while a message is under way may go as one: each counts
from its own commit. `bare` posts the same bytes at the same pace to the same receiver, over one
connection that is kept, with nothing in front of it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.measure import LoopLag, quantile, scratch
from bide import Runtime, Secret, dag, task
from bide.notify import Route, Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PER_S, MEASURED_S, WARM = 20, 6, 10
TOTAL = WARM + PER_S * MEASURED_S
SECRET = base64.b64encode(b"a secret of thirty-two bytes....").decode()


@task(retries=0)
async def explode(n: int) -> None:
    raise ValueError(f"no orders of part {n}")


@dag(params={"n": 0}, max_active_runs=64)
def broken() -> None:
    explode("{{ params.n }}")


class Receiver:
    """Another process that answers 204 to each message; `came` has (its run, when), in order, once all are there."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process, self.port = process, port

    async def came(self) -> list[tuple[str, float]]:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            return [(run, at) for run, at in json.loads(await self._process.stdout.readline())]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.notices", stdout=asyncio.subprocess.PIPE, limit=2**24
    )
    assert process.stdout is not None
    try:
        yield Receiver(process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told() -> dict[str, float]:
    """Figures of what came, counted from the commit that the alert stands in."""
    os.environ["BENCH_WHSEC"] = f"whsec_{SECRET}"
    committed: dict[str, float] = {}

    def hear(changes: Any) -> None:
        now = time.monotonic()
        committed.update({str(row[3]): now for row in changes.alerts_new if row[3] is not None})

    with scratch() as folder:
        async with receiver() as there:
            route = Route(
                Webhook(f"http://127.0.0.1:{there.port}/ops", Secret("env:BENCH_WHSEC")), window=timedelta(0)
            )
            async with Runtime(db=folder / "bide.db", dags=[broken], notify=[route]) as rt, LoopLag() as lag:
                rt.hear(hear)
                await on_time(lambda n: rt.trigger("broken", params={"n": n}))
                came = await there.came()
    took = [(at - committed[run]) * 1e3 for run, at in came[WARM:]]
    return {
        "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "worst_ms": max(took),
        "received": len({run for run, _ in came}), "lag_p99_ms": lag.p99,
    }  # fmt: skip


async def bare() -> dict[str, float]:
    import httpx

    posted: dict[str, float] = {}
    body = {"type": "bide.failure", "data": {"text": "x" * 600, "alerts": [{"run_id": ""}]}}
    async with receiver() as there, httpx.AsyncClient(base_url=f"http://127.0.0.1:{there.port}") as client:

        async def post(n: int) -> None:
            body["data"]["alerts"][0]["run_id"] = str(n)  # type: ignore[index]
            posted[str(n)] = time.monotonic()
            await client.post("/ops", content=json.dumps(body))

        await on_time(post)
        came = await there.came()
    took = [(at - posted[run]) * 1e3 for run, at in came[WARM:]]
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "worst_ms": max(took)}


async def on_time(one: Any) -> None:
    """`one(n)` at its instant, whether or not the one before is done."""
    began = time.monotonic() + 0.05
    async with asyncio.TaskGroup() as group:
        for number in range(TOTAL):
            await asyncio.sleep(began + number / PER_S - time.monotonic())
            group.create_task(one(number))


async def receive() -> None:
    """Its port on the first line, then, when all have come, (run, when) of each."""
    came: list[tuple[str, float]] = []
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next(line for line in lines if line.startswith(b"content-length:"))
                body = await reader.readexactly(int(length.partition(b":")[2]))
                now = time.monotonic()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                came.extend((each["run_id"], now) for each in json.loads(body)["data"]["alerts"])
                if len(came) >= TOTAL:
                    await writer.drain()
                    done.set()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await done.wait()
    print(json.dumps(came), flush=True)
    await asyncio.sleep(5)  # whoever has sent the last hears its answer; then the process is ended


if __name__ == "__main__":
    asyncio.run(receive())
