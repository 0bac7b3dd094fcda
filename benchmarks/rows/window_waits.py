"""The waiting room with 10,000 waits open: how soon rows stand there, and how long frames are while all of it is scrolled through.

A frame of the scroll moves by `STEP` pixels, as fast as frames come: some 1,000 of them from the first wait to the last, with the
service watching all the while and the page asking what it saw. The second time it is traced: what a frame costs the page's main
thread, in processor time, is the same on a machine that has other things to do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from typing import Any

import httpx
from playwright.async_api import Browser, Page

MANY, RUNS = 10_000, 10
STEP = 480
ROWS = "n => Number(document.querySelector('.virtual')?.getAttribute('aria-rowcount')) > n"
SCROLL = """async step => {
    const frames = []
    const end = () => document.documentElement.scrollHeight - innerHeight - 1
    await new Promise(done => {
        let last = performance.now()
        const next = now => {
            frames.push(now - last)
            last = now
            if (scrollY >= end()) return done()
            scrollBy(0, step)
            requestAnimationFrame(next)
        }
        requestAnimationFrame(next)
    })
    return { frames, seen: Math.max(...[...document.querySelectorAll('.virtual-row')].map(row => row.getAttribute('aria-rowindex'))) }
}"""


async def waiting(ask: httpx.AsyncClient) -> None:
    """10,000 waits, of files, of a site that is down, of other tasks."""
    for n in range(RUNS):
        date = f"2026-01-{n + 1:02}T00:00:00+00:00"
        (await ask.post("/api/v1/dags/bench_waits/runs", json={"logical_date": date})).raise_for_status()
    while sum((await ask.get("/api/v1/top")).json()["waits"].values()) < MANY:
        await asyncio.sleep(0.2)


async def scrolled(browser: Browser, page: Page, url: str) -> dict[str, float]:
    """Of a page that is let in already: seconds to the first rows, and frames in milliseconds."""
    began = time.perf_counter()
    await page.goto(f"{url}/waits?by=dag&open=bench_waits")
    await page.wait_for_selector(".wait")
    first_s = time.perf_counter() - began
    await page.wait_for_function(ROWS, arg=MANY)
    await asyncio.sleep(1)
    found: dict[str, Any] = await page.evaluate(SCROLL, STEP)
    assert int(found["seen"]) > MANY, found["seen"]
    frames = sorted(float(each) for each in found["frames"][1:])
    await page.evaluate("scrollTo(0, 0)")
    await asyncio.sleep(1)
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    await page.evaluate(SCROLL, STEP)
    work = _work(await browser.stop_tracing())
    return {
        "waits_s": first_s,
        "scroll_p95_ms": frames[int(len(frames) * 0.95)],
        "scroll_ms": frames[-1],
        "scroll_work_p95_ms": work[int(len(work) * 0.95)],
        "scroll_work_ms": work[-1],
    }


def _work(trace: bytes) -> list[float]:
    """What the tasks of the busiest thread that draws frames cost, in milliseconds of its own time; those of less than 1 left out."""
    costs: dict[tuple[int, int], list[float]] = defaultdict(list)
    drawing = set()
    for event in json.loads(trace)["traceEvents"]:
        thread = (event["pid"], event["tid"])
        if event.get("name") == "FireAnimationFrame":
            drawing.add(thread)
        elif str(event.get("name", "")).endswith("RunTask") and event.get("tdur", 0) > 1000:
            costs[thread].append(event["tdur"] / 1000)
    return sorted(max((costs[thread] for thread in drawing), key=sum))
