"""Serves the REST app on sockets within the runtime's own loop: no signals, no ticks, no log of its own.

What the edge cannot see is bounded here: how many connections there are, how long the head of a
request may take, how large it may be. Each connection says who is at its other end.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bide.runtime.service.caller import user_name
from bide.runtime.service.door_counts import CONNECTIONS as CONNECTIONS_USED_UP
from bide.runtime.service.door_counts import SLOW_HEAD, SLOW_READER
from bide.runtime.service.edge import HEADER_BYTES, PEER, TARGET_BYTES, Peer
from bide.runtime.service.feed import READERS, files
from bide.runtime.service.feed_api import ABORT
from bide.runtime.service.hosts import Hosts
from bide.runtime.service.refusals import Refusal

_GRACE_S: Final = 5
CONNECTIONS: Final = READERS + 256
"""At once, of a listener: readers of the feed keep theirs, the rest is for questions. One more is told so and closed."""
HEAD_S: Final = 10.0
"""How long a request may take to say what it wants, from its first byte, the first one of a connection from its opening."""
WRITE_S: Final = 30.0
"""In each so many seconds whoever has asked takes some of the answer (`LEAST_READ`), or is cut off."""
LEAST_READ: Final = 16 * 1024
Told = Callable[[str], None]
_PEERCRED: Final = struct.Struct("3i")


class _QuietServer(uvicorn.Server):
    """uvicorn wakes ten times a second to look at a flag; here an event ends it instead."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.end = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self.up.set()
        await self.end.wait()


class _Connection(H11Protocol):
    """One connection: counted, in time, and with a name.

    Closing waits for the peer to take what was written: who never does is got rid of by `ABORT`.
    """

    hosts: Hosts | None = None
    most: int = CONNECTIONS
    head_s: float = HEAD_S
    write_s: float = WRITE_S
    told: Told = staticmethod(lambda _: None)
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _left = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self.told(CONNECTIONS_USED_UP)
            transport.write(_TOO_MANY)
            transport.close()
            self._watch()
            return
        app = self.app

        async def abortable(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[ABORT] = self._cut
            await app(scope, receive, send)

        self.app = abortable
        self.app_state = {**self.app_state, PEER: _peer(transport, self.hosts)}
        self._late = self.loop.call_later(self.head_s, self._too_late)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: Any = self.cycle  # None before the first request
        answering = cycle is not None and not cycle.response_complete
        if answering and self._late is not None:  # a request has its head
            self._late.cancel()
            self._late = None
        elif (
            not answering and self._late is None
        ):  # it has begun the next one, or goes on with what nobody reads
            self._late = self.loop.call_later(self.head_s, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._late, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _cut(self) -> None:
        """Who does not take what is written, an answer or the feed."""
        self.told(SLOW_READER)
        self.transport.abort()

    def _too_late(self) -> None:
        self.told(SLOW_HEAD)
        self.transport.close()
        self._watch()

    # --- what is written, and whether somebody takes it

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch(anew=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch(anew=True)

    def _watch(self, *, anew: bool = False) -> None:
        """What has been written and not sent is looked at from now on, until nothing is left of it."""
        if anew and self._unread is not None:
            self._unread.cancel()
            self._unread = None
        left = self.transport.get_write_buffer_size()
        if left and self._unread is None:
            self._left = left
            self._unread = self.loop.call_later(self.write_s, self._look)

    def _look(self) -> None:
        """Who takes little is waited for; of whom nothing has been seen for a whole time, the connection goes."""
        self._unread = None
        left, before = self.transport.get_write_buffer_size(), self._left
        if left > before - min(LEAST_READ, before):
            self._cut()
        else:
            self._watch()


def _peer(transport: asyncio.Transport, hosts: Hosts | None) -> Peer:
    """Who is at the other end: of a unix socket as the kernel has it, of TCP by its address."""
    sock: Any = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        pid, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        return Peer(user=user_name(uid), address=f"pid {pid}")
    there = transport.get_extra_info("peername")
    return Peer(address=str(there[0]) if there else "", hosts=hosts if hosts is not None else Hosts())


def _closing(refusal: Refusal) -> bytes:
    body = refusal.body
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_MANY: Final = _closing(
    Refusal(503, "Too many connections", "there are as many connections as may be: ask again", "UnreachableError")
)  # fmt: skip


def _config(app: ASGIApp, connection: type[_Connection]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        date_header=False,
        server_header=False,
        proxy_headers=False,  # who asks is whoever has connected, whatever a header says
        http=connection,
        ws="none",
        h11_max_incomplete_event_size=HEADER_BYTES + TARGET_BYTES,
        timeout_graceful_shutdown=_GRACE_S,
    )


@asynccontextmanager
async def serving(
    listener: socket.socket,
    app: ASGIApp,
    ending: Callable[[], None] = lambda: None,
    *,
    hosts: Hosts | None = None,
    most: int = CONNECTIONS,
    head_s: float = HEAD_S,
    write_s: float = WRITE_S,
    told: Told = lambda _: None,
) -> AsyncIterator[None]:
    """Answers on `listener` from entry to exit; requests under way get a few seconds at the end.

    `ending()` ends what would not end by itself, before they are waited for.
    `told` of what is refused below HTTP (`door_counts`). An answer that is not taken for `write_s` is cut off.
    `hosts`: the names that a TCP listener may be asked by. `most` connections at once, where so many files may be open.
    """
    most = min(most, files() * 3 // 4)
    if listener.family != socket.AF_UNIX:  # asyncio does it for sockets that say their protocol, and few do
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each connection has it from here
    limits = {"hosts": hosts, "most": most, "head_s": head_s, "write_s": write_s, "told": staticmethod(told)}
    connection = type("_Bounded", (_Connection,), limits)
    server = _QuietServer(_config(app, connection))
    task = asyncio.create_task(server.serve(sockets=[listener]), name="bide http")
    try:
        up = asyncio.create_task(server.up.wait(), name="bide http up")
        await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        yield
    finally:
        ending()
        server.end.set()
        await asyncio.wait({task}, timeout=_GRACE_S + 1)
        task.cancel()
