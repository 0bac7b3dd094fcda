"""200 signed webhooks a second over HTTP, each acknowledged when its run is durable; every run is carried out.

The sender is a process of its own (this module, run as one): it sends on time, whether or not what it sent
before is answered, and a latency counts from the instant at which a delivery was due. `bare` is one durable
commit of the same rows at the same pace, with nothing in front of it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time

from benchmarks.limits import EVENT, INSTANCE_NEW, RUN_NEW, bare_store, now_us
from benchmarks.measure import LoopLag, quantile, scratch
from bide import Runtime, dag, task
from bide.hooks import StandardWebhooks, Webhook

PER_S, MEASURED_S, WARM = 200, 10, 100
_KEPT_S = 2.0  # the service closes what is idle for five
SECRET = base64.b64encode(b"a secret of thirty-two bytes....").decode()


@task
async def take(order: str) -> str:
    return order


@dag(params={"order": ""}, max_active_runs=64)
def orders() -> None:
    take(order="{{ params.order }}")


async def delivered() -> dict[str, float]:
    from bide.runtime.service.http_server import serving
    from bide.runtime.service.listen import Listener

    os.environ["BENCH_WHSEC"] = f"whsec_{SECRET}"
    hook = Webhook(
        "orders", orders, scheme=StandardWebhooks("env:BENCH_WHSEC"), params={"order": "$.order.id"}
    )
    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[orders], hooks=[hook], slots=64) as rt:
            listener = Listener(folder / "s")
            async with serving(listener.socket, rt.asgi), LoopLag() as lag:
                child = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "benchmarks.rows.webhook", str(listener.path),
                    stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                out, _ = await child.communicate()
            listener.close()
            await rt.settled()
            lines = await rt.operations.runs(limit=100_000)
            figures: dict[str, float] = json.loads(out)
            assert len(lines) == figures["acknowledged"], (len(lines), figures)
            figures["left"] = sum(line.state != "success" for line in lines)
    return {**figures, "lag_p99_ms": lag.p99}


class Sender:
    """Connections that are kept; one carries one delivery at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, number: int) -> int:
        """The status of the answer."""
        while self._free:
            idle_since, reader, writer = self._free.pop()
            if time.perf_counter() - idle_since < _KEPT_S:
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_unix_connection(self._path)
        writer.write(self._request(number))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self._free.append((time.perf_counter(), reader, writer))
        return int(head.split(b" ", 2)[1])

    def _request(self, number: int) -> bytes:
        body = b'{"order":{"id":"o-%d","lines":[%s]}}' % (number, b",".join([b'{"sku":"a","n":1}'] * 20))
        stamp = int(time.time())
        signed = b"m-%d.%d." % (number, stamp) + body
        mac = base64.b64encode(hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest())
        return (
            b"POST /hooks/orders HTTP/1.1\r\nHost: bide\r\nContent-Type: application/json\r\n"
            b"webhook-id: m-%d\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%s\r\nContent-Length: %d\r\n\r\n%s"
            % (number, stamp, mac, len(body), body)
        )


async def send(path: str) -> dict[str, float]:
    sender = Sender(path)
    took: list[float] = []
    statuses: list[int] = []

    async def one(number: int, due: float) -> None:
        statuses.append(await sender.send(number))
        took.append((time.perf_counter() - due) * 1e3)

    began = time.perf_counter() + 0.05
    total = WARM + PER_S * MEASURED_S
    async with asyncio.TaskGroup() as group:
        for number in range(total):
            due = began + number / PER_S
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(one(number, due))
            if number == WARM:
                took.clear()
    seconds = time.perf_counter() - began
    assert set(statuses) == {201}, set(statuses)
    return {
        "per_s": total / seconds, "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "worst_ms": max(took),
        "acknowledged": len(statuses),
    }  # fmt: skip


async def bare() -> dict[str, float]:
    """The run, its instance and its journal, durable: one commit a delivery, at the same pace."""
    took: list[float] = []
    with scratch() as folder:
        async with bare_store(folder) as store:
            began = time.perf_counter() + 0.05
            for number in range(2, 2 + PER_S * MEASURED_S // 2):
                due = began + number / PER_S
                await asyncio.sleep(due - time.perf_counter())
                at = now_us()
                start = time.perf_counter()
                await store.commit(
                    [
                        (RUN_NEW, [(number, f"k{number}", number, at)]),
                        (INSTANCE_NEW, [(number, number, "take", -1, "ready", at)]),
                        (EVENT, store.events([number] * 4, "run", "", "running", at)),
                    ]
                )
                took.append((time.perf_counter() - start) * 1e3)
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "worst_ms": max(took)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(send(sys.argv[1]))))
