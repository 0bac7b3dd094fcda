"""`bide assets standing`: which state counts for the newest interval of each asset, or for the intervals of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked
from bide.runtime.cli.output import print_json, print_table, stamp
from bide.runtime.service.asset_shapes import LimitsLine
from bide.runtime.service.shapes import Interval


def commands(app: App) -> None:
    """Make it a command of `bide assets`."""
    app.command(standing, name="standing")


def standing(
    asset: Annotated[
        str | None, Parameter(help="The intervals of this asset; without it all assets.")
    ] = None,
    /,
    *,
    limit: Most = 1000,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show how assets stand: the state that counts for an interval, and by when the next version is promised."""
    if asset is None:
        found = asked(db, lambda ops: ops.assets.standings(limit))
        rows = [
            (
                each.asset, f"{each.state}{', late' if each.late and each.state != 'stale' else ''}", _span(each.interval),
                each.version, stamp(each.due_at), each.owner,
                _why(each.reason, each.parts[0].limits if each.parts else None),
            )
            for each in found
        ]  # fmt: skip
        heads = ("asset", "state", "newest interval", "version", "next is due", "owner", "why")
        empty = "no asset is known yet: a task makes one with outlets=[Asset(...)]"
        return _print(found, heads, rows, empty, json)
    parts = asked(db, lambda ops: ops.assets.intervals(asset, limit))
    lines = [
        (_span(each.interval), each.state, each.version, str(each.versions), stamp(each.created_at), _why(each.reason, each.limits))
        for each in parts
    ]  # fmt: skip
    return _print(parts, ("interval", "state", "version", "versions", "made at", "why"), lines, "no versions", json)  # fmt: skip


def _print(
    found: object, heads: tuple[str, ...], rows: Sequence[tuple[str | None, ...]], empty: str, json: bool
) -> int:
    if json:
        print_json(found)
    else:
        print_table(heads, rows, empty)
    return 0


def _span(interval: Interval | None) -> str | None:
    return None if interval is None else f"{stamp(interval.start)} to {stamp(interval.end)}"


def _why(reason: str, limits: LimitsLine | None) -> str:
    """Why it is so; of what is degraded what is known to be wrong, and how long that is accepted."""
    if limits is None:
        return reason
    until = f" until {stamp(limits.expires_at)}" if limits.expires_at else ""
    by = f", accepted by {limits.approved_by}{until}" if limits.approved_by else until
    return f"{'; '.join(limits.known_limitations) or reason}{by}"
