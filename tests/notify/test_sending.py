"""Notices on their way: signed, at least once, tried again over days, and never where they must not go."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bide import Runtime
from bide.notify import Route
from tests.notify.conftest import Hook, orders, received
from tests.servers.http_server import HttpServer, reply


async def until(server: HttpServer, path: str, count: int) -> None:
    async with asyncio.timeout(10):
        while server.count(path) < count:
            await asyncio.sleep(0.005)


async def test_b66_a_run_that_fails_is_told_over_a_signed_webhook(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async with Runtime(tmp_path / "bide.db", [orders], notify=[Route(hook("/ops", reply(204)))]) as rt:
        run = await rt.trigger("orders")
        assert (await run.wait()).state == "failed"
        await until(http_server, "/ops", 1)
    [asked] = http_server.asked
    told = received(asked)
    assert (told.type, told.data["kind"], told.data["severity"]) == ("bide.failure", "failure", "major")
    [alert] = told.data["alerts"]
    assert (alert["owners"], alert["tags"], alert["run_id"]) == (["sales"], ["nightly"], run.run_id)
    assert "ValueError: no orders today" in told.data["text"]
