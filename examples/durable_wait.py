"""Wait in the middle of a task: the slot is given back, and a crash repeats no recorded step.

bide run examples/durable_wait.py &
kill -9 $!; bide run examples/durable_wait.py &
echo ok > examples/receipt.txt
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bide import Context, dag, task
from bide.triggers import FileTrigger


@task
async def charge(ctx: Context) -> str:
    """After a crash the body runs again from its top, up to where it was: `once` keeps it from charging twice."""
    amount = await ctx.once("charge", lambda: take_money(ctx.params["ledger"], ctx.idempotency_key))
    receipt = await ctx.wait(
        FileTrigger(path=ctx.params["receipt"], settle_us=0), name="receipt", timeout=timedelta(hours=1)
    )
    return f"{amount} paid, receipt of {receipt['size']} bytes"


def take_money(ledger: str, key: str) -> int:
    if ledger:
        with Path(ledger).open("a") as file:
            file.write(f"{key}\n")
    return 42


@dag(params={"receipt": "receipt.txt", "ledger": ""})
def durable_wait() -> None:
    charge()
