"""Try again what may pass, give up at once on what will not.

bide run examples/retries.py
"""

from __future__ import annotations

from datetime import timedelta

from bide import Context, FailTask, dag, task


@task(retries=5, retry_delay=timedelta(seconds=0.2), backoff=2.0, jitter=0.1, retry_on=OSError)
async def fetch(ctx: Context) -> str:
    """0.2 s, 0.4 s, ... between attempts; each attempt has its own log."""
    ctx.log.info("asking", attempt=ctx.attempt)
    if ctx.attempt < 3:
        raise ConnectionError("no route to host")
    return "data"


@task(retries=5, retry_delay=timedelta(hours=1))
async def validate(data: str) -> None:
    """`FailTask` fails without spending the retries: trying again would not change it."""
    raise FailTask(f"{data!r} has no header")


@task(trigger_rule="all_failed")
async def repair() -> str:
    """Runs because `validate` failed, and only then."""
    return "header added"


@dag
def retries() -> None:
    validate(fetch()) >> repair()
