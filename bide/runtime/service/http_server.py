"""Serves the REST app on a socket within the runtime's own loop: no signals, no ticks, no log of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bide.runtime.service.feed_api import ABORT

_GRACE_S: Final = 5


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


class _Abortable(H11Protocol):
    """Closing waits for the peer to take what was written: who never does is got rid of by `ABORT`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def abortable(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[ABORT] = transport.abort
            await app(scope, receive, send)

        self.app = abortable


@asynccontextmanager
async def serving(
    listener: socket.socket, app: ASGIApp, ending: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Answers on `listener` from entry to exit; requests under way get a few seconds at the end.

    `ending()` ends what would not end by itself, before they are waited for.
    """
    config = uvicorn.Config(
        app,
        http=_Abortable,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _QuietServer(config)
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
