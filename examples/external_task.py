"""Wait for a task of another DAG, of the same date. No polling: the commit that ends it wakes the wait.

bide serve examples/external_task.py &
bide trigger report --date 2026-06-15      # waits
bide trigger warehouse --date 2026-06-15   # and goes on
"""

from __future__ import annotations

from datetime import timedelta

from bide import dag, task
from bide.sensors import ExternalTaskSensor


@task
async def fill() -> int:
    return 42


@dag
def warehouse() -> None:
    fill()


@task
async def write_report() -> str:
    return "written"


@dag
def report() -> None:
    """When `fill` fails instead, or is skipped, the sensor fails at once and says so."""
    filled = ExternalTaskSensor("filled", dag="warehouse", task="fill", timeout=timedelta(hours=6))
    filled >> write_report()
