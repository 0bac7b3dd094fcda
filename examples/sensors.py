"""One small DAG for each sensor: `bide run examples/sensors.py:wait_for_time`, and so on.

The ones that need somebody else (a server, a broker, a file) say in their docstring how to make them true.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from bide import Context, dag, task
from bide.sensors import (
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    KafkaOffsetSensor,
    ObjectSensor,
    PythonSensor,
    TimeSensor,
)

SECOND = timedelta(seconds=1)


@task
async def done(event: object, ctx: Context) -> None:
    ctx.log.info("it is true", event=str(event))


def in_two_seconds(ctx: Context) -> datetime:
    return ctx.scheduled_for + 2 * SECOND


@dag
def wait_for_time() -> None:
    """Two seconds after the run was due."""
    done(TimeSensor("soon", at=in_two_seconds).output)


@dag
def wait_for_file() -> None:
    """`echo there > examples/drop.txt`."""
    done(FileSensor("drop", path="drop.txt", min_size=1, settle=SECOND).output["path"])


@dag
def wait_for_page() -> None:
    """`python -m http.server 8000`."""
    done(HttpSensor("up", url="http://127.0.0.1:8000/", poll_interval=SECOND).output["status"])


@dag
def wait_for_records() -> None:
    """A broker at localhost:9092 with a topic `orders` of 10 records."""
    done(
        KafkaOffsetSensor(
            "ten", bootstrap="localhost:9092", topic="orders", offset=10, across="sum", poll_interval=SECOND
        ).output
    )


@dag
def wait_for_other() -> None:
    """`bide trigger wait_for_time` of the same date, in the same service."""
    done(ExternalTaskSensor("other", dag="wait_for_time", task="done").output)


@dag
def wait_for_object() -> None:
    """Any CSV in /tmp/bide-bucket; for a real bucket: `s3://bucket/day/*.csv`."""
    done(ObjectSensor("part", url="file:///tmp/bide-bucket/*.csv", poll_interval=SECOND).output)


def three_parts() -> list[str] | None:
    parts = sorted(str(p) for p in Path("parts").glob("*"))
    return parts if len(parts) >= 3 else None


@dag
def wait_for_predicate() -> None:
    """`mkdir -p parts && touch parts/1 parts/2 parts/3`."""
    done(PythonSensor("three_parts", three_parts, poll_interval=SECOND).output)
