"""`bide approvals`: what people are asked, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp, write
from bide.runtime.cli.waits import away
from bide.runtime.clock import SystemClock

if TYPE_CHECKING:
    from bide.runtime.service.approval_shapes import ApprovalEvidence, ApprovalLine
    from bide.runtime.service.doors import Doors

app = App(name="approvals", help="What people are asked: list (bare), show, approve, reject.")
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


@app.command(name="show")
def show(
    approval: Annotated[str, Parameter(help="The approval: its number.")],
    /,
    *,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show an approval and what is known of it: results right before it, versions, what a contract found."""

    async def both(ops: Doors) -> tuple[ApprovalLine, ApprovalEvidence]:
        return await ops.approvals.show(approval), await ops.approvals.evidence(approval)

    one, known = asked(db, both)
    if json:
        print_json({**msgspec.structs.asdict(one), "evidence": known})
        return 0
    write(f"approval {one.id} of {one.subject} is {one.state}: {one.prompt}")
    write(f"  {', '.join(one.who) or 'anybody'} may decide, until {stamp(one.expires_at) or 'it is done'}")
    if one.by or one.why:
        write(f"  {one.by}: {one.why}")
    if known.decided is not None:
        write(f"  {known.decided}")
    for issue in known.issues:
        write(f"  {issue.upstream}: {issue.requirement}, seen {issue.observed} ({issue.severity})")
    for result in known.results:
        write(f"  {result.task} ({result.state}): {result.value or 'nothing'}{'' if result.whole else '...'}")
    for version in known.versions:
        write(f"  {version.asset} version {version.version}, {version.state}")
    if known.plan is not None:
        write(f"  `bide assets plans {known.plan}` shows the plan")
    if known.delivery is not None:
        write(f"  `bide effects show {known.delivery}` shows the delivery")
    return 0


@app.command(name="approve")
def approve(approval: Approval = None, /, *, by: By, why: Why, db: Db = None, json: Json = False) -> int:
    """Approve: what asked for it goes on."""
    return done(db, json, lambda ops: ops.approvals.approve(approval, by, why), starts=True)


@app.command(name="reject")
def reject(approval: Approval = None, /, *, by: By, why: Why, db: Db = None, json: Json = False) -> int:
    """Reject: what asked for it is denied."""
    return done(db, json, lambda ops: ops.approvals.reject(approval, by, why))
