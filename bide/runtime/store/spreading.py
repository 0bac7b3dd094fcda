"""Invalidations as they are recorded: what is wrong, the next slice of spreading, what was hit and whom it concerns."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.blast import BlastRadius, Impact, Impacted, Invalidation, from_json
from bide.runtime.assets.impact import Made, Use
from bide.runtime.assets.spreading import Hop
from bide.runtime.assets.words import Edge, Severity, VersionState
from bide.runtime.store.blast import MADE, Versions, listed

AT_ONCE: Final = 500
"""Versions that are wrong themselves, marked in one commit."""
FRONTIER: Final = 100
USES: Final = 300
"""Of a slice: versions whose consumers are judged, and consumers."""


class Wrong(msgspec.Struct, frozen=True):
    """What an invalidation that is asked for is about. `versions` are the first of them, all unless `more`.

    `below` are versions of what is declared below an asset that has none. `asset` is None when there is none of
    that name, or no version of that number.
    """

    asset: str | None
    span: tuple[int, int] = (0, 0)
    versions: list[Made] = []
    below: list[Use] = []
    more: bool = False


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What one owner has in an invalidation: assets with versions that were seen, or not."""

    owner: str
    assets: tuple[str, ...]
    versions: int
    seen: int
    exports: int
    severity: Severity


class Slice(msgspec.Struct, frozen=True):
    """The next step of an invalidation: `wrong` ones that are not marked yet, or a frontier and what was made of it.

    `upto`: how far the consumers of each of the frontier go here, None: to the last. `known` are those consumers
    that were hit before. With nothing left to do, `told` says whom it concerns.
    """

    root: Invalidation
    wrong: list[Made] = []
    marked: int | None = None
    frontier: list[Impacted] = []
    hop: Hop = Hop(())
    upto: dict[int, int | None] = {}
    known: dict[int, Impacted] = {}
    told: list[Told] | None = None


class FoundWrong(msgspec.Struct, frozen=True):
    """For a start: the invalidations that are not spread to their end, and whether anything was ever found wrong."""

    spreading: tuple[int, ...] = ()
    ever: bool = False


def found_wrong(conn: sqlite3.Connection) -> FoundWrong:
    """What a start goes on with."""
    rows = conn.execute(
        "SELECT invalidation_id FROM invalidation WHERE state = 'spreading' ORDER BY invalidation_id"
    ).fetchall()
    ever = conn.execute("SELECT 1 FROM invalidation LIMIT 1").fetchone() is not None
    return FoundWrong(tuple(number for (number,) in rows), ever)


def wrong(conn: sqlite3.Connection, said: str) -> Wrong:
    """The versions that an invalidation would be of; `said` is one as JSON, its interval empty where a version is named."""
    root = from_json(said, Invalidation)
    versions = Versions(conn)
    found = versions.wrong(root, limit=AT_ONCE + 1)
    if root.version_id is not None:
        if not found or (root.asset and found[0].asset != root.asset):
            return Wrong(None)
        return Wrong(found[0].asset, (found[0].start_us, found[0].end_us), found)
    known = conn.execute("SELECT 1 FROM asset WHERE name = ?", (root.asset,)).fetchone() is not None
    return Wrong(
        asset=root.asset if known else None,
        span=(root.start_us, root.end_us),
        versions=found[:AT_ONCE],
        below=[] if found else versions.below(root),
        more=len(found) > AT_ONCE,
    )


_INVALIDATION: Final = (
    "SELECT a.name, n.start_us, n.end_us, n.asset_version_id, n.cause, n.severity, n.reason, n.evidence, n.effective_us,"
    " n.code, n.discovered_us, n.by, n.invalidation_id, n.state FROM invalidation n JOIN asset a USING (asset_id)"
)


def invalidation(conn: sqlite3.Connection, invalidation_id: int) -> Invalidation | None:
    """The event as it was recorded; None: there is none of that number."""
    row = conn.execute(f"{_INVALIDATION} WHERE n.invalidation_id = ?", (invalidation_id,)).fetchone()
    return None if row is None else _invalidation(row)


def invalidations(
    conn: sqlite3.Connection, limit: int, before: int = 2**63 - 1
) -> list[tuple[Invalidation, int]]:
    """The newest first, each with how many versions it has hit."""
    found = conn.execute(
        f"{_INVALIDATION} WHERE n.invalidation_id < ? ORDER BY n.invalidation_id DESC LIMIT ?",
        (before, limit),
    ).fetchall()
    sql = "SELECT count(*) FROM invalidation_hit WHERE invalidation_id = ?"
    return [(_invalidation(row), conn.execute(sql, (row[12],)).fetchone()[0]) for row in found]


def _invalidation(row: tuple[Any, ...]) -> Invalidation:
    return typed.convert(
        dict(zip(_FIELDS, row, strict=True)) | {"evidence": msgspec.json.decode(row[7])}, Invalidation
    )


_FIELDS: Final = (
    "asset", "start_us", "end_us", "version_id", "cause", "severity", "reason", "evidence", "effective_us", "code",
    "discovered_us", "by", "invalidation_id", "state",
)  # fmt: skip


def recorded(conn: sqlite3.Connection, invalidation_id: int) -> BlastRadius | None:
    """All that an invalidation has hit, as it was decided then; `state` is what each version was before."""
    root = invalidation(conn, invalidation_id)
    if root is None:
        return None
    return BlastRadius(root, tuple(_hits(Versions(conn), conn, "h.invalidation_id = ?", (invalidation_id,))))


