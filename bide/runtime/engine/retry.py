"""When a failed attempt is tried again: the delay, its growth, its spread, and which errors count.

Pure. The spread is drawn from the attempt's own id, so that a decision made twice is the same.
"""

from __future__ import annotations

from zlib import crc32

from bide.runtime.engine.messages import Failure
from bide.runtime.graph.spec import TaskSpec


def is_retried(task: TaskSpec, failures: int, failure: Failure) -> bool:
    """Whether the retry budget of the instance has room for another attempt after `failures`.

    >>> from bide.runtime.graph.spec import Lane
    >>> task = TaskSpec(name="load", lane=Lane.ASYNC, retries=1, retry_on=("builtins.OSError",))
    >>> is_retried(task, 1, Failure("gone", mro=("builtins.FileNotFoundError", "builtins.OSError")))
    True
    >>> is_retried(task, 1, Failure("a bug", mro=("builtins.ValueError",)))
    False
    """
    if failure.final or failures > task.retries:
        return False
    return not task.retry_on or any(path in failure.mro for path in task.retry_on)


def delay_us(task: TaskSpec, failures: int, failure: Failure, seed: int) -> int:
    """Microseconds until the next attempt, after the `failures`-th failure (from 1).

    >>> from bide.runtime.graph.spec import Lane
    >>> task = TaskSpec(name="load", lane=Lane.ASYNC, retry_delay_us=1000, backoff=2.0)
    >>> [delay_us(task, n, Failure(""), seed=7) for n in (1, 2, 3)]
    [1000, 2000, 4000]
    """
    try:
        grown = task.retry_delay_us * task.backoff ** (failures - 1)
    except OverflowError:
        grown = float("inf")
    ceiling = task.max_retry_delay_us if task.max_retry_delay_us is not None else _YEAR_US
    delay = int(min(grown, ceiling))
    if task.jitter:
        delay += int(delay * task.jitter * (crc32(seed.to_bytes(8, "big")) / 0xFFFFFFFF))
    return max(delay, failure.retry_after_us or 0)


_YEAR_US = 366 * 24 * 3600 * 1_000_000
