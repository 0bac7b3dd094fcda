"""What is declared: four waits on the world, 1,000 more for company, and what follows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from bide import Context, Dag, dag, task
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, KafkaOffsetSensor, TimeSensor

CROWD = 1000


@task
async def close_books() -> None:
    """The other DAG, which half of the crowd waits for."""


@task
def count_orders(path: str) -> int:
    return sum(1 for _ in Path(path).read_text().splitlines())


@task
async def open_doors(orders: int, ctx: Context) -> str:
    ctx.log.info("everyone has come", orders=orders)
    return f"{orders} orders"


@dag
def ledger() -> None:
    close_books()


def waiting_room(drops: Path, api: str, kafka: str, due: datetime) -> Dag:
    """The DAG, for the world that the demo has started."""

    @dag
    def waiting_room() -> None:
        drop = FileSensor("the_file", path=str(drops / "orders.csv"), min_size=1, settle=timedelta(seconds=0))
        page = HttpSensor(
            "the_page",
            url=f"{api}/status",
            json_path="state",
            equals="ready",
            poll_interval=timedelta(seconds=1),
        )
        records = KafkaOffsetSensor(
            "the_records", bootstrap=kafka, topic="orders", offset=100, poll_interval=timedelta(seconds=1)
        )
        hour = TimeSensor("the_hour", at=due)
        crowd = [
            TimeSensor(f"guest_{n}", at=due)
            if n % 2
            else ExternalTaskSensor(f"guest_{n}", dag="ledger", task="close_books")
            for n in range(CROWD)
        ]
        [page, records, hour, *crowd] >> open_doors(count_orders(drop.output["path"]))

    return waiting_room