def newest_hits(conn: sqlite3.Connection, versions: list[int]) -> list[Impacted]:
    """Of versions that were hit, each as the newest invalidation has it."""
    where = (
        "h.asset_version_id IN (SELECT value FROM json_each(?)) AND h.invalidation_id ="
        " (SELECT max(n.invalidation_id) FROM invalidation_hit n WHERE n.asset_version_id = h.asset_version_id)"
    )
    return _hits(Versions(conn), conn, where, (listed(versions),))


def slice_of(conn: sqlite3.Connection, invalidation_id: int) -> Slice | None:
    """What comes next; None when there is no such invalidation."""
    root = invalidation(conn, invalidation_id)
    if root is None:
        return None
    versions = Versions(conn)
    (marked,) = conn.execute(
        "SELECT marked_id FROM invalidation WHERE invalidation_id = ?", (invalidation_id,)
    ).fetchone()
    if marked is not None:
        wrong = versions.wrong(root, after=marked, limit=AT_ONCE)
        return Slice(root, wrong=wrong, marked=wrong[-1].version_id if len(wrong) == AT_ONCE else None)
    where = "h.invalidation_id = ? AND h.next_id IS NOT NULL"
    frontier = _hits(versions, conn, where, (invalidation_id,), FRONTIER)
    if not frontier:
        return Slice(root, told=_told(conn, invalidation_id))
    begun = dict(
        conn.execute(
            "SELECT h.asset_version_id, h.next_id FROM json_each(?) f CROSS JOIN invalidation_hit h"
            " ON h.invalidation_id = ? AND h.asset_version_id = f.value",
            (listed([node.version_id for node in frontier]), invalidation_id),
        ).fetchall()
    )
    uses: list[Use] = []
    upto: dict[int, int | None] = {}
    broke: set[int] = set()
    for node in frontier:
        if len(uses) >= USES:
            break
        room = USES - len(uses)
        hop = versions.hop_from(node.version_id, begun[node.version_id], room)
        uses += hop.uses
        broke |= hop.broke
        upto[node.version_id] = hop.uses[-1].made.version_id if len(hop.uses) == room else None
    made = sorted({use.made.version_id for use in uses})
    known = _hits(
        versions,
        conn,
        "h.invalidation_id = ? AND h.asset_version_id IN (SELECT value FROM json_each(?))",
        (invalidation_id, listed(made)),
    )
    return Slice(
        root,
        frontier=[node for node in frontier if node.version_id in upto],
        hop=Hop(uses, frozenset(broke)),
        upto=upto,
        known={node.version_id: node for node in known},
    )


def hit_inputs(conn: sqlite3.Connection, version_id: int) -> list[tuple[int, int]]:
    """(invalidation, input) of what a version was made of and was found wrong."""
    return conn.execute(
        "SELECT h.invalidation_id, h.asset_version_id FROM asset_input i"
        " CROSS JOIN invalidation_hit h ON h.asset_version_id = i.input_id WHERE i.asset_version_id = ?"
        " ORDER BY h.invalidation_id, h.asset_version_id",
        (version_id,),
    ).fetchall()


_impact: Final = typed.decoder(Impact)


def _hits(
    versions: Versions, conn: sqlite3.Connection, where: str, args: tuple[Any, ...], limit: int = -1
) -> list[Impacted]:
    """Hits by version number."""
    found = conn.execute(
        f"SELECT {MADE}, h.via_id, h.kind, h.was, h.decision FROM invalidation_hit h"
        f" CROSS JOIN asset_version v USING (asset_version_id) WHERE {where} ORDER BY h.asset_version_id LIMIT {limit:d}",
        args,
    ).fetchall()
    nodes = []
    for made, (via, kind, was, decision) in versions.of_rows(found):
        spec = versions.catalog.asset(made.asset)
        nodes.append(
            Impacted(
                made.asset, made.start_us, made.end_us, made.version_id, VersionState(was), _impact.decode(decision),
                via, Edge(kind) if kind else None, spec.node, spec.output, spec.criticality, spec.owner, made.code,
                made.dag, made.run_id, made.created_us,
            )
        )  # fmt: skip
    return nodes


def _told(conn: sqlite3.Connection, invalidation_id: int) -> list[Told]:
    """Who owns what was hit, and how bad it is for them; the worst first."""
    found: dict[str, list[Any]] = {}
    order = list(Severity)
    for owner, asset, node, severity, seen, count in conn.execute(
        "SELECT a.owner, a.name, a.node, json_extract(h.decision, '$.severity'),"
        " h.was IN ('published', 'stale', 'degraded'), count(*) FROM invalidation_hit h"
        " CROSS JOIN asset_version v USING (asset_version_id) CROSS JOIN asset a USING (asset_id)"
        " WHERE h.invalidation_id = ? GROUP BY 1, 2, 3, 4, 5 ORDER BY min(h.asset_version_id)",
        (invalidation_id,),
    ):
        one = found.setdefault(owner, [{}, 0, 0, 0, Severity.INFO])
        one[0][asset] = None
        one[1] += count
        one[2] += count if seen else 0
        one[3] += count if node == "external_effect" else 0
        one[4] = max(one[4], Severity(severity), key=order.index)
    told = [Told(owner, tuple(one[0]), *one[1:]) for owner, one in found.items()]
    return sorted(told, key=lambda each: -order.index(each.severity))
