"""Wait until a function of yours returns something true: what it returns is the event.

bide run examples/python_predicate.py --param folder=/tmp/parts &
mkdir -p /tmp/parts && touch /tmp/parts/{1,2,3}
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bide import dag, task
from bide.sensors import PythonSensor


def three_parts(folder: str) -> list[str] | None:
    """A plain `def` is called in a thread, an `async def` in the loop; no call overlaps the one before."""
    parts = sorted(path.name for path in Path(folder).glob("*"))
    return parts if len(parts) >= 3 else None


@task
async def join(parts: list[str]) -> str:
    return "+".join(parts)


@dag(params={"folder": "parts"})
def python_predicate() -> None:
    complete = PythonSensor(
        "complete", three_parts, args=["{params.folder}"], poll_interval=timedelta(seconds=0.5)
    )
    join(complete.output)
