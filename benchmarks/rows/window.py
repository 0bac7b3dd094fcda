"""What a visitor of the window waits for, in headless Chromium: the first page, a run of 1,000 tasks, a grid of 200 x 50, news,
and the waiting room with 10,000 waits.

The service is `bide serve` in a process of its own; each page is opened by a browser that has never been there. An
instant of an event is that of its decision, a moment before its commit: what is said of commit to screen is a little more
than it is. The limit is the same browser on a page of as many bytes that does nothing; of frames, the same page of a run
while nothing changes: what the browser and the machine add by themselves. What a change costs is the processor time of the
page's main thread in its longest piece of work, which delays a frame by so much, whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.measure import quantile, scratch
from benchmarks.rows.window_dags import bench_grid, bench_wide
from benchmarks.rows.window_waits import scrolled, waiting
from bide import Runtime

DAGS = Path(__file__).with_name("window_dags.py")
RUNS, NEWS = 50, 20
FLAGS = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--no-sandbox")
LIVE = ".live.live"
MIDDLE = "step_948"
"""Of `bench_burst`: the middle one of those that change."""
CALM = "() => !document.querySelector('main [aria-busy=true]')"
FRAMES = """() => {
    window.longest = 0
    let last = performance.now()
    const next = now => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(next) }
    requestAnimationFrame(next)
}"""
DRAWN = """() => new Promise(drawn => {
    const done = () => document.querySelector('main canvas') && !document.querySelector('main [aria-busy=true]')
    const came = () => performance.getEntriesByType('resource').filter(each => each.name.includes('/grid')).at(-1)?.responseEnd
    const look = () => { const at = came(); if (at && done()) drawn(performance.now() - at); else requestAnimationFrame(look) }
    look()
})"""
NEWLY = """() => {
    window.shown = {}
    const look = () => { for (const each of document.querySelectorAll("main a[href*='/runs/']")) window.shown[each.textContent.trim()] ??= Date.now() }
    new MutationObserver(look).observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true })
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        await browser.close()


async def history(db: Path) -> str:
    """The run of 1,000 tasks, and 50 of 200."""
    async with Runtime(db=db, dags=[bench_wide, bench_grid], slots=256) as runtime:
        wide = await runtime.trigger(bench_wide)
        runs = [
            await runtime.trigger(bench_grid, logical_date=f"2026-01-01T{n // 60:02}:{n % 60:02}:00+00:00")
            for n in range(RUNS)
        ]
        await asyncio.gather(*(run.wait() for run in (wide, *runs)))
        return str(wide.run_id)


