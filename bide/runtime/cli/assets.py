"""`bide assets`: what tasks make, its versions, and what DAGs that look at them have before them."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli import impact, plans, standing, uses
from bide.runtime.cli.asking import Dag, Db, Json, Most, asked, dag_name, done
from bide.runtime.cli.output import clean, print_json, print_table, print_why, stamp, write
from bide.runtime.service.shapes import Interval

app = App(
    name="assets",
    help="Assets: list (bare), show, standing, use, decisions, publish, degrade, checklist, blast, invalidate, invalidations, lineage, plan, run-plan, plans, cancel-plan, events {list,drop,replay}.",
)
events = App(
    name="events", help="Versions that a DAG has before it: list them, drop them, have them once more."
)
app.command(events)
uses.commands(app)
standing.commands(app)
plans.add_to(app)
impact.commands(app)

Asset = Annotated[str | None, Parameter(help="Only of this asset.")]
Why = Annotated[str, Parameter(help="Why; it stands in the journal.")]


@app.default
@app.command(name="list")
def listed(*, limit: Most = 100_000, db: Db = None, json: Json = False) -> int:
    """List the assets, each with its newest version."""
    found = asked(db, lambda ops: ops.assets.listed(limit))
    if json:
        print_json(found)
    else:
        rows = [
            (
                line.asset,
                line.version,
                _span(line.interval),
                stamp(line.created_at),
                ", ".join(line.producers),
                ", ".join(line.consumers),
            )
            for line in found
        ]
        heads = ("asset", "version", "interval", "published at", "made by", "looked at by")
        print_table(heads, rows, "no asset is known yet: a task makes one with outlets=[Asset(...)]")
    return 0


@app.command(name="show")
def show(
    asset: Annotated[str, Parameter(help="The asset's name; `bide assets` lists them.")],
    /,
    *,
    limit: Annotated[int, Parameter(help="At most so many versions, the newest.")] = 20,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show an asset: who makes it, who looks at it, its versions and the runs they made."""
    found = asked(db, lambda ops: ops.assets.show(asset, limit))
    if json:
        print_json(found)
        return 0
    write(f"asset {found.asset}: {'version ' + found.version if found.version else 'no version yet'}")
    if found.doc:
        write(clean(found.doc.splitlines()[0]))
    owned = f", of {found.owner}" if found.owner else ""
    write(clean(f"{found.node.replace('_', ' ')}{owned}, criticality {found.criticality}"))
    write(f"made by {', '.join(found.producers) or 'no task that is loaded'}")
    write(f"looked at by {', '.join(found.consumers) or 'no schedule'}")
    rows = [
        (
            line.version,
            f"{line.state}{' (shadow)' if line.shadow else ' (held)' if line.held else ''}",
            _span(line.interval),
            stamp(line.created_at),
            f"{line.run_id}/{line.task}" if line.run_id else None,
            ", ".join(line.runs),
            line.reason,
        )
        for line in found.versions
    ]
    heads = ("version", "state", "interval", "made at", "made by", "made runs", "why")
    print_table(heads, rows, "no versions")
    for line in found.versions:
        for told in uses.told(line):
            write(f"version {line.version}: {told}")
    return 0


@app.command(name="checklist")
def checklist(
    asset: Annotated[str, Parameter(help="The asset's name; `bide assets` lists them.")],
    /,
    *,
    strict: Annotated[bool, Parameter(negative="", help="Exit code 1 when a question is open.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Answer the eighteen questions of an asset from what is declared and recorded, and name those that are open."""
    found = asked(db, lambda ops: ops.evidence.checklist(asset))
    if json:
        print_json(found)
    else:
        for line in found.questions:
            write(f"{line.number:>2} {line.question}")
            write(f"     {line.answer if line.answer is not None else 'OPEN'} [{line.source}]")
        open_ = f"; open: {', '.join(map(str, found.open))}" if found.open else ""
        write(f"{found.answered} of {len(found.questions)} are answered{open_}")
    return int(strict and bool(found.open))


@events.command(name="list")
def list_events(
    dag: Dag,
    /,
    *,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="What became of all of them, the newest first.")
    ] = False,
    limit: Annotated[int, Parameter(help="At most so many.")] = 1000,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the versions that a DAG has not consumed yet, the oldest first."""
    name = dag_name(dag)
    found = asked(db, lambda ops: ops.assets.events(name, everything, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (
                line.version,
                line.asset,
                _span(line.interval),
                stamp(line.period),
                line.state if not line.again else f"{line.state} (again)",
                line.run_id,
                line.reason,
            )
            for line in found
        ]
        heads = ("version", "asset", "interval", "period", "state", "run", "reason")
        print_table(heads, rows, f"nothing is pending for {name}")
    return 0


@events.command(name="drop")
def drop(
    dag: Dag,
    /,
    *,
    version: Annotated[list[str] | None, Parameter(negative="", help="This version; repeatable.")] = None,
    until: Annotated[str | None, Parameter(help="Those whose interval ends by this instant.")] = None,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="All that is pending.")] = False,
    asset: Asset = None,
    reason: Why = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Account for versions that are pending without a run; it is recorded."""
    name = dag_name(dag)
    return done(db, json, lambda ops: ops.assets.drop(name, asset, version or (), until, everything, reason))


@events.command(name="replay")
def replay(
    dag: Dag,
    /,
    *,
    start: Annotated[str, Parameter(name="--from", help="A version's number, or an instant: 2026-06-15.")],
    asset: Asset = None,
    reason: Why = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Have versions once more, from one or from an instant on: they make runs of their own again."""
    name = dag_name(dag)
    return done(db, json, lambda ops: ops.assets.replay(name, start, asset, reason), starts=True)


def why_dag(dag: str, db: Db, json: bool) -> int:
    """`bide why DAG`: what its next run waits for."""
    found = asked(db, lambda ops: ops.assets.why(dag))
    if json:
        print_json(found)
        return 0
    print_why(f"{found.dag} is {found.state}: {found.why}", found.details, found.next)
    return 0


def _span(interval: Interval | None) -> str | None:
    if interval is None or interval.start == interval.end:
        return None if interval is None else stamp(interval.start)
    return f"{stamp(interval.start)} to {stamp(interval.end)}"
