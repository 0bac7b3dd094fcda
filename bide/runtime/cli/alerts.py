"""`bide alerts`: what was late, has failed or needs a person, and who knows of it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp

app = App(name="alerts", help="What was late, has failed or needs a person: list (bare), ack.")

WORDS = {"run": "late", "task": "late", "asset": "late"}
"""Kinds of alerts that say what is late: their subjects tell which is which."""
State = Annotated[str | None, Parameter(help="Only those in this state: new, taken or acked.")]
Limit = Annotated[int, Parameter(help="At most so many, the newest.")]
OfRun = Annotated[str | None, Parameter(help="Only those of this run and of its tasks.")]


@app.default
@app.command(name="list")
def listed(
    *, run: OfRun = None, state: State = None, limit: Limit = 100, db: Db = None, json: Json = False
) -> int:
    """List what was late, has failed or needs a person, the newest first."""
    found = asked(db, lambda ops: ops.alerts(run, state, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (a.id, WORDS.get(a.kind, a.kind), a.subject, a.severity, a.run_id, a.promise or None,
             stamp(a.due) if a.due != a.fired or a.kind in WORDS else None, stamp(a.fired), a.state)
            for a in found
        ]  # fmt: skip
        heads = ("alert", "kind", "subject", "severity", "run", "promised", "due", "found", "state")
        print_table(heads, rows, "nobody has to know of anything")
    return 0


@app.command(name="ack")
def ack(
    alert: Annotated[str, Parameter(help="The alert: its number; `bide alerts` lists them.")],
    /,
    *,
    db: Db = None,
    json: Json = False,
) -> int:
    """Say that somebody knows of it."""
    return done(db, json, lambda ops: ops.alert_ack(alert))
