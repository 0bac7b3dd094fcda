"""1,000 HTTP waits on 100 URLs of one origin, every 5 s: what the server sees, and what the loop feels.

Run as a module it is the server, in a process of its own: every URL answers "not yet" after 50 ms;
`/stats` answers what came since the last `/stats`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta

import httpx

from benchmarks.measure import LoopLag, scratch
from benchmarks.rows.waits import armed
from bide import Runtime, dag
from bide.sensors import HttpSensor

WAITS, URLS, PERIOD_S, MEASURED_S = 1000, 100, 5, 15


class Server:
    def __init__(self) -> None:
        self.seen = self.in_flight = self.most = 0
        self.since = time.perf_counter()

    def stats(self) -> bytes:
        took = time.perf_counter() - self.since
        body = json.dumps({"requests_per_s": self.seen / took, "in_flight": self.most}).encode()
        self.seen = self.most = 0
        self.since = time.perf_counter()
        return body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /stats"):
                    body = self.stats()
                else:
                    self.seen += 1
                    self.in_flight += 1
                    self.most = max(self.most, self.in_flight)
                    await asyncio.sleep(0.05)
                    self.in_flight -= 1
                    body = b"not yet"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def server() -> None:
    listening = await asyncio.start_server(Server().serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


async def polled() -> dict[str, float]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.http", stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    origin = f"http://127.0.0.1:{int(await child.stdout.readline())}"

    @dag
    def waiting() -> None:
        for i in range(WAITS):
            HttpSensor(
                f"w{i}",
                url=f"{origin}/{i % URLS}",
                contains="ready",
                poll_interval=timedelta(seconds=PERIOD_S),
            )

    try:
        with scratch() as folder:
            async with (
                Runtime(db=folder / "bide.db", dags=[waiting], slots=256) as rt,
                httpx.AsyncClient() as client,
            ):
                run = await rt.trigger(waiting)
                await armed(folder / "bide.db", WAITS)
                await asyncio.sleep(PERIOD_S)
                first = (await client.get(f"{origin}/stats")).json()
                async with LoopLag() as lag:
                    await asyncio.sleep(MEASURED_S)
                figures: dict[str, float] = (await client.get(f"{origin}/stats")).json()
                await run.cancel()
    finally:
        child.terminate()
        await child.wait()
    figures["in_flight"] = max(figures["in_flight"], first["in_flight"])
    return {**figures, "lag_p99_ms": lag.p99}


if __name__ == "__main__":
    asyncio.run(server())
