"""The shell lane: a command behind a gate, with a guard that ends it when its runtime dies.

`/bin/sh` waits for one line on its standard input (the gate), starts a guard that kills the whole
process group when that input closes, and becomes the command. The command's own input is empty.
"""

from __future__ import annotations

import os
from typing import Final

from bide.runtime.executor.attempt import Attempt, Fenced
from bide.runtime.executor.context import Context
from bide.runtime.executor.ending import ProcessFailed
from bide.runtime.executor.job import Job
from bide.runtime.executor.lanes.child import Child, last_line, sentence_of

GATE: Final = (
    "read -r _ || exit 125; exec 3<&0 </dev/null; {limit}"
    "( read -r _ <&3; kill -s KILL 0 ) >/dev/null 2>&1 & "
    'exec 3<&-; exec /bin/sh -c "$1"'
)


async def run_shell(attempt: Attempt, job: Job) -> str | None:
    """The last line that the command printed, None without one. `ProcessFailed` on an exit code."""
    assert job.shell is not None
    limit = attempt.order.task.memory_limit
    gate = GATE.format(limit=f"ulimit -v {max(1, limit // 1024)} || exit 125; " if limit else "")
    env = {key: str(value) for key, value in job.shell.env.items()}
    theirs, ours = os.pipe()
    try:
        child = await Child.start(
            attempt,
            ["/bin/sh", "-c", gate, "sh", job.shell.command],
            env={**env, "BIDE_IDEMPOTENCY_KEY": Context(attempt).idempotency_key, **attempt.traced},
            cwd=job.cwd or job.shell.cwd,
            stdin=theirs,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        if await child.recorded():
            if not attempt.may_begin():
                raise Fenced
            os.write(ours, b"\n")
        status = await child.wait()
        if status != 0:
            raise ProcessFailed(sentence_of(status, child.err.last or child.out.last, limit), status)
        return last_line(child.out)
    finally:
        child.close()
        os.close(ours)
