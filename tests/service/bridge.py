"""A runtime on a loop of its own in a thread, its REST app callable from any loop: for clients that bring theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from bide import Dag, Runtime
from bide.runtime.service.api import make_app

T = TypeVar("T")


class Bridge:
    """The app of a runtime, as any loop may call it: whole requests over, whole answers back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, runtime: Runtime, app: ASGIApp) -> None:
        self._loop, self.runtime, self._app = loop, runtime, app

    def there(self, what: Coroutine[Any, Any, T]) -> T:
        """Carry something out in the runtime's own loop."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        answer = asyncio.run_coroutine_threadsafe(self._carry(dict(scope), body), self._loop)
        for message in await asyncio.wrap_future(answer):
            await send(message)

    async def _carry(self, scope: MutableMapping[str, Any], body: bytes) -> list[MutableMapping[str, Any]]:
        told: list[MutableMapping[str, Any]] = []
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            told.append(message)

        await self._app(scope, receive, send)
        return told


@contextmanager
def bridged(db: Path, dags: Sequence[Dag]) -> Iterator[Bridge]:
    """From entry to exit of a runtime."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="bide bridge")
    thread.start()
    runtime = Runtime(db, dags)
    bridge = Bridge(loop, runtime, _nobody)
    try:
        bridge.there(runtime.__aenter__())
        try:
            yield Bridge(loop, runtime, make_app(runtime.operations, lambda: ""))
        finally:
            bridge.there(runtime.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the runtime has not been entered")
