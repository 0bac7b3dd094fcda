"""bide in a FastAPI application under a real uvicorn: its routes, its lifespan, its signals, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from bide import Runtime
from examples.embed_fastapi.app import shop
from examples.embed_fastapi.dags import fulfil
from tests.recovery.sweep import ROOT
from tests.recovery.test_guest import seen


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application on a free port of loopback, by the host's own server, in this loop."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server._serve([listener]))  # without its signal handlers: pytest has its own
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    try:
        host, port = listener.getsockname()[:2]
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        await task
        listener.close()


async def until(client: httpx.AsyncClient, run_id: str, task: str, state: str) -> None:
    async with asyncio.timeout(20):
        while (await client.get(f"/shipments/{run_id}")).json()["tasks"][task] != state:
            await asyncio.sleep(0.01)


async def test_b69_an_order_waits_in_the_hosts_process_and_the_same_order_is_one_run(tmp_path: Path) -> None:
    app = shop(tmp_path)
    app.state.sessions["s-1"] = "ada"
    async with served(app) as client:
        taken = await client.post("/orders/7")
        again = await client.post("/orders/7")
        assert (taken.status_code, taken.json()) == (202, again.json())
        run_id = taken.json()["run_id"]
        await until(client, run_id, "label", "deferred")
        (tmp_path / "7.pdf").write_text("signed")
        await until(client, run_id, "ship", "success")
        assert (await client.get("/shipments/999")).status_code == 404
        assert (await client.get("/shipments/x")).status_code == 422
        assert (await client.get("/healthz")).json() == {"ok": True}
        assert (await client.get("/bide/api/v1/runs")).status_code == 401
        client.cookies.set("session", "s-1")
        [run] = (await client.get("/bide/api/v1/runs")).json()
        assert (run["run_id"], run["dag"], run["state"]) == (run_id, "fulfil", "success")
        paused = await client.post("/bide/api/v1/dags/fulfil/pause")
        assert paused.status_code == 200, paused.text
        newest = (await app.state.runtime.operations.audit())[0]
        assert (newest.who, newest.via, newest.verb) == ("ada", "host", "pause")


async def test_p16_the_host_is_after_it_as_it_was_before(tmp_path: Path) -> None:
    async with served(shop(tmp_path)):  # what is imported once and what the host's server keeps
        pass
    before, filters = seen(), logging.root.manager.disable
    async with served(shop(tmp_path)) as client:
        await client.post("/orders/1")
        signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
        assert signals == before[3]
    assert seen() == before
    assert logging.root.manager.disable == filters


async def test_p16_a_host_whose_start_fails_after_bide_has_opened_leaves_nothing(tmp_path: Path) -> None:
    app = shop(tmp_path)
    opened = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def broken(host: FastAPI) -> AsyncIterator[None]:
        async with opened(host):
            raise RuntimeError("the host has no warehouse")
            yield

    app.router.lifespan_context = broken
    before = seen()
    with pytest.raises(RuntimeError, match="no warehouse"):
        async with app.router.lifespan_context(app):
            pass
    assert seen() == before
    async with Runtime(db=tmp_path / "shop.db", dags=[fulfil]):
        pass  # the database is free again


async def test_p16_two_applications_with_a_runtime_each_share_a_loop(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "south").mkdir()
    async with served(shop(tmp_path / "north")) as north, served(shop(tmp_path / "south")) as south:
        one, other = await north.post("/orders/1"), await south.post("/orders/1")
        for client, made, place in ((north, one, "north"), (south, other, "south")):
            (tmp_path / place / "1.pdf").write_text("signed")
            await until(client, made.json()["run_id"], "ship", "success")


def test_d12_the_hosts_signals_end_it_and_the_next_process_goes_on_with_what_waits(tmp_path: Path) -> None:
    with Shop(tmp_path) as first:
        run_id = first.client.post("/orders/3").json()["run_id"]
        first.until(run_id, "deferred")
        first.stopped(signal.SIGTERM)
        assert "Application shutdown complete" in first.heard
        assert "Traceback" not in first.heard
    with Shop(tmp_path) as second:
        second.until(run_id, "deferred")
        (tmp_path / "3.pdf").write_text("signed")
        second.until(run_id, "success", "ship")
        second.stopped(signal.SIGINT)
        assert "Application shutdown complete" in second.heard


class Shop:
    """The application as people start it: `uvicorn --factory ...`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "uvicorn", "--factory", "examples.embed_fastapi.app:shop",
             "--port", str(port), "--no-access-log"],
            cwd=ROOT, env={**os.environ, "SHOP": str(folder)}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.heard = ""
        for line in self.process.stderr:
            self.heard += line
            if "Uvicorn running" in line:
                break
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    def until(self, run_id: str, state: str, task: str = "label") -> None:
        give_up = time.monotonic() + 20
        while self.client.get(f"/shipments/{run_id}").json()["tasks"][task] != state:
            assert time.monotonic() < give_up, f"{task} is not {state}: {self.heard}"

    def stopped(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=20)
        self.heard += rest or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