@asynccontextmanager
async def service(db: Path, go: Path) -> AsyncIterator[tuple[str, str]]:
    """Its address, and a token."""
    words = [sys.executable, "-m", "bide"]
    env = {**os.environ, "BIDE_BENCH_GO": str(go)}
    child = await asyncio.create_subprocess_exec(
        *words,
        "serve",
        str(DAGS),
        "--db",
        str(db),
        "--port",
        "0",
        "--drain",
        "1s",
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    assert child.stderr is not None
    said = ""
    while "serving" not in said:
        line = (await child.stderr.readline()).decode()
        assert line, said
        said += line
    asked = await asyncio.create_subprocess_exec(
        *words,
        "ui",
        "--no-open",
        "--db",
        str(db),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asked.communicate()
    url, _, token = out.decode().strip().partition("/#token=")
    try:
        yield url, token
    finally:
        child.terminate()
        await child.communicate()


async def opened(browser: Browser, url: str, token: str, path: str, ready: str) -> tuple[Page, float, int]:
    """A page that was never visited: the seconds until it is there, and the bytes of files that it took."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    sizes: list[int] = []
    page.on(
        "response",
        lambda got: (
            sizes.append(int(got.headers.get("content-length", 0))) if "/api/" not in got.url else None
        ),
    )
    began = time.perf_counter()
    await page.goto(f"{url}{path}#token={token}")
    await page.wait_for_selector(LIVE)
    await page.wait_for_selector(ready)
    await page.wait_for_function(CALM)
    return page, time.perf_counter() - began, sum(sizes)


async def news(page: Page, ask: httpx.AsyncClient) -> list[float]:
    """Milliseconds from what has made a run to its row on the screen."""
    await page.evaluate(NEWLY)
    late = []
    for _ in range(NEWS):
        made = (await ask.post("/api/v1/dags/bench_one/runs", json={"new": True})).json()["run_id"]
        await page.wait_for_function("run => run in window.shown", arg=made)
        shown = await page.evaluate("run => window.shown[run]", made)
        events: list[dict[str, Any]] = (await ask.get("/api/v1/journal", params={"run": made})).json()
        late.append(shown - min(_ms(event["at"]) for event in events))
        await asyncio.sleep(0.4)
    return late


def _ms(instant: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(instant).timestamp() * 1000


async def burst(browser: Browser, url: str, token: str, ask: httpx.AsyncClient, go: Path) -> dict[str, float]:
    """Of a shown run of 1,000 tasks as it opens, and once more with all that change in sight at once."""
    opens = await changing(browser, url, token, ask, go, sight=False)
    sight = await changing(browser, url, token, ask, go, sight=True)
    return opens | {f"sight_{name}": value for name, value in sight.items() if name != "still_ms"}


async def changing(
    browser: Browser, url: str, token: str, ask: httpx.AsyncClient, go: Path, *, sight: bool
) -> dict[str, float]:
    """Milliseconds of the longest frame, and of the most that one frame was worked for and at what, while 100 tasks of a
    shown run become ready, run and succeed; and of the longest frame while nothing does."""
    go.unlink(missing_ok=True)
    run = (await ask.post("/api/v1/dags/bench_burst/runs", json={"new": True})).json()["run_id"]
    one = f"?task={MIDDLE}" if sight else ""
    page, *_ = await opened(browser, url, token, f"/runs/{run}{one}", "main h1")
    while len((await ask.get(f"/api/v1/runs/{run}/times?limit=2000")).json()) < 1000:
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # the 899 that do not wait have succeeded, and that is drawn
    if sight:
        for _ in range(12):
            await page.get_by_role("button", name="Zoom out").click()
        await asyncio.sleep(0.5)
        assert await page.locator(".node.idle:visible").count() == 100
    await page.evaluate(FRAMES)
    await asyncio.sleep(2)
    still = float(await page.evaluate("window.longest"))
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline", "blink.user_timing"])
    await asyncio.sleep(0.5)  # that tracing begins is work as well
    await page.evaluate("window.longest = 0; performance.mark('burst')")
    go.touch()
    while (await ask.get(f"/api/v1/runs/{run}")).json()["state"] != "success":
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    longest = float(await page.evaluate("window.longest"))
    trace = await browser.stop_tracing()
    await page.close()
    return {"frame_ms": longest, "still_ms": still, **_most(json.loads(trace)["traceEvents"])}


PARTS = {
    "script_ms": ("FireAnimationFrame", "FunctionCall", "TimerFire", "RunMicrotasks"),
    "layout_ms": ("UpdateLayoutTree", "Layout"),
    "paint_ms": ("PrePaint", "Paint", "Layerize", "Commit"),
}


def _most(events: list[dict[str, Any]]) -> dict[str, float]:
    """Processor time of the longest piece of work of the page's main thread, from the mark on, in milliseconds, and what of
    it was script, style with layout, and what is painted."""
    drawn = [event for event in events if event["name"] == "UpdateLayoutTree"]
    thread = max(
        ((event["pid"], event["tid"]) for event in drawn), key=[(e["pid"], e["tid"]) for e in drawn].count
    )
    mark = min(event["ts"] for event in events if event["name"] == "burst")
    mine = [event for event in events if (event["pid"], event["tid"]) == thread and event["ts"] > mark]
    most = max(
        (event for event in mine if event["name"].endswith("RunTask")),
        key=lambda event: float(event.get("tdur", 0)),
    )
    found = {"work_ms": float(most.get("tdur", 0)) / 1000, **dict.fromkeys(PARTS, 0.0)}
    over = most["ts"]
    for event in sorted(mine, key=lambda event: (event["ts"], -event.get("dur", 0))):
        part = next((part for part, names in PARTS.items() if event["name"] in names), None)
        if (
            part and over <= event["ts"] < most["ts"] + most["dur"]
        ):  # what is within another part is of that one
            found[part] += float(event.get("tdur", 0)) / 1000
            over = event["ts"] + event.get("dur", 0)
    return found


async def visited() -> dict[str, float]:
    with scratch() as folder:
        db, go = folder / "bide.db", folder / "go"
        wide = await history(db)
        async with service(db, go) as (url, token), chromium() as browser:
            bearer = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=url, headers=bearer) as ask:
                _, first_s, size = await opened(browser, url, token, "/", "main h1")
                run_page, run_s, _ = await opened(browser, url, token, f"/runs/{wide}", "main .graph .node")
                grid_page, *_ = await opened(browser, url, token, "/dags", "main h1")
                await grid_page.evaluate(
                    "() => { history.pushState(null, '', '/dags/bench_grid?tab=grid'); dispatchEvent(new PopStateEvent('popstate')) }"
                )
                grid_ms = float(await grid_page.evaluate(DRAWN))
                list_page, *_ = await opened(browser, url, token, "/runs", "main h1")
                for each in (run_page, grid_page):
                    await each.close()
                late = await news(list_page, ask)
                frames = await burst(browser, url, token, ask, go)
                await waiting(ask)
                room = await scrolled(browser, list_page, url)
    return {
        "first_kb": size / 1000, "first_s": first_s, "run_s": run_s, "grid_ms": grid_ms, **frames, **room,
        "news_p50_ms": quantile(late, 0.5), "news_p95_ms": quantile(late, 0.95),
    }  # fmt: skip


class _Page(http.server.BaseHTTPRequestHandler):
    body = (
        b'<!doctype html><title>x</title><main><h1>x</h1><i class="live live">live</i></main><!--'
        + b"x" * 50_000
        + b"-->"
    )

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


async def bare() -> dict[str, float]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        async with chromium() as browser:
            _, took, size = await opened(
                browser, f"http://127.0.0.1:{server.server_port}", "x", "/", "main h1"
            )
    finally:
        server.shutdown()
    return {"first_s": took, "first_kb": size / 1000}
