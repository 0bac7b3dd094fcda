"""The window of a guest: its host mounts it below a path of its own, and it never leaves that path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).parents[2]
HOST = """
    import asyncio, socket, sys

    import uvicorn
    from fastapi import FastAPI

    from bide import Runtime, dag, task

    @task
    async def pack() -> str:
        return "packed"

    @dag(name="shop_orders")
    def orders() -> None:
        pack()

    async def main() -> None:
        async with Runtime(db=sys.argv[1], dags=[orders]) as runtime:
            host = FastAPI()
            host.mount("/shop/bide", runtime.asgi)
            token = (await runtime.operations.tokens.create("window", "admin", "1h")).token
            run = await runtime.trigger(orders)
            await run.wait()
            at = socket.create_server(("127.0.0.1", 0))
            print(f"http://127.0.0.1:{at.getsockname()[1]}/shop/bide", token, run.run_id, flush=True)
            server = uvicorn.Server(uvicorn.Config(host, log_level="error", timeout_graceful_shutdown=1))
            await server.serve(sockets=[at])

    asyncio.run(main())
"""


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Where it is mounted, a token, a run."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), str(tmp_path / "shop.db")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as host:  # fmt: skip
        try:
            assert host.stdout is not None
            base, token, run = host.stdout.readline().split()
            yield base, token, run
        finally:
            host.kill()


def test_a_guest_below_a_path_stays_below_it(browser: Browser, guest: tuple[str, str, str]) -> None:
    base, token, run = guest
    page = browser.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(f"{base}/#token={token}")
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page).to_have_url(re.compile(re.escape(base) + r"/runs(\?|$)"))
    expect(page.get_by_role("link", name="shop_orders").first).to_be_visible()
    page.goto(f"{base}/runs/{run}")
    page.get_by_text("Live", exact=True).wait_for()
    expect(page.locator("main h1")).to_contain_text(run)
    page.get_by_role("link", name="bide", exact=True).click()
    expect(page).to_have_url(re.compile(re.escape(base) + "/?$"))
    assert [url for url in asked if not url.startswith(f"{base}/")] == []
    assert wrong == []
    page.close()
