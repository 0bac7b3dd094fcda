"""DAGs as a grown house has them: many, with long names, owners, tags and schedules. Their history is made by tests/window/houses.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bide import Cron, Dag, dag, group, task

AREAS = ("billing", "catalogue", "customer", "finance", "inventory", "marketing", "shipping", "support")
KINDS = (
    "daily_snapshot",
    "hourly_events_from_the_partner_gateway",
    "reconciliation_with_the_general_ledger",
    "features",
)
STEPS = (
    "extract",
    "land.raw_files",
    "land.rejected_rows",
    "check_row_counts_against_source_system",
    "publish",
)


@task(retries=2)
async def extract() -> int:
    return 1


@task
async def raw_files(before: Any) -> int:
    return 1


@task
async def rejected_rows(before: Any) -> int:
    return 1


@task
async def check_row_counts_against_source_system(*before: Any) -> int:
    return 1


@task
async def publish(before: Any) -> int:
    return 1


def made(area: str, kind: str, hour: int) -> Dag:
    @dag(
        name=f"{area}.{kind}",
        schedule=Cron(f"{hour * 7 % 60} {hour % 24} * * *", tz="Europe/Berlin"),
        start=datetime(2026, 1, 1, tzinfo=UTC),
        catchup="none",
        owner=f"{area}-data",
        tags=[area, "hourly" if "hourly" in kind else "daily"],
    )
    def steps() -> None:
        first = extract()
        with group("land"):
            files, rejected = raw_files(first), rejected_rows(first)
        publish(check_row_counts_against_source_system(files, rejected))

    return steps


for _at, (_area, _kind) in enumerate((area, kind) for area in AREAS for kind in KINDS):
    globals()[f"dag_{_at}"] = made(_area, _kind, _at)
