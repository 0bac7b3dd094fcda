"""Health that means something: a loop that is held, a writer that hangs, a full disk, a start, a drain; and well again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from starlette.types import ASGIApp

from bide import Runtime, dag, task
from bide.runtime.engine.lag import Lag
from bide.runtime.service.api import make_app
from bide.runtime.service.probes import Probes
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.load import load_world

T = TypeVar("T")
PATHS = ("/livez", "/readyz", "/startupz", "/healthz")


@dag
def small() -> None:
    @task
    async def one() -> None: ...

    one()


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncIterator[Callable[..., Any]]:
    """`await ask("/livez")`: status and JSON."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bide") as client:

        async def ask(path: str) -> tuple[int, Any]:
            found = await client.get(path)
            assert found.headers["cache-control"] == "no-store"
            return found.status_code, json.loads(found.content)

        yield ask


def strict(rt: Runtime, limit_s: float) -> ASGIApp:
    """The app of a runtime with a limit that a test can wait for."""
    return make_app(rt.operations, rt._alive, probes=Probes(rt, limit_s))


async def states(ask: Callable[..., Any]) -> dict[str, int]:
    return {path: (await ask(path))[0] for path in PATHS}


async def test_a_runtime_that_is_well_says_so_and_of_what_that_consists(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [small]) as rt, asking(rt.asgi) as ask:
        assert await states(ask) == dict.fromkeys(PATHS, 200)
        assert await ask("/livez") == (200, {"ok": True})
        status, found = await ask("/livez?verbose")
        assert (status, found["ok"], [c["name"] for c in found["checks"]]) == (
            200,
            True,
            ["loop", "engine", "writer"],
        )
        assert "ms late at most" in found["checks"][0]["detail"]
        _, found = await ask("/healthz?verbose")
        assert [c["name"] for c in found["checks"]] == [
            "open",
            "engine",
            "disk",
            "draining",
            "loop",
            "writer",
        ]


async def test_a_loop_that_was_held_is_not_alive_until_it_has_been_on_time_again(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db") as rt, asking(strict(rt, 0.3)) as ask:
        rt._engine.lag = Lag(ticks=2)
        assert (await ask("/livez"))[0] == 200
        await asyncio.sleep(1.05)  # the watch of the clocks has begun another second
        threading.Event().wait(1.6)
        status, found = await ask("/livez")
        assert (status, found["code"]) == (503, "UnreachableError")
        assert "s late in the last ten seconds" in found["detail"]
        assert (await ask("/readyz"))[0] == 200
        async with asyncio.timeout(10):
            while (await ask("/livez"))[0] != 200:
                await asyncio.sleep(0.1)


async def test_a_writer_that_hangs_is_not_alive_until_it_commits_again(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [small]) as rt, asking(strict(rt, 0.2)) as ask:
        held = threading.Event()
        rt.store.hook = lambda step: held.wait(20) and None if step == "commit" else None  # type: ignore[attr-defined]
        run = asyncio.create_task(rt.trigger(small))
        await asyncio.sleep(0.05)
        status, found = await ask("/livez?verbose")
        wrong = {c["name"]: c["detail"] for c in found["checks"] if not c["ok"]}
        assert (status, list(wrong)) == (503, ["writer"])
        assert "no commit has come to its end for 0.2 s" in wrong["writer"]
        began = time.monotonic()
        assert (await ask("/livez"))[0] == 503
        assert time.monotonic() - began < 0.15, "what is known to hang is not waited for again"
        assert (await ask("/healthz"))[0] == 503
        held.set()
        await (await run).wait()
        assert (await ask("/livez"))[0] == 200


async def test_a_proof_that_several_wait_for_is_given_up_for_all_of_them(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [small]) as rt:
        held = threading.Event()
        rt.store.hook = lambda step: held.wait(20) and None if step == "commit" else None  # type: ignore[attr-defined]
        run = asyncio.create_task(rt.trigger(small))
        await asyncio.sleep(0.05)
        asking = [asyncio.create_task(rt.alive.proof(20)) for _ in range(2)]
        await asyncio.sleep(0.05)
        await rt.alive.close()  # the watchdog is fed no more, and somebody asks /livez
        assert {await each for each in asking} == {"the proof of life was given up: the runtime is stopping"}
        held.set()
        await (await run).wait()


async def test_a_probe_may_ask_by_head(tmp_path: Path) -> None:
    async with (
        Runtime(tmp_path / "bide.db", [small]) as rt,
        httpx.AsyncClient(transport=httpx.ASGITransport(rt.asgi), base_url="http://bide") as client,
    ):
        assert [(await client.head(path)).status_code for path in PATHS] == [200] * 4


async def test_a_full_disk_takes_no_work_and_is_no_death(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db") as rt, asking(rt.asgi) as ask:
        rt._engine.full = "the disk is full"
        assert await states(ask) == {"/livez": 200, "/readyz": 503, "/startupz": 200, "/healthz": 503}
        assert (await ask("/readyz"))[1]["detail"] == "the disk is full"
        rt._engine.full = ""
        assert await states(ask) == dict.fromkeys(PATHS, 200)


async def test_one_that_drains_is_alive_and_takes_no_work(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db") as rt, asking(rt.asgi) as ask:
        await rt.drain(1)
        assert await states(ask) == {"/livez": 200, "/readyz": 503, "/startupz": 200, "/healthz": 503}
        assert "starts nothing new" in (await ask("/readyz"))[1]["detail"]


class Slow(InlineWriter):
    """Its recovery waits for `go`."""

    go: asyncio.Event

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        if fn is load_world:
            await self.go.wait()
        return self.read_here(fn)


async def test_a_host_that_mounts_it_first_sees_it_start_recover_and_end(tmp_path: Path) -> None:
    """As a guest: the app exists before the runtime is opened."""
    store = Slow.open_here(tmp_path / "bide.db", create=True)
    store.go = asyncio.Event()
    rt = Runtime(tmp_path / "bide.db", store=store)
    async with asking(rt.asgi) as ask:
        starting = {"/livez": 200, "/readyz": 503, "/startupz": 503, "/healthz": 503}
        assert await states(ask) == starting
        assert (await ask("/startupz"))[1]["detail"] == "it is not open yet"
        opening = asyncio.create_task(rt.__aenter__())
        while "recovered" not in (await ask("/startupz"))[1]["detail"]:
            await asyncio.sleep(0)
        assert await states(ask) == starting
        store.go.set()
        await opening
        assert await states(ask) == dict.fromkeys(PATHS, 200)
        await rt.__aexit__(None, None, None)
        assert await states(ask) == {"/livez": 503, "/readyz": 503, "/startupz": 503, "/healthz": 503}


@pytest.mark.parametrize("path", PATHS)
async def test_an_engine_that_has_stopped_is_dead(tmp_path: Path, path: str) -> None:
    async with Runtime(tmp_path / "bide.db") as rt, asking(rt.asgi) as ask:
        rt._engine.failure = RuntimeError("the outcome of a commit is unknown")
        status, found = await ask(path)
        if path != "/startupz":
            assert (status, found["detail"]) == (503, "the outcome of a commit is unknown")
        rt._engine.failure = None
