"""Wait until a page says that it is ready; which status means what is said, not guessed.

bide run examples/http_ready.py --param api=http://127.0.0.1:8000
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bide import dag, task
from bide.sensors import HttpSensor


@task
async def take(answer: dict[str, Any]) -> int:
    return int(answer["status"])


@dag(params={"api": "http://127.0.0.1:8000"})
def http_ready() -> None:
    """A 404 or 503 means: not yet. A 401 or 403 will not pass by waiting."""
    ready = HttpSensor(
        "ready",
        url="{params.api}/status",
        expect_status=200,
        json_path="state",
        equals="ready",
        fail_on=(401, 403),
        poll_interval=timedelta(seconds=1),
        timeout=timedelta(hours=1),
    )
    take(ready.output)
