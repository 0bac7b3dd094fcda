"""The DAGs of the demo: a report that waits for a file, a page, a topic, another DAG, and 1,000 shops."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bide import dag, task
from bide.runtime.graph.facts import Facts
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, KafkaOffsetSensor, TimeSensor

SHOPS = 1000
NOW = timedelta(0)
OFTEN = timedelta(seconds=0.5)
PAYMENTS = 500


def now_us() -> int:
    return time.time_ns() // 1000


@task
async def seen(event: Any) -> int:
    """The first line of code after a wait: when it runs, in epoch microseconds."""
    return now_us()


@task
async def report(events: list[int]) -> int:
    return len(events)


@task
async def load() -> int:
    """What the report and a third of the shops wait for; returns when it was done."""
    return now_us()


def closing(shop: int) -> Callable[[Facts], int]:
    """Each shop closes a millisecond after the one before."""

    def at(facts: Facts) -> int:
        return int(facts.params["closing_us"]) + 1000 * shop

    return at


def wait_of_shop(shop: int) -> Any:
    """A third of them send a file, a third close at their hour, a third have a DAG of their own."""
    name = f"shop_{shop:04}"
    if shop % 3 == 0:
        return FileSensor(name, path="{params.drops}/" + f"{name}.csv", settle=NOW)
    if shop % 3 == 1:
        return TimeSensor(name, at=closing(shop))
    return ExternalTaskSensor(name, dag="till", task="load", delta=timedelta(minutes=-shop))


@dag(params={"drops": "", "api": "", "kafka": "", "closing_us": 0})
def morning() -> None:
    waits = [
        FileSensor("orders", path="{params.drops}/orders.csv", settle=NOW),
        HttpSensor("prices", url="{params.api}/prices", poll_interval=OFTEN),
        KafkaOffsetSensor(
            "payments",
            bootstrap="{params.kafka}",
            topic="payments",
            offset=PAYMENTS,
            across="sum",
            poll_interval=OFTEN,
        ),
        ExternalTaskSensor("warehouse", dag="warehouse", task="load"),
        *(wait_of_shop(shop) for shop in range(SHOPS)),
    ]
    report([seen.options(name=f"{wait.name}_seen")(wait.output) for wait in waits])


@dag
def warehouse() -> None:
    load()


@dag(max_active_runs=SHOPS)
def till() -> None:
    load()
