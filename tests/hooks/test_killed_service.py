"""`bide serve` killed with -9 around a delivery: what was acknowledged is there, what is sent again makes one run."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bide.runtime.clock import SECOND, SystemClock
from tests.cli.conftest import environment
from tests.hooks.signed import WHSEC, assert_nowhere, body_of, standard

FILE = """
from bide import dag, task
from bide.hooks import StandardWebhooks, Webhook

@task
async def quick() -> int:
    return 1

@dag(params={"order": ""})
def load():
    quick()

Webhook("std", load, scheme=StandardWebhooks("env:HOOK_WHSEC"), params={"order": "$.order"})
"""
BODY = body_of({"order": "ö-1"})


@asynccontextmanager
async def service(folder: Path, failpoint: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bide", "serve", "load.py", "--db", "b.db",
        cwd=folder, stderr=asyncio.subprocess.PIPE,
        env={**environment(), "HOOK_WHSEC": WHSEC, "BIDE_FAILPOINT": failpoint},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"serving" not in (line := await process.stderr.readline()):
                assert line
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def deliver(folder: Path, delivery: str) -> httpx.Response:
    now = SystemClock().now() // SECOND
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "b.db.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://bide", timeout=20) as client:
        return await client.post("/hooks/std", content=BODY, headers=standard(BODY, now, delivery))


async def test_b65_what_was_acknowledged_before_a_kill_is_the_same_run_after_it(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(FILE)
    async with service(tmp_path):
        first = await deliver(tmp_path, "m1")
        assert first.status_code == 201, first.text
    # Dies between the commit of the next delivery and its answer: its sender hears nothing, and sends it again.
    async with service(tmp_path, "before-Reply:1:exit") as dying:
        with pytest.raises(httpx.HTTPError):
            await deliver(tmp_path, "m2")
        assert await dying.wait() == 137
    async with service(tmp_path):
        again = await deliver(tmp_path, "m1")
        assert (again.status_code, again.json()["run_id"]) == (200, first.json()["run_id"])
        second = await deliver(tmp_path, "m2")
        assert (second.status_code, second.json()["run_id"]) == (200, "2")
        third = await deliver(tmp_path, "m3")
        assert (third.status_code, third.json()["run_id"]) == (201, "3")
    assert_nowhere(tmp_path, WHSEC)
