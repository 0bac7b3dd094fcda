"""Wait for keys of an object store: here a folder stands for the bucket (extra `objects`).

mkdir -p /tmp/bide-bucket
bide run examples/object_key.py &
echo 1 > /tmp/bide-bucket/part-1.csv; echo 2 > /tmp/bide-bucket/part-2.csv
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bide import dag, task
from bide.sensors import ObjectSensor


@task
async def merge(event: dict[str, Any]) -> int:
    return int(event["count"])


@dag(params={"bucket": "file:///tmp/bide-bucket"})
def object_key() -> None:
    """A real one: `bucket=s3://drops/2026-06-15`, and `store={"region": ..., "access_key_id": Secret(...)}`."""
    parts = ObjectSensor("parts", url="{params.bucket}/*.csv", count=2, poll_interval=timedelta(seconds=1))
    merge(parts.output)
