"""1 -> n -> 1 no-op async tasks: from the trigger to the durable end of the run."""

from __future__ import annotations

import time

from benchmarks.measure import LoopLag, scratch
from bide import Dag, Runtime, dag, task


@task
async def no_op() -> None:
    pass


def fan_of(n: int) -> Dag:
    @dag(name=f"fan_{n}")
    def body() -> None:
        first, last = no_op(), no_op.options(name="last")()
        first >> [no_op() for _ in range(n)] >> last

    return body


async def fan(n: int) -> dict[str, float]:
    declared = fan_of(n)
    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[declared], slots=256) as rt, LoopLag() as lag:
            began = time.perf_counter()
            run = await rt.trigger(declared)
            result = await run.wait()
            took = time.perf_counter() - began
            assert result.state == "success", result.state
    return {"tasks_per_s": (n + 2) / took, "us_per_task": took / (n + 2) * 1e6, "lag_p99_ms": lag.p99}
