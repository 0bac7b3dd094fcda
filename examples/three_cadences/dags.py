"""Four DAGs: each source at its own cadence, and a mart that joins on freshness, not on the hour.

No DAG knows when another one runs. What connects them are three assets.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bide import AnyOf, Asset, Context, Cron, OnAssets, by, dag, task
from bide.sensors import FileSensor
from examples.three_cadences import lake, sources
from examples.three_cadences.place import folder
from examples.three_cadences.warehouse import warehouse

PACIFIC = "America/Los_Angeles"
MINUTE = timedelta(minutes=1)

events = Asset("raw.events")
payments = Asset("raw.payments")
accounts = Asset("raw.accounts")
revenue = Asset("mart.daily_revenue_by_account")


def micros(when: datetime) -> int:
    """Epoch microseconds, which is how the warehouse keeps instants."""
    return round(when.timestamp() * 1_000_000)


# --- every 5 minutes: Kafka ------------------------------------------------------------------------


@task(retries=60, retry_delay=2 * MINUTE)
async def micro_batch_consume(ctx: Context) -> dict[str, Any]:
    """Read from where the last batch ended. The offsets move with the success alone: a batch that
    dies after it has landed is read again, from the same offsets, into the same rows."""
    mark = ctx.watermark or {"offsets": {}, "whole": {}}
    records, ends = await sources.read_events(mark["offsets"])
    file = lake.land("events", "-".join(f"{mark['offsets'].get(part, 0)}" for part in sorted(ends)), records)
    sources.maybe_die(ctx)
    whole = mark["whole"] | sources.whole_until(records)
    ctx.watermark = {"offsets": ends, "whole": whole}
    ctx.metrics(rows=len(records))
    return {"file": file, "rows": len(records), "whole_us": min(whole.values(), default=0)}


@task(retries=3, retry_delay=MINUTE, pool="warehouse")
def land_events(batch: dict[str, Any]) -> int:
    if batch["rows"]:
        warehouse().load_events(batch["file"])
    return int(batch["whole_us"])


@task(outlets=[events], pool="warehouse")
def register_partition(whole_us: int) -> None:
    warehouse().mark_fresh(events.name, whole_us)


@dag(schedule=Cron("*/5 * * * *", tz=PACIFIC), catchup="all", overlap="queue_all")
def kafka_events_to_raw() -> None:
    register_partition(land_events(micro_batch_consume()))


# --- every 15 minutes: the payments API ------------------------------------------------------------


@task(retries=2, retry_delay=3 * MINUTE)
async def fetch_payment_pages(ctx: Context) -> dict[str, Any]:
    """From the high-water mark to the end of this interval: after a failure the window is longer.

    A rerun of an interval that is behind the mark fetches that interval alone.
    """
    until = micros(ctx.interval.end)
    since = ctx.watermark if ctx.watermark is not None else micros(ctx.interval.start)
    since = since if since < until else micros(ctx.interval.start)
    found = await sources.fetch_payments(since, until)
    ctx.watermark = until
    ctx.metrics(rows=len(found))
    ctx.log.info("fetched", minutes=(until - since) // 60_000_000, rows=len(found))
    return {"file": lake.land("payments", f"{since}", found), "rows": len(found)}


@task(retries=3, retry_delay=MINUTE, pool="warehouse", outlets=[payments])
def land_payments(ctx: Context, batch: dict[str, Any]) -> None:
    if batch["rows"]:
        warehouse().load_payments(batch["file"])
    warehouse().mark_fresh(payments.name, micros(ctx.interval.end))


@dag(schedule=Cron("*/15 * * * *", tz=PACIFIC), catchup="all", overlap="queue_all")
def stripe_payments_to_raw() -> None:
    land_payments(batch=fetch_payment_pages())


# --- once a night: the CRM -------------------------------------------------------------------------


def export_of_the_day(ctx: Any) -> str:
    return str(folder() / "drops" / f"accounts-{ctx.logical_date:%Y-%m-%d}.csv")


@task(retries=3, retry_delay=5 * MINUTE, backoff=2.0, pool="warehouse", outlets=[accounts])
def load_accounts(ctx: Context, export: dict[str, Any]) -> int:
    rows = warehouse().load_accounts(export["path"])
    warehouse().mark_fresh(accounts.name, micros(ctx.interval.end))
    return rows


@dag(
    schedule=Cron("0 1 * * *", tz=PACIFIC, interval="day"),
    catchup="all",
    deadline_alert=by("01:30"),  # whoever is on call hears of it while it still waits
)
def salesforce_to_raw() -> None:
    export = FileSensor(
        "accounts_export", path=export_of_the_day, settle=timedelta(0), timeout=timedelta(hours=20)
    )
    load_accounts(export=export.output)


# --- the mart --------------------------------------------------------------------------------------


class NotFreshError(Exception):
    """A raw table does not yet hold the whole day."""


@task(retries=100, retry_delay=2 * MINUTE, retry_on=NotFreshError, pool="warehouse")
def all_three_are_fresh(ctx: Context) -> None:
    """Whoever started the run: the day is joined when it is whole, and it says what it lacks."""
    known = warehouse().fresh()
    stale = [
        asset.name
        for asset in (events, payments, accounts)
        if known.get(asset.name, 0) < micros(ctx.interval.end)
    ]
    if stale:
        raise NotFreshError(f"{ctx.interval.start:%Y-%m-%d} is not whole in {', '.join(stale)}")


@task(retries=2, retry_delay=MINUTE, pool="warehouse", outlets=[revenue])
def join_and_publish(ctx: Context) -> int:
    day = f"{ctx.interval.start:%Y-%m-%d}"
    return warehouse().build_mart(day, micros(ctx.interval.start), micros(ctx.interval.end))


@dag(
    schedule=AnyOf(
        OnAssets(events & payments & accounts, consume="latest", interval="day"),
        Cron("0 5 * * *", interval="day"),
    ),
    tz=PACIFIC,
    catchup="all",
    deadline_alert=by("05:45"),  # fifteen minutes before 06:00, when the dashboard is opened
)
def daily_revenue_by_account() -> None:
    all_three_are_fresh() >> join_and_publish()
