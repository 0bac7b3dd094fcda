"""The async lane: the body is awaited in the attempt's own task."""

from __future__ import annotations

import inspect
from typing import Any

from bide.runtime.executor.job import Job


async def run_coroutine(job: Job) -> Any:
    """The output of an `async def` body; a plain function put into this lane is simply called."""
    assert job.fn is not None
    output = job.fn(*job.args, **job.kwargs)
    return await output if inspect.isawaitable(output) else output
