"""A real HTTP/1.1 server on a free port, whose every path misbehaves as it is told.

`server.on("/a", reply(200, b"ok"))`; each behaviour writes to the socket itself, so it can be as
wrong as a peer can be. The server keeps what it was asked, and how many requests were under way
at once.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request as it came in; `at` is monotonic seconds."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Behaviour = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class HttpServer:
    """Starts with `await start()`; `url("/path")` is where it listens."""

    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._paths: dict[str, Behaviour] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Answer `path` so; several behaviours are used in turn, the last for ever. The url."""
        turns = list(behaviours)

        async def in_turn(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await (turns.pop(0) if len(turns) > 1 else turns[0])(asked, writer)

        self._paths[path] = in_turn
        return self.url(path)

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def count(self, path: str) -> int:
        return sum(1 for one in self.asked if one.path == path)

    async def start(self) -> HttpServer:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method, path, headers, body, time.monotonic())
        self.asked.append(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._paths.get(path.partition("?")[0], reply(404, b"no such path"))(asked, writer)
            await writer.drain()
        finally:
            self.in_flight -= 1
        return not writer.is_closing()


def reply(
    status: int = 200, body: bytes | str | Any = b"", headers: Mapping[str, str] | None = None
) -> Behaviour:
    """An honest answer; what is not text or bytes is sent as JSON."""
    sent = dict(headers or {})
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
        sent.setdefault("content-type", "application/json")
    data = body.encode() if isinstance(body, str) else body

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        bare = asked.method == "HEAD" or status in (204, 304)
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in sent.items())]
        if status not in (204, 304):
            lines.append(f"content-length: {len(data)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if bare else data))

    return behave


def raw(data: bytes, *, then_close: bool = True) -> Behaviour:
    """These bytes, whatever they are."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then_close:
            writer.close()

    return behave


def late(delay: float, behaviour: Behaviour) -> Behaviour:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        await behaviour(asked, writer)

    return behave


def dripping(data: bytes, every: float) -> Behaviour:
    """One byte at a time: the slow loris."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(every)

    return behave


def black_hole() -> Behaviour:
    """Takes the request and never answers."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return behave


def reset(after: bytes = b"") -> Behaviour:
    """Sends `after`, then a TCP reset."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        await writer.drain()
        if after:
            await asyncio.sleep(0.05)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


def endless(piece: bytes = b"x" * 65536, head: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Behaviour:
    """A body without end, as fast as it is taken."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return behave


def gzipped(data: bytes, *, cut: int | None = None) -> Behaviour:
    packed = gzip.compress(data)[:cut]
    return reply(200, packed, {"content-encoding": "gzip"})


def redirect(to: str, status: int = 302) -> Behaviour:
    return reply(status, b"", {"location": to})


def with_etag(body: Any, etag: str = '"v1"') -> Behaviour:
    """Honours If-None-Match."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        same = asked.headers.get("if-none-match") == etag
        await reply(304 if same else 200, b"" if same else body, {"etag": etag})(asked, writer)

    return behave


def unused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
