"""A scrape of /metrics with 100,000 instances in an unfinished run, the dearest there are, and the loop meanwhile."""

from __future__ import annotations

import sqlite3
import time

from benchmarks.measure import LoopLag, quantile, scratch
from bide import Runtime

INSTANCES, SCRAPES = 100_000, 20
COUNTED = f'bide_task_instances{{state="pending"}} {INSTANCES}.0'.encode()


def fill(conn: sqlite3.Connection) -> None:
    rows = [(n, 1, f"t{n}", -1, "pending", 0) for n in range(1, INSTANCES + 1)]
    conn.execute("BEGIN")
    conn.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1, 'big', '{}', '{}')")
    conn.execute("INSERT INTO dag_version VALUES (1, 1, 'h', '{}', 0)")
    conn.execute(
        "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,"
        " scheduled_us, params, created_us) VALUES (1, 1, 1, 'running', 'manual', 'k', 0, 0, 0, 0, '{}', 0)"
    )
    conn.executemany(
        "INSERT INTO task_instance (instance_id, run_id, task, map_index, state, since_us) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )
    conn.execute("COMMIT")


async def scraped() -> dict[str, float]:
    took: list[float] = []
    with scratch() as folder:
        async with Runtime(folder / "bide.db") as rt:
            await rt.store.read(fill)
            await rt._metrics().text()  # the library is loaded
            async with LoopLag(0.001) as lag:
                for _ in range(SCRAPES):
                    began = time.perf_counter()
                    body, _ = await rt._metrics().text()
                    took.append((time.perf_counter() - began) * 1e3)
                    assert COUNTED in body
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "lag_p99_ms": lag.p99}
