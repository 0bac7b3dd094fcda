"""A pool bounds what may run at once, whatever the slots; among what is ready the higher priority goes first.

python examples/pools_and_priorities.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bide import Context, Pool, Runtime, dag, task

order: list[str] = []


@task(pool="warehouse")
async def query(table: str, ctx: Context) -> None:
    order.append(table)
    await asyncio.sleep(0.01)


@dag
def nightly() -> None:
    for table in ("history", "archive"):
        query.options(name=table)(table)
    query.options(name="urgent", priority=10)("urgent")


async def main() -> list[str]:
    """One connection to the warehouse: one at a time, although there are 32 slots."""
    with tempfile.TemporaryDirectory() as folder:
        pools = {"warehouse": Pool(slots=1)}
        async with Runtime(Path(folder) / "bide.db", [nightly], slots=32, pools=pools) as runtime:
            run = await runtime.trigger(nightly)
            await run.wait(timeout=30)
    return order


if __name__ == "__main__":
    print("ran in the order", ", ".join(asyncio.run(main())))
