"""A runtime with hooks, and a sender that talks to its app."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from bide import Param, Runtime, dag, task
from bide.hooks import CloudEvents, Webhook
from bide.runtime.clock import SECOND
from bide.runtime.service.api import make_app
from bide.testing import SimClock
from tests.hooks.signed import OTHER, SECRET, WHSEC


@dag(params={"branch": Param("main", max_length=40), "count": Param(1, ge=1), "note": None})
def build() -> None:
    @task
    def compiled(branch: str) -> str:
        return branch

    compiled(branch="{{ params.branch }}")


@dag(params={"order": Param(type=str)})
def load() -> None:
    @task
    def loaded() -> None: ...

    loaded()


class House:
    """A runtime at a clock of the test's, and its app."""

    def __init__(self, rt: Runtime, client: httpx.AsyncClient, clock: SimClock) -> None:
        self.rt, self.client, self.clock = rt, client, clock

    @property
    def seconds(self) -> int:
        return self.clock.now() // SECOND

    async def post(
        self, path: str, body: bytes = b"", headers: dict[str, str] | list[tuple[str, str]] | None = None
    ) -> httpx.Response:
        return await self.client.post(path, content=body, headers=headers)

    async def runs(self) -> list[tuple[str, dict[str, Any]]]:
        """(DAG, parameters) of every run, the oldest first."""
        found = await self.rt.store.read(
            lambda conn: conn.execute(
                "SELECT d.name, r.params FROM run r JOIN dag d USING (dag_id) ORDER BY run_id"
            ).fetchall()
        )
        return [(name, json.loads(params)) for name, params in found]

    async def deliveries(self) -> list[tuple[str, str, int]]:
        """(hook, outcome, times) of what is known, in order."""
        sql = "SELECT hook, outcome, times FROM hook_delivery ORDER BY delivery_id"
        return [(str(hook), str(outcome), int(times)) for hook, outcome, times in await self.rows(sql)]

    async def close(self) -> None:
        await self.rt.__aexit__(None, None, None)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.rt.store.read(lambda conn: conn.execute(sql).fetchall())


Opens = Callable[..., Awaitable[House]]


@pytest.fixture
async def opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opens]:
    """`await opens(hook, ...)`: a house with these hooks; the same database every time."""
    for name, value in {"HOOK_SECRET": SECRET, "HOOK_OTHER": OTHER, "HOOK_WHSEC": WHSEC}.items():
        monkeypatch.setenv(name, value)
    async with AsyncExitStack() as stack:

        async def house(*hooks: Webhook | CloudEvents, dags: Sequence[Any] = (build, load)) -> House:
            clock = SimClock("2026-06-15T00:00")
            rt = await stack.enter_async_context(
                Runtime(tmp_path / "bide.db", list(dags), clock=clock, hooks=hooks, synchronous="NORMAL")
            )
            app = make_app(rt.operations, lambda: "", hooks=rt.desk)
            transport = httpx.ASGITransport(app)
            client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
            return House(rt, await stack.enter_async_context(client), clock)

        yield house
