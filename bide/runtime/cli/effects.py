"""`bide effects`: the ledger of what has left the platform."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked
from bide.runtime.cli.output import print_json, print_table, stamp, write

app = App(name="effects", help="What has left the platform: list (bare), show.")
Name = Annotated[str | None, Parameter(help="Only deliveries of this effect.")]
OfState = Annotated[str | None, Parameter(name="--state", help="Only those in this state.")]
Limit = Annotated[int, Parameter(help="At most so many, the newest.")]


@app.default
@app.command(name="list")
def listed(
    effect: Name = None, /, *, state: OfState = None, limit: Limit = 100, db: Db = None, json: Json = False
) -> int:
    """List what was delivered, the newest first."""
    found = asked(db, lambda ops: ops.effects.listed(effect, state, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            e.id,
            e.effect,
            e.target,
            e.state,
            stamp(e.interval.start),
            stamp(e.interval.end),
            stamp(e.delivered_at),
            e.corrects,
            e.run_id,
        )
        for e in found
    ]
    heads = ("delivery", "effect", "target", "state", "from", "to", "delivered at", "corrects", "run")
    print_table(heads, rows, "nothing was delivered yet")
    return 0


@app.command(name="show")
def show(
    delivery: Annotated[str, Parameter(help="The delivery: its number.")],
    /,
    *,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show a delivery: its key and receipt, what it was made of, who approved it, what it corrects."""
    e = asked(db, lambda ops: ops.effects.show(delivery))
    if json:
        print_json(e)
        return 0
    write(f"delivery {e.id} of {e.effect} to {e.target}: {e.state}" + (f" ({e.reason})" if e.reason else ""))
    write(
        f"interval {stamp(e.interval.start)} to {stamp(e.interval.end)}, {e.semantics}, version {e.version}"
    )
    write(f"key {e.key}")
    if e.run_id is not None:
        write(f"by {e.dag}.{e.task} of run {e.run_id}")
    if e.delivered_at is not None:
        write(f"delivered at {stamp(e.delivered_at)}, receipt {msgspec.json.encode(e.receipt).decode()}")
    if e.corrects is not None:
        write(f"in place of delivery {e.corrects}")
    if e.corrected_by is not None:
        write(f"delivery {e.corrected_by} took its place")
    for each in e.inputs:
        span = f"{stamp(each.interval.start)} to {stamp(each.interval.end)}"
        write(f"made of {each.asset} version {each.version}, {span}, now {each.state}")
    for a in e.approvals:
        write(f"approval {a.id}: {a.state}" + (f" by {a.by}: {a.why}" if a.by else ""))
    return 0
