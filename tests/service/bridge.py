"""A runtime on a loop of its own in a thread, its REST app callable from any loop: for clients that bring theirs."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import requests
import requests.adapters
import urllib3
from starlette.types import ASGIApp, Receive, Scope, Send

from bide import Dag, Runtime
from bide.runtime.service.api import make_app

T = TypeVar("T")
HOST: Final = "testserver"


class Straight(requests.adapters.HTTPAdapter):
    """Answers the requests of a session by an app over its bridge: no socket, no loop of the client's."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        status, headers, content = self._bridge.asked(request)
        told = urllib3.HTTPHeaderDict()
        for name, value in headers:
            told.add(name, value)
        raw = urllib3.HTTPResponse(
            io.BytesIO(content),
            told,
            status,
            version=11,
            preload_content=False,
            request_method=request.method,
        )
        return self.build_response(request, raw)


class Bridge:
    """The app of a runtime, as any loop may call it: whole requests over, whole answers back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, runtime: Runtime, app: ASGIApp) -> None:
        self._loop, self.runtime, self._app = loop, runtime, app

    def there(self, what: Coroutine[Any, Any, T]) -> T:
        """Carry something out in the runtime's own loop."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    def asked(self, request: requests.PreparedRequest) -> tuple[int, list[tuple[str, str]], bytes]:
        """What a whole request is answered, from any thread: status, headers, body."""
        parts = urlsplit(str(request.url))
        body = request.body or b""
        assert isinstance(body, bytes | str)
        headers = [
            (name.lower().encode("latin-1"), _octets(value)) for name, value in request.headers.items()
        ]
        if "host" not in request.headers:
            headers.append((b"host", HOST.encode()))
        scope = {
            "type": "http", "http_version": "1.1", "method": request.method, "scheme": "http", "root_path": "",
            "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
            "headers": headers, "client": ("testclient", 50000), "server": (HOST, 80),
        }  # fmt: skip
        start, *rest = self.there(self._carry(scope, body.encode() if isinstance(body, str) else body))
        told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return start["status"], told, b"".join(part.get("body", b"") for part in rest)

    def session(self) -> requests.Session:
        """Its requests are answered by the app."""
        made = requests.Session()
        made.trust_env = False  # else a proxy and a .netrc are looked for at every request
        made.mount("http://", Straight(self))
        return made

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


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


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
