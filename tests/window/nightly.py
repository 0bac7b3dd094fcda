"""DAGs of a house at night, nearly all of which waits: 418 files of partners in one bucket, a rate that is not final, an ERP that is
down. Of `BIDE_WAITS` more a night of archives, by the thousand."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from bide import Asset, Context, dag, task
from bide.sensors import (
    AssetSensor,
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    ObjectSensor,
    PythonSensor,
    TimeSensor,
)
from bide.triggers import HttpTrigger

DROP = os.environ.get("BIDE_DROP", "/srv/drop")
MANY = int(os.environ.get("BIDE_WAITS", "0"))
PARTNERS = (
    "acme", "aurora", "birch", "borealis", "cobalt", "delta", "ember", "fjord", "granite", "harbor", "iris", "juniper", "kestrel",
    "lumen", "maple", "north", "orchid", "pioneer", "quartz", "raven", "solstice", "tundra",
)  # fmt: skip
ledger = Asset("ledger", owner="finance", grain="day", node="product")


@task(outlets=[ledger])
async def book(ctx: Context) -> None: ...


@dag(max_active_runs=50)
def partner_files() -> None:
    """The files of the day of all partners."""
    for n, name in enumerate(PARTNERS):
        ObjectSensor(
            name,
            url=f"s3://landing/inbox/{name}_{{logical_date:%Y%m%d}}_*.csv.gz",
            poll_interval=timedelta(seconds=30),
            timeout=timedelta(hours=9, minutes=17 * n),
        )


@dag(max_active_runs=50)
def fixings() -> None:
    """The rates of the day, when they are final."""
    for currency in ("eur", "usd", "gbp", "jpy"):
        HttpSensor(
            f"final_{currency}",
            url=f"http://rates.example/v2/{currency}/{{logical_date:%Y-%m-%d}}",
            json_path="status",
            equals="final",
            env_proxies=True,
            poll_interval=timedelta(seconds=20),
            timeout=timedelta(hours=5),
        )


@dag(max_active_runs=50)
def erp_export() -> None:
    """What was ordered, as soon as the ERP has closed its day."""
    for kind in ("orders", "returns", "invoices", "payments"):
        HttpSensor(
            f"{kind}_closed",
            url="http://erp.example/export/closed",
            env_proxies=True,
            poll_interval=timedelta(seconds=15),
            timeout=timedelta(hours=7),
        )


@dag(max_active_runs=50)
def bank_statements() -> None:
    """A file of each account."""
    for account in ("8841", "8842", "9107"):
        FileSensor(
            f"account_{account}",
            path=f"{DROP}/bank/{account}_{{logical_date:%Y-%m-%d}}.sta",
            timeout=timedelta(hours=4),
        )


@dag(max_active_runs=50)
def reconcile() -> None:
    """Compares the bank with the books."""
    ExternalTaskSensor("rates", dag="fixings", task="final_usd", timeout=timedelta(hours=12))
    AssetSensor("books", asset=ledger, timeout=timedelta(hours=14))


def open_period() -> bool:
    return False


@dag
def month_end() -> None:
    """What is done when the period is open and the day is there."""
    PythonSensor("period_open", open_period, poll_interval=timedelta(minutes=2), timeout=timedelta(days=3))
    TimeSensor("first_of_december", at=datetime(2026, 12, 1, 6, tzinfo=UTC), timeout=timedelta(days=20))


@task
async def asks_customs(ctx: Context) -> None:
    number = 7300 + ctx.logical_date.day
    await ctx.wait(
        HttpTrigger(url=f"http://customs.example/declarations/{number}", json_path="cleared", equals=[True], env_proxies=True),
        name=f"declaration {number}",
        timeout=timedelta(hours=30),
    )  # fmt: skip


@dag(max_active_runs=50)
def imports() -> None:
    """Goods that the customs have to clear."""
    asks_customs()


@dag(max_active_runs=50)
def archives() -> None:
    """So many files that a page has to take care."""
    for n in range(max(MANY // 10, 1)):
        if n % 4 == 3:
            HttpSensor(
                f"part_{n:04}",
                url="http://erp.example/archive/ready",
                env_proxies=True,
                timeout=timedelta(hours=6 + n % 7),
            )
        else:
            FileSensor(f"part_{n:04}", path=f"{DROP}/archive/{{logical_date:%Y-%m-%d}}/{n:04}.parquet", timeout=timedelta(hours=3 + n % 9))  # fmt: skip
