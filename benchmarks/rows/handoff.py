"""A chain of no-ops: from the last line of one body to the first of the next, all commits between."""

from __future__ import annotations

import time
from itertools import pairwise

from benchmarks.measure import quantile, scratch
from bide import Runtime, dag, task

LINKS = 50
RUNS = 5
stamps: list[tuple[float, float]] = []


@task
async def link() -> None:
    began = time.perf_counter()
    stamps.append((began, time.perf_counter()))


@dag
def chain_of_fifty() -> None:
    last = link()
    for _ in range(LINKS - 1):
        after = link()
        last >> after
        last = after


async def chain() -> dict[str, float]:
    gaps: list[float] = []
    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[chain_of_fifty], slots=256) as rt:
            for n in range(RUNS + 1):
                stamps.clear()
                run = await rt.trigger(chain_of_fifty)
                result = await run.wait()
                assert result.state == "success", result
                if n:  # the first run warms up
                    gaps += [(b[0] - a[1]) * 1e3 for a, b in pairwise(stamps)]
    return {"p50_ms": quantile(gaps, 0.5), "p99_ms": quantile(gaps, 0.99)}
