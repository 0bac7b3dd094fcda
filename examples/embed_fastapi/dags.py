"""What happens to an order: paid, then its label is waited for, then it is shipped."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bide import Context, dag, task
from bide.sensors import FileSensor


@task(retries=3, retry_delay=timedelta(seconds=5))
async def charge(ctx: Context) -> str:
    return f"order {ctx.params['order']} is paid"


@task
async def ship(label: str, ctx: Context) -> str:
    return f"order {ctx.params['order']} left with {Path(label).name}"


@dag(params={"order": 0, "labels": ""}, max_active_runs=1_000)
def fulfil() -> None:
    label = FileSensor(
        "label",
        path="{params.labels}/{params.order}.pdf",
        settle=timedelta(milliseconds=200),
        timeout=timedelta(days=3),
    )
    charge() >> label
    ship(label.output["path"])
