"""DAGs for the screens of what is planned and decided: backfills that fail or hold, approvals of named people, effects."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bide import Asset, Context, Cron, Param, approval, dag, effect, task

WORLD = Path(os.environ.get("BIDE_SHOWCASE_WORLD", "."))
HOSTILE = "<img src=x onerror=document.title='hurt'>"
gold = Asset("gold", owner="finance", grain="day", node="product")


@task(outlets=["reports/{interval.start:%Y-%m-%d}.csv"])
async def write(ctx: Context) -> None:
    import asyncio

    while (WORLD / "hold").exists():
        await asyncio.sleep(0.02)
    bad = WORLD / "bad"
    if bad.exists() and f"{ctx.interval.start:%Y-%m-%d}" in bad.read_text():
        raise ValueError(f"a bad day {HOSTILE}")


@dag(
    schedule=Cron("0 0 * * *", tz="UTC", interval="day"),
    start=datetime(2026, 1, 1, tzinfo=UTC),
    catchup="none",
    max_active_runs=4,
    params={"text": Param("hello", doc="What is said")},
)
def reports() -> None:
    """A file a day."""
    write()


@task
async def after(said: Any) -> None:
    pass


@dag
def release() -> None:
    """Asks people by their names."""
    after(approval("ok", prompt=f"Publish {HOSTILE}?", who=["ann", "bob"], expires=timedelta(hours=12)))


@task(outlets=[gold])
async def make() -> None:
    pass


@effect(
    "partner-export",
    target="partner-a",
    semantics="append_only_export",
    inlets=[gold],
    requires_approval=True,
    owner="exports",
)
async def export(idempotency_key: str) -> dict[str, str]:
    return {"acknowledged": idempotency_key[:8]}


@dag
def exporting() -> None:
    """Sends figures to a partner when a person lets it."""
    make() >> export()
