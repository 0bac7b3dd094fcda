"""`bide approvals`: what people are asked, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table
from bide.runtime.cli.waits import away
from bide.runtime.clock import SystemClock

app = App(name="approvals", help="What people are asked: list (bare), approve, reject.")
Approval = Annotated[
    str | None,
    Parameter(help="The approval: its number; without it the one that is open, if there is just one."),
]
By = Annotated[str, Parameter(help="Who decides; kept with the decision.")]
Why = Annotated[str, Parameter(help="Why; kept with the decision.")]
Everything = Annotated[bool, Parameter(name="--all", negative="", help="Decided ones as well.")]
OfRun = Annotated[str | None, Parameter(name="--run", help="Only those of this run.")]
Limit = Annotated[int, Parameter(help="At most so many, the newest.")]


@app.default
@app.command(name="list")
def listed(
    *,
    everything: Everything = False,
    run: OfRun = None,
    limit: Limit = 100,
    db: Db = None,
    json: Json = False,
) -> int:
    """List what people are asked, the newest first."""
    found = asked(db, lambda ops: ops.approvals.listed(None if everything else "open", run, limit))
    if json:
        print_json(found)
        return 0
    now = SystemClock().now()
    rows: list[Sequence[str | None]] = [
        (
            a.id,
            a.kind,
            a.state,
            a.subject,
            a.prompt,
            ", ".join(a.who) or "anybody",
            away(a.expires_at, now) if a.state == "open" else None,
            f"{a.by}: {a.why}" if a.by else a.why,
        )
        for a in found
    ]
    heads: Sequence[str] = ("approval", "of", "state", "subject", "prompt", "who", "denied", "answer")
    shown = range(8) if everything else (0, 1, 3, 4, 5, 6)  # of open ones the state is known, and no answer
    print_table(
        [heads[i] for i in shown], [[row[i] for i in shown] for row in rows], "nobody is asked for anything"
    )
    return 0


@app.command(name="approve")
def approve(approval: Approval = None, /, *, by: By, why: Why, db: Db = None, json: Json = False) -> int:
    """Approve: what asked for it goes on."""
    return done(db, json, lambda ops: ops.approvals.approve(approval, by, why), starts=True)


@app.command(name="reject")
def reject(approval: Approval = None, /, *, by: By, why: Why, db: Db = None, json: Json = False) -> int:
    """Reject: what asked for it is denied."""
    return done(db, json, lambda ops: ops.approvals.reject(approval, by, why))
