"""n schedules due at one instant: how long until the last of their runs is created, and until all are over.

Each DAG has one task that does nothing. The instant lies ahead of the loading of the DAGs; time counts
from it. A run is created when the commit that holds it has landed.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from benchmarks.measure import LoopLag, scratch
from bide import Every, Runtime, dag, task
from bide.runtime.engine.changes import Changes
from bide.runtime.graph.dag import Dag

LEAD_S = 0.004
"""What loading one DAG may take, on a busy machine."""


@task
async def nothing() -> None: ...


def declared(n: int, at: datetime) -> list[Dag]:
    def one(name: str) -> Dag:
        @dag(name=name, schedule=Every(timedelta(days=1), anchor=at))
        def body() -> None:
            nothing()

        return body

    return [one(f"d{i}") for i in range(n)]


async def due(n: int) -> dict[str, float]:
    at = datetime.now(UTC) + timedelta(seconds=5 + n * LEAD_S)
    dags = declared(n, at)
    created: list[float] = []
    ended = 0
    over = asyncio.Event()

    def committed(changes: Changes) -> None:
        nonlocal ended
        created.extend([time.time()] * len(changes.runs_new))
        ended += sum(row[2] is not None for row in changes.runs_set.values())
        if ended >= n:
            over.set()

    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=dags) as rt:
            if datetime.now(UTC) >= at:
                raise RuntimeError(f"loading {n} DAGs took too long for this row: raise LEAD_S")
            rt._shell.listeners.append(committed)
            await asyncio.sleep((at - datetime.now(UTC)).total_seconds() - 0.1)
            async with LoopLag() as lag:
                await over.wait()
            done = time.time()
    first = at.timestamp()
    assert len(created) == n
    return {"created_s": created[-1] - first, "done_s": done - first, "lag_p99_ms": lag.p99}
