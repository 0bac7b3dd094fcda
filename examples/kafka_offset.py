"""Wait until a topic holds enough records, over all of its partitions; none of them is read.

bide run examples/kafka_offset.py --param kafka=localhost:9092 --param topic=orders
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bide import dag, task
from bide.sensors import KafkaOffsetSensor


@task
async def load(event: dict[str, Any]) -> int:
    """The event says how far each partition was: what to read up to."""
    return sum(event["offsets"].values())


@dag(params={"kafka": "localhost:9092", "topic": "orders"})
def kafka_offset() -> None:
    """For a consumer group that has to catch up: `lag_below=("group", 100)` in place of `offset`."""
    grown = KafkaOffsetSensor(
        "grown",
        bootstrap="{params.kafka}",
        topic="{params.topic}",
        offset=10,
        across="sum",
        poll_interval=timedelta(seconds=1),
    )
    load(grown.output)
