"""A command, and Python in a process of its own: killable, and bounded in memory.

bide run examples/shell_and_process.py --param words="to be or not to be"
"""

from __future__ import annotations

from datetime import timedelta

from bide import dag, shell, task


@task(isolate=True, timeout=timedelta(seconds=30), memory_limit=1 << 30)
def sum_of_squares(n: int) -> int:
    """Burns CPU without holding up the event loop; when its time is over its process group is killed."""
    return sum(i * i for i in range(n))


@task
async def both(total: int) -> str:
    return f"counted, and {total}"


@dag(params={"words": "a b c"})
def shell_and_process() -> None:
    """Strings of a command are templates; values that come from elsewhere are safer in `env`."""
    count = shell("count", 'echo "$WORDS" | wc -w', env={"WORDS": "{params.words}"}, retries=1)
    done = both(sum_of_squares(100_000))
    count >> done
