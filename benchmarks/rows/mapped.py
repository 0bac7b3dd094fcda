"""A task mapped over the output of another: from the trigger to the durable end of the run.

The cost of an instance is that of all of them, the expansion included. It is told beside the cost
in a run of 1,000 in the same process and minute, so that their ratio is of one machine in one mood.
"""

from __future__ import annotations

import time

from benchmarks.measure import LoopLag, scratch
from bide import Context, Dag, Runtime, dag, task

FEW = 1_000


@task
async def listed(ctx: Context) -> list[int]:
    return [n % 10 for n in range(ctx.params["n"])]


@task(max_map=1_000_000)
async def no_op(item: int) -> None:
    pass


@dag(params={"n": 0})
def mapped_over() -> None:
    no_op.map(item=listed())


async def _run(rt: Runtime, dag: Dag, n: int) -> float:
    """Microseconds an instance."""
    began = time.perf_counter()
    run = await rt.trigger(dag, params={"n": n})
    result = await run.wait()
    took = time.perf_counter() - began
    assert result.state == "success", result.state
    return took / n * 1e6


async def mapped(n: int) -> dict[str, float]:
    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[mapped_over], slots=256) as rt:
            await _run(rt, mapped_over, 100)
            few = [await _run(rt, mapped_over, FEW) for _ in range(5)]
            async with LoopLag() as lag:
                cost = await _run(rt, mapped_over, n)
            few += [await _run(rt, mapped_over, FEW) for _ in range(5)]
    usual = sorted(few)[len(few) // 2]
    return {
        "tasks_per_s": 1e6 / cost,
        "us_per_task": cost,
        "cost_ratio": cost / usual,
        "lag_p99_ms": lag.p99,
    }
