"""What a failure handler is told: which task failed, with what, at which attempt."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, frozen=True):
    """The failure that started a handler or a callback: a parameter annotated `Failure` gets it.

    `error` is one redacted line; `error_type` the class path of what the body raised
    (`builtins.ValueError`), empty when nothing was raised (a deadline, a mark by hand). `attempt` counts
    every start of the task, from 0 for one that never started; `map_index` is -1 when it is not mapped.

    >>> Failure("load", "ValueError: no rows", "builtins.ValueError", 3).task
    'load'
    """

    task: str
    error: str
    error_type: str = ""
    attempt: int = 1
    map_index: int = -1
