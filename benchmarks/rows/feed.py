"""1,000 events/s: from their commit to a client of the live feed, over a real unix socket.

The client is a process of its own and stamps each event when it has read it; the clock is the machine's
monotonic one, the same in both. Run as a module it is that client.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.limits import EVENT, Rows, bare_store, now_us
from benchmarks.measure import LoopLag, quantile, rss, scratch
from bide import Runtime, dag, task

EVENTS_PER_S, MEASURED_S, WARM_S = 1_000, 8, 2
EVENTS_A_RUN = 9


@task
async def nothing() -> None: ...


@dag
def one() -> None:
    nothing()


class Client:
    """The client's process, and what it has read."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    async def arrived(self) -> dict[int, float]:
        """Event -> when it had been read. Ends the client."""
        self._child.terminate()
        out, _ = await self._child.communicate()
        return {int(seq): at for seq, at in json.loads(out).items()}


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[Client]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.feed", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert (await child.stdout.readline()).startswith(b"listening")
    try:
        yield Client(child)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def paced(each: Callable[[], object], per_s: float, for_s: float) -> None:
    """Call `each` so often, however late a turn of the loop is."""
    began = time.perf_counter()
    for n in range(int(per_s * for_s)):
        await asyncio.sleep(max(0.0, began + n / per_s - time.perf_counter()))
        each()


def figures(committed: dict[int, float], arrived: dict[int, float], since: float) -> dict[str, float]:
    measured = {seq: at for seq, at in committed.items() if at >= since}
    missing = measured.keys() - arrived.keys()
    assert not missing, f"{len(missing)} events never came"
    late = [(arrived[seq] - at) * 1e3 for seq, at in measured.items()]
    took = max(measured.values()) - min(measured.values())
    return {
        "p50_ms": quantile(late, 0.5),
        "p99_ms": quantile(late, 0.99),
        "events_per_s": len(late) / took,
    }


async def told() -> dict[str, float]:
    """A runtime as `bide serve` opens it, with one client that follows everything."""
    from bide.runtime.service.http_server import serving
    from bide.runtime.service.listen import Listener

    committed: dict[int, float] = {}
    with scratch() as folder:
        listener = Listener(folder / "s")
        async with (
            Runtime(db=folder / "bide.db", dags=[one], slots=256) as rt,
            serving(listener.socket, rt.asgi, rt.end_streams),
            client(listener.path) as follower,
        ):
            rt._shell.listeners.insert(  # right after the commit, before anybody is told
                0,
                lambda changes: committed.update(
                    dict.fromkeys((row[0] for row in changes.events), time.perf_counter())
                ),
            )
            going: set[asyncio.Task[object]] = set()

            def trigger() -> None:
                made = asyncio.create_task(rt.trigger(one), name="trigger")
                going.add(made)
                made.add_done_callback(going.discard)

            await paced(trigger, EVENTS_PER_S / EVENTS_A_RUN, WARM_S)
            since = time.perf_counter()
            async with LoopLag() as lag:
                await paced(trigger, EVENTS_PER_S / EVENTS_A_RUN, MEASURED_S)
            await rt.settled()
            await asyncio.sleep(0.5)
            found = figures(committed, await follower.arrived(), since)
        listener.close()
    return {**found, "lag_p99_ms": lag.p99}


async def bare() -> dict[str, float]:
    """The limit: the same rows in as many commits, written to the socket as soon as each has landed."""
    committed: dict[int, float] = {}
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 0\n\n")
        writers.append(writer)

    with scratch() as folder:
        async with (
            bare_store(folder) as store,
            await asyncio.start_unix_server(accept, str(folder / "s")),
            client(folder / "s") as follower,
        ):
            inbox: list[int] = []
            wake = asyncio.Event()

            async def write() -> None:
                while True:
                    await wake.wait()
                    wake.clear()
                    rows: Rows = []
                    for _ in range(len(inbox)):
                        rows += store.events(range(EVENTS_A_RUN), "instance", "ready", "running", now_us())
                    inbox.clear()
                    await store.commit([(EVENT, rows)])
                    at = time.perf_counter()
                    committed.update(dict.fromkeys((row[0] for row in rows), at))
                    for writer in writers:
                        writer.write(
                            b"".join(
                                b"id: %d\ndata: %s\n\n" % (row[0], json.dumps(row).encode()) for row in rows
                            )
                        )

            def trigger() -> None:
                inbox.append(1)
                wake.set()

            task = asyncio.create_task(write(), name="write")
            await paced(trigger, EVENTS_PER_S / EVENTS_A_RUN, WARM_S)
            since = time.perf_counter()
            await paced(trigger, EVENTS_PER_S / EVENTS_A_RUN, MEASURED_S)
            await asyncio.sleep(0.5)
            found = figures(committed, await follower.arrived(), since)
            task.cancel()
            for writer in writers:
                writer.close()
    return found


READERS = 1_000


async def crowd() -> dict[str, float]:
    """1,000 readers at once: what they cost in memory, and what the loop feels while they are told."""
    from bide.runtime.service.http_server import serving
    from bide.runtime.service.listen import Listener

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with scratch() as folder:
        listener = Listener(folder / "s")
        async with (
            Runtime(db=folder / "bide.db", dags=[one], slots=256) as rt,
            serving(listener.socket, rt.asgi, rt.end_streams),
        ):
            await (await rt.trigger(one)).wait()
            warm = await asyncio.open_unix_connection(str(listener.path))
            warm[1].write(b"GET /api/v1/events HTTP/1.1\r\nHost: bide\r\n\r\n")
            await warm[0].readuntil(b"id: ")
            before = rss()
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.rows.feed", str(listener.path), str(READERS),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert child.stdout is not None
            assert (await child.stdout.readline()).startswith(b"listening")
            idle = rss()
            async with LoopLag() as lag:
                for _ in range(100):
                    await (await rt.trigger(one)).wait()
                    await asyncio.sleep(0.05)
            told = rss()
            child.kill()
            await child.wait()
            warm[1].close()
        listener.close()
    return {
        "kb_each": (idle - before) / READERS / 1024,
        "more_mb": (told - idle) / 1e6,
        "lag_p99_ms": lag.p99,
    }


def connected(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    made.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: bide\r\n\r\n")
    return made


def listen(path: str) -> None:
    arrived: dict[int, float] = {}
    try:
        with connected(path).makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"id: "):
                    arrived[int(line[4:])] = time.perf_counter()
                    if len(arrived) == 1:
                        print("listening", flush=True)
    except SystemExit:
        print(json.dumps(arrived), flush=True)


def listen_all(path: str, many: int) -> None:
    """So many connections, read as they have something."""
    import selectors

    found = selectors.DefaultSelector()
    for _ in range(many):
        one = connected(path)
        one.recv(65536)
        found.register(one, selectors.EVENT_READ)
    print("listening", flush=True)
    while True:
        for key, _ in found.select():
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(65536)


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if len(sys.argv) > 2:
        listen_all(sys.argv[1], int(sys.argv[2]))
    else:
        listen(sys.argv[1])
