"""`bide assets use`, `decisions`, `publish` and `degrade`: may it be used, why not, and what people let out."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp, write
from bide.runtime.service.asset_shapes import VersionLine

REFUSED = 4
Version = Annotated[str, Parameter(help="The version: its number; `bide assets show ASSET` lists them.")]
By = Annotated[str, Parameter(help="Who; kept with the decision.")]
Why = Annotated[str, Parameter(help="Why; kept with the decision.")]


def commands(app: App) -> None:
    """Make them commands of `bide assets`."""
    app.command(use, name="use")
    app.command(decisions, name="decisions")
    app.command(publish, name="publish")
    app.command(degrade, name="degrade")


def use(
    asset: Annotated[str, Parameter(help="The asset's name; `bide assets` lists them.")],
    /,
    *,
    purpose: Annotated[str, Parameter(name="--for", help="The consumer, and so its purpose.")] = "",
    interval: Annotated[
        str | None,
        Parameter(help="2026-06-15, 2026-06, or FROM..TO; without it the newest version is meant."),
    ] = None,
    by: By = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Ask whether a consumer may use an asset for its purpose; exit code 4 when it may not. It is recorded."""
    found = asked(db, lambda ops: ops.assets.may_use(asset, interval, purpose, by))
    if json:
        print_json(found)
        return 0 if found.allowed else REFUSED
    write(f"{'yes' if found.allowed else 'no'}: {found.reason}")
    for issue in found.issues:
        write(f"  {issue.upstream}: {issue.requirement}; {issue.observed} ({issue.severity}, {issue.action})")
    for limit in found.limits:
        write(f"  known limitation: {limit}")
    for line in found.versions:
        label = f" ({line.label})" if line.label else ""
        write(
            f"  version {line.version}{label}, {stamp(line.interval.start)} to {stamp(line.interval.end)}: {line.state}"
        )
    return 0 if found.allowed else REFUSED


def decisions(
    asset: Annotated[str | None, Parameter(help="Only of this asset.")] = None,
    /,
    *,
    run: Annotated[str | None, Parameter(help="Only of this run.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List what was decided of assets, the newest first: before tasks began, before versions were seen, for uses."""
    found = asked(db, lambda ops: ops.assets.decisions(asset, run, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            line.id,
            stamp(line.at),
            line.phase,
            line.asset,
            f"{stamp(line.interval.start)} to {stamp(line.interval.end)}",
            line.level,
            line.consumer or (f"{line.run_id}/{line.task}" if line.run_id else None),
            line.reason,
        )
        for line in found
    ]
    heads = ("decision", "at", "phase", "asset", "interval", "level", "for", "reason")
    print_table(heads, rows, "nothing was decided yet: a contract of an asset that is made asks")
    return 0


def publish(version: Version, /, *, by: By = "", why: Why = "", db: Db = None, json: Json = False) -> int:
    """Let out a version that its gates or contracts hold back; what stands against it stays on it."""
    return done(db, json, lambda ops: ops.assets.publish(version, by, why))


def degrade(
    version: Version,
    /,
    *,
    limitation: Annotated[
        list[str] | None, Parameter(negative="", help="What is known to be wrong with it; repeatable.")
    ] = None,
    by: By = "",
    why: Why = "",
    expires: Annotated[
        str | None,
        Parameter(help="An instant; from then on the version is invalidated, unless a newer one came."),
    ] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Accept a version with its known limitations, which its consumers are told."""
    return done(db, json, lambda ops: ops.assets.degrade(version, limitation or (), by, why, expires))


def _differs(found: dict[str, Any]) -> list[str]:
    if found.get("against") is None:
        return ["a shadow of nothing: no version of its interval is seen yet"]
    return [f"differs: {what} {value}" for what, value in found.items()]


def told(line: VersionLine) -> list[str]:
    """What its gates found, what is known to be wrong with it, how a shadow differs."""
    lines = [
        f"gate {check.name} ({check.severity}) {'passed' if check.passed else 'failed'}"
        + (f": {check.message}" if check.message else "")
        + (f", observed {check.observed}" if check.observed is not None else "")
        + (f", expected {check.expected}" if check.expected is not None else "")
        for check in line.checks
    ]
    if line.limits is not None:
        by = f", accepted by {line.limits.approved_by}" if line.limits.approved_by else ""
        until = f" until {stamp(line.limits.expires_at)}" if line.limits.expires_at else ""
        lines += [f"known limitation: {known}{by}{until}" for known in line.limits.known_limitations]
    if line.shadow and "shadow" in line.meta:
        lines += _differs(line.meta["shadow"])
    return lines
