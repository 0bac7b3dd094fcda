"""`bide assets blast`, `invalidate`, `invalidations` and `lineage`: what is wrong, and what was made of it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp, write
from bide.runtime.service.impact_shapes import LineageEdge, LineageShown, LineageVersion
from bide.runtime.service.shapes import Interval

Asset = Annotated[str | None, Parameter(help="The asset's name; `bide assets` lists them.")]
When = Annotated[
    str | None,
    Parameter(
        help="2026-06-15, 2026-06, or FROM..TO; dates are read in the zone of the asset, or else of its DAG."
    ),
]
Version = Annotated[str | None, Parameter(help="This version alone.")]
Cause = Annotated[
    str,
    Parameter(
        help="source_correction, schema_interpretation, transform_bug, late_quality_failure, security, reference_update, "
        "duplicate_ingestion or missing_partition."
    ),
]
Severity = Annotated[
    str | None,
    Parameter(
        help="info, warning, minor, major or critical; left out: critical for a cause of security, else major."
    ),
]
Effective = Annotated[str | None, Parameter(help="Versions made at or after this instant are right already.")]
Code = Annotated[
    str, Parameter(help="Only what code of this version has made: how the hash of the DAG's version begins.")
]


def commands(app: App) -> None:
    """Make them commands of `bide assets`."""
    app.command(blast, name="blast")
    app.command(invalidate, name="invalidate")
    app.command(invalidations, name="invalidations")
    app.command(lineage, name="lineage")


def blast(
    asset: Asset = None,
    /,
    *,
    interval: When = None,
    version: Version = None,
    invalidation: Annotated[str | None, Parameter(help="What this one has hit.")] = None,
    cause: Cause = "source_correction",
    severity: Severity = None,
    effective: Effective = None,
    code: Code = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Show what is affected if an interval or a version is wrong, or what an invalidation has hit. Changes nothing."""
    found = asked(
        db,
        lambda ops: ops.assets.blast(
            asset, interval, version, invalidation, cause, severity, effective, code
        ),
    )
    if json:
        print_json(found)
        return 0
    of = f"version {found.version} of {found.asset}" if found.version else found.asset
    recorded = f" (invalidation {found.invalidation_id})" if found.invalidation_id else ""
    write(f"{of}, {_span(found.interval)}, {found.cause}{recorded}: {len(found.nodes)} versions are affected")
    rows = [
        (
            node.asset,
            _span(node.interval),
            node.version,
            node.via,
            node.kind,
            node.state if node.decision.to is None else f"{node.state} -> {node.decision.to}",
            node.decision.severity,
            node.decision.action,
            node.decision.reason,
        )
        for node in found.nodes
    ]
    heads = ("asset", "interval", "version", "via", "kind", "state", "severity", "decision", "reason")
    print_table(heads, rows, "nothing is affected")
    if found.exports:
        write(
            f"{found.exports} of them left the platform: no rerun takes that back, corrections have to follow"
        )
    return 0


def invalidate(
    asset: Asset = None,
    /,
    *,
    interval: When = None,
    version: Version = None,
    reason: Annotated[str, Parameter(help="What is wrong, in words.")] = "",
    cause: Cause = "source_correction",
    severity: Severity = None,
    effective: Effective = None,
    code: Code = "",
    evidence: Annotated[
        list[str] | None, Parameter(negative="", help="Where it can be seen, a URI; repeatable.")
    ] = None,
    by: Annotated[str, Parameter(help="Who found it.")] = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Mark versions as not to be trusted; what was made of them follows, and its owners are told."""
    return done(
        db,
        json,
        lambda ops: ops.assets.invalidate(
            asset, interval, version, reason, cause, severity, effective, code, evidence or (), by
        ),
    )


def invalidations(
    *,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List what was invalidated, the newest first."""
    found = asked(db, lambda ops: ops.assets.invalidations(limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            line.invalidation_id,
            line.asset,
            _span(line.interval),
            line.version,
            line.cause,
            line.severity,
            line.state,
            str(line.versions),
            stamp(line.discovered_at),
            line.by,
            line.reason,
        )
        for line in found
    ]
    heads = (
        "id", "asset", "interval", "version", "cause", "severity", "state", "versions", "found at", "by", "reason",
    )  # fmt: skip
    print_table(heads, rows, "nothing was ever invalidated")
    return 0


def lineage(
    version: Annotated[str, Parameter(help="The version: its number; `bide assets show ASSET` lists them.")],
    /,
    *,
    depth: Annotated[int, Parameter(help="So many steps up and down.")] = 3,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show what a version was made of, by which code, what its gates said, and what was made of it."""
    found = asked(db, lambda ops: ops.assets.lineage(version, depth))
    if json:
        print_json(found)
        return 0
    mine = found.version
    write(f"{_named(mine)}: {mine.state}{', ' + mine.reason if mine.reason else ''}")
    write(
        f"made by {_maker(mine)}, at {stamp(mine.created_at)}{', code ' + mine.code[:12] if mine.code else ''}"
    )
    for check in mine.checks:
        write(f"gate {check.name} ({check.severity}): {'passed' if check.passed else 'failed'}")
    if mine.target:
        write(f"delivered to {mine.target}: {mine.delivery}, {stamp(mine.delivered_at) or 'not yet'}")
    rows = _rows(found)
    print_table(
        ("", "version", "asset", "interval", "kind", "of", "state", "made by"),
        rows,
        "nothing above and below",
    )
    for what, names in (("made runs", found.runs), ("told", found.told)):
        if names:
            write(f"{what}: {', '.join(names)}")
    return 0


def _rows(found: LineageShown) -> list[tuple[str | None, ...]]:
    """Inputs above, what was made of them below, each with what it is an input or an output of."""
    known = {each.version: each for each in (found.version, *found.versions)}

    def row(word: str, edge: LineageEdge, number: str, of: str) -> tuple[str | None, ...]:
        one = known[number]
        state = one.state if one.target is None else f"{one.state}, {one.delivery} to {one.target}"
        return word, number, one.asset, _span(one.interval), edge.kind, of, state, _maker(one)

    return [
        *(row("from", edge, edge.input, edge.version) for edge in found.up),
        *(row("to", edge, edge.version, edge.input) for edge in found.down),
    ]


def _named(one: LineageVersion) -> str:
    return f"version {one.version} of {one.asset}, {_span(one.interval)}"


def _maker(one: LineageVersion) -> str:
    if one.run_id is None:
        return "nothing that bide ran"
    return f"run {one.run_id}" + (f"/{one.task}" if one.task else "") + (f" of {one.dag}" if one.dag else "")


def _span(interval: Interval) -> str:
    start, end = stamp(interval.start) or "", stamp(interval.end) or ""
    if interval.start == interval.end:
        return start
    if start.endswith(" 00:00:00Z") and end.endswith(" 00:00:00Z"):
        return f"{start[:10]} to {end[:10]}"
    return f"{start} to {end}"
