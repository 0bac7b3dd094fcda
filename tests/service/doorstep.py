"""A runtime behind its edge on a real TCP port of the loopback, and somebody who asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bide import Runtime, dag, task
from bide.runtime.service import tcp
from bide.runtime.service.http_server import serving


@task
async def quick() -> int:
    return 1


@dag
def one() -> None:
    quick()


class Doorstep:
    """`ask("GET", "/api/v1/dags", token)`: the answer, as it comes over TCP."""

    def __init__(self, rt: Runtime, url: str, app: Any) -> None:
        self.rt, self.url, self.app = rt, url, app
        self.port = int(url.rpartition(":")[2])
        self.client = httpx.AsyncClient(base_url=url, timeout=20)

    async def token(self, name: str, scope: str, expires: str | None = None) -> str:
        return (await self.rt.operations.tokens.create(name, scope, expires)).token

    async def ask(self, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.request(method, path, headers=headers, **more)

    async def raw(self, text: str) -> list[str]:
        """The lines of what comes back for these very bytes, until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text.encode())
        try:
            async with asyncio.timeout(20):
                return (await reader.read()).decode().split("\r\n")
        finally:
            writer.close()


def problem(answer: httpx.Response, status: int) -> str:
    """What a refusal says; it is a problem with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = msgspec.json.decode(answer.content)
    assert found["status"] == status
    assert set(found) >= {"type", "title", "detail", "code"}
    return str(found["detail"])


def everything(folder: Path) -> bytes:
    """All that stands in the files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@asynccontextmanager
async def doorstep(
    db: Path, host: str = "127.0.0.1", names: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[Doorstep]:
    [(place, at)] = tcp.bound(tcp.looked_up(tcp.Asked(host, 0, names)))
    async with Runtime(db, dags=[one()]) as rt:
        app = rt.asgi.now()
        async with serving(at, app, hosts=place.hosts, **options):
            step = Doorstep(rt, tcp.url_of(at).replace("0.0.0.0", "127.0.0.1"), app)
            async with step.client:
                yield step
    at.close()
