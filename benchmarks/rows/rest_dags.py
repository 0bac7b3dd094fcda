"""What runs beside the listings: wide runs that keep a thousand tasks a second coming, and a chain that is timed.

Loaded by the service of `rest`. What was measured within it is written to `$BIDE_BENCH_OUT` by the task `lag`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import LoopLag
from benchmarks.rows.rest_db import DAGS, history
from bide import Asset, OnAssets, dag, task

WIDE, LINKS = 48, 100
_stamps: list[tuple[float, float]] = []
_gaps: list[tuple[float, float]] = []
_lags: list[tuple[float, float]] = []


@task
async def each() -> None:
    pass


@task
async def link() -> None:
    began = time.perf_counter()
    _stamps.append((began, time.perf_counter()))


@task
async def told() -> None:
    """The gaps between the links, by the instant at which they were."""
    _gaps.extend((b[0], (b[0] - a[1]) * 1e3) for a, b in pairwise(_stamps))
    _stamps.clear()


@task
async def measured() -> None:
    """Samples the lag of the loop for `$BIDE_BENCH_S` seconds, then writes all down."""
    end = time.perf_counter() + float(os.environ["BIDE_BENCH_S"])
    async with LoopLag() as lag:
        while time.perf_counter() < end:
            await asyncio.sleep(0.25)
            now = time.perf_counter()
            _lags.extend((now, ms) for ms in lag.late_ms)
            lag.late_ms.clear()
    path = Path(os.environ["BIDE_BENCH_OUT"])
    half = path.with_suffix(".half")
    half.write_text(json.dumps({"gaps": _gaps, "lags": _lags}))
    half.rename(path)


@dag(max_active_runs=64)
def stream() -> None:
    first, last = each(), each()
    for _ in range(WIDE):
        middle = each()
        first >> middle >> last


@dag(max_active_runs=1)
def timed() -> None:
    last = link()
    for _ in range(LINKS - 1):
        after = link()
        last >> after
        last = after
    last >> told()


@dag
def lag() -> None:
    measured()


@dag(schedule=OnAssets(Asset("asset_7"), consume="latest"))
def follows() -> None:
    each()


globals().update({f"history_{n}": history(n) for n in range(DAGS)})
