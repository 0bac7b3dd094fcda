"""Wait for a file that is whole: at least a byte, and unchanged for half a second.

bide run examples/file_drop.py &
echo "chairs,4" > examples/orders.csv
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bide import dag, task
from bide.sensors import FileSensor


@task
def count_lines(path: str) -> int:
    """A plain `def` runs in a thread, so it may block."""
    return len(Path(path).read_text().splitlines())


@dag(params={"path": "orders.csv"})
def file_drop() -> None:
    """A relative path is under the folder of this file."""
    drop = FileSensor(
        "drop", path="{params.path}", min_size=1, settle=timedelta(seconds=0.5), timeout=timedelta(hours=6)
    )
    count_lines(drop.output["path"])
