"""The world that is waited for: an HTTP API, a Kafka broker and a drop folder, all on this machine."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


class World:
    """Not ready at first; `come_true` makes it all so."""

    def __init__(self, folder: Path) -> None:
        self.drops = folder / "drops"
        self.drops.mkdir()
        self.ready = False
        self.api = ""
        self.kafka = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """`GET /status`, for as long as the client likes."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                body = json.dumps({"state": "ready" if self.ready else "closed"}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def come_true(self) -> None:
        (self.drops / "orders.csv").write_text("id\n1\n2\n")
        self.ready = True
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka)
        await producer.start()
        try:
            for _ in range(100):
                await producer.send("orders", b"order")
            await producer.flush()
        finally:
            await producer.stop()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def create_topic(kafka: str, port: int) -> None:
    """Once the broker listens."""
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            break
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("orders", 1, 1)])
    finally:
        await admin.close()


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """Start it; end it with the block."""
    world = World(folder)
    server = await asyncio.start_server(world.answer, "127.0.0.1", 0)
    world.api = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    port = free_port()
    world.kafka = f"127.0.0.1:{port}"
    beside = Path(sys.executable).with_name("noida-db")
    program = str(beside) if beside.exists() else shutil.which("noida-db")
    if program is None:
        raise SystemExit("noida-db, the demo's Kafka broker, is not installed: run `make demo`")
    broker = await asyncio.create_subprocess_exec(
        program, "start", "--data-dir", str(folder / "kafka"), "--only", "kafka", "--kafka-port", str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await create_topic(world.kafka, port)
        yield world
    finally:
        server.close()
        broker.terminate()
        await broker.wait()
