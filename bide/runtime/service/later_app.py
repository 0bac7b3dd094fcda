"""An ASGI app that is made when it is first asked, in a thread: the imports it costs do not hold a host's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LaterApp:
    """Made once, whoever asks first; the others wait for it. The thread ends with the making."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None
        self._making: asyncio.Future[ASGIApp] | None = None

    def now(self) -> ASGIApp:
        """The app, made here if nobody has yet."""
        if self._app is None:
            self._app = self._make()
        return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app or await self._made()
        await app(scope, receive, send)

    async def _made(self) -> ASGIApp:
        if self._making is None:
            thread = ThreadPoolExecutor(1, thread_name_prefix="bide makes its app")
            self._making = asyncio.wrap_future(thread.submit(self.now))
            thread.shutdown(wait=False)
        return await asyncio.shield(self._making)
