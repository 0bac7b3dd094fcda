"""What there is of assets, as evaluation reads it: versions with their gates, schemas, approvals."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.compared import Side
from bide.runtime.assets.judged import Checked, Observed, Version
from bide.runtime.assets.limits import Limits
from bide.runtime.assets.wish import Wish
from bide.runtime.assets.words import Severity, VersionState

MOST: Final = 2_000
"""Versions over an interval that are looked at: the newest."""

_VISIBLE: Final = "('published', 'stale', 'degraded')"
_SEEN: Final = "('published', 'stale', 'degraded', 'superseded', 'invalidated')"
_NEWEST: Final = "v.end_us DESC, v.asset_version_id DESC"
_COLUMNS: Final = (
    "v.asset_version_id, v.start_us, v.end_us, v.state, v.created_us, v.label, v.schema_id, v.limits, v.plan_id,"
    " v.run_id, (SELECT json_group_array(json_array(c.name, c.severity, c.passed)) FROM asset_check c"
    " WHERE c.asset_version_id = v.asset_version_id)"
)
_ASSET: Final = "(SELECT asset_id FROM asset WHERE name = ?1)"
_LONGEST: Final = f"SELECT end_us - start_us FROM asset_version WHERE asset_id = {_ASSET} ORDER BY end_us - start_us DESC LIMIT 1"


def version_of(asset: str, row: tuple[Any, ...]) -> Version:
    version_id, start, end, state, created, label, schema_id, limits, plan_id, run_id, checks = row
    known = Limits() if limits is None else typed.decode(limits, Limits)
    return Version(
        version_id=version_id, asset=asset, start_us=start, end_us=end, state=VersionState(state), created_us=created,
        label=label, schema_id=schema_id, checks=checks_of(checks), limits=known.known_limitations,
        expires_us=known.expires_us, plan_id=plan_id, run_id=run_id,
    )  # fmt: skip


def checks_of(text: str) -> tuple[Checked, ...]:
    if text == "[]":
        return ()
    return tuple(
        Checked(name, Severity(severity), bool(passed))
        for name, severity, passed in msgspec.json.decode(text)
    )


def observed(conn: sqlite3.Connection, wish: Wish) -> Observed:
    """What there is of an asset for an interval."""
    upstream, start_us, end_us, exact = wish.upstream, wish.start_us, wish.end_us, wish.exact

    def one(where: str, *values: Any, order: str = "v.asset_version_id DESC") -> Version | None:
        row = conn.execute(
            f"SELECT {_COLUMNS} FROM asset_version v WHERE v.asset_id = {_ASSET} AND v.shadow = 0 AND {where}"
            f" ORDER BY {order} LIMIT 1",
            (upstream, *values),
        ).fetchone()
        return None if row is None else version_of(upstream, row)

    if conn.execute("SELECT 1 FROM asset WHERE name = ?", (upstream,)).fetchone() is None:
        return Observed(upstream, known=False)
    over = conn.execute(
        f"SELECT {_COLUMNS} FROM asset_version v WHERE v.asset_id = {_ASSET}"
        f" AND v.start_us BETWEEN ?2 - ({_LONGEST}) AND ?3"
        " AND (v.start_us < ?3 AND v.end_us > ?2 OR v.start_us = ?2 AND (v.end_us = ?3 OR ?2 = ?3))"
        " AND v.state <> 'building' AND v.shadow = 0 AND (v.plan_id IS NULL OR v.plan_id IS ?4"
        " OR v.state NOT IN ('staged', 'validated')) ORDER BY +v.asset_version_id DESC LIMIT ?5",
        (upstream, start_us, end_us, wish.plan_id, MOST),
    ).fetchall()
    named = None
    if exact is not None:
        if exact.isascii() and exact.isdigit() and len(exact) < 19:
            named = one("v.asset_version_id = ?2", int(exact))
        if named is None:
            named = one("v.label = ?2 AND v.label <> ''", exact)
    return Observed(
        upstream,
        over=tuple(version_of(upstream, row) for row in reversed(over)),
        latest=one(f"v.state IN {_VISIBLE}", order=_NEWEST),
        exact=named,
        previous=one(f"v.state IN {_VISIBLE} AND v.end_us <= ?2", start_us, order=_NEWEST),
        read=None if wish.version_id is None else _given(conn, upstream, wish.version_id, wish.instance_id),
        accepted=_accepted(conn, upstream, wish.downstream),
        gates=tuple(
            Checked(name, Severity(severity), False)
            for name, severity in conn.execute(
                f"SELECT name, severity FROM gate WHERE asset_id = {_ASSET} AND ended_us IS NULL ORDER BY name",
                (upstream,),
            )
        ),
        schemas=_schemas(conn, upstream),
    )


def _given(
    conn: sqlite3.Connection, upstream: str, version_id: int, instance_id: int | None
) -> tuple[Version, ...] | None:
    """The versions of an asset that a version is made of, as they are now, none too; None: it was not decided.

    Its instance may have been run again since, and have been given others.
    """
    found = conn.execute(
        f"SELECT {_COLUMNS} FROM asset_input r JOIN asset_version v ON v.asset_version_id = r.input_id"
        f" WHERE r.asset_version_id = ?2 AND v.asset_id = {_ASSET} ORDER BY v.start_us, v.asset_version_id",
        (upstream, version_id),
    ).fetchall()
    if (
        not found
        and not conn.execute(
            "SELECT 1 FROM decision WHERE instance_id = ? AND phase = 'executing' LIMIT 1", (instance_id,)
        ).fetchone()
    ):
        return None
    return tuple(version_of(upstream, row) for row in found)


def _accepted(conn: sqlite3.Connection, upstream: str, downstream: str) -> tuple[int, ...]:
    """The schemas that a consumer is known to live with: those of inputs of what it published."""
    found = conn.execute(
        f"SELECT s.schema_id FROM asset_schema s WHERE s.asset_id = {_ASSET} AND EXISTS (SELECT 1 FROM asset_version u"
        " JOIN asset_input i ON i.input_id = u.asset_version_id JOIN asset_version d"
        " ON d.asset_version_id = i.asset_version_id WHERE u.schema_id = s.schema_id"
        f" AND d.asset_id = (SELECT asset_id FROM asset WHERE name = ?2) AND d.state IN {_SEEN}) ORDER BY 1",
        (upstream, downstream),
    ).fetchall()
    return tuple(schema for (schema,) in found)


def _schemas(conn: sqlite3.Connection, upstream: str) -> tuple[tuple[int, Any], ...]:
    """Those of versions that were visible, in the order of their first one."""
    found = conn.execute(
        f"SELECT s.schema_id, s.schema FROM asset_schema s WHERE s.asset_id = {_ASSET} AND EXISTS (SELECT 1"
        f" FROM asset_version v WHERE v.schema_id = s.schema_id AND v.state IN {_SEEN}) ORDER BY s.schema_id",
        (upstream,),
    ).fetchall()
    return tuple((schema_id, msgspec.json.decode(schema)) for schema_id, schema in found)


def schema_id(conn: sqlite3.Connection, asset: str, digest: str) -> int | None:
    """The number of a schema that versions of the asset had before, by its hash."""
    row = conn.execute(
        f"SELECT schema_id FROM asset_schema WHERE asset_id = {_ASSET} AND hash = ?2", (asset, digest)
    ).fetchone()
    return None if row is None else row[0]


def approved(conn: sqlite3.Connection, kind: str, subject_id: int) -> frozenset[str]:
    """What exactly people have approved of a subject."""
    return frozenset(
        about
        for (about,) in conn.execute(
            "SELECT about FROM approval WHERE kind = ? AND subject_id = ? AND state = 'approved'",
            (kind, subject_id),
        )
    )


class StoredVersion(msgspec.Struct, frozen=True):
    """A version with where it comes from, whatever its state."""

    version: Version
    dag_id: int | None
    instance_id: int | None
    attempt_id: int | None
    held: bool
    shadow: bool
    reason: str
    limits: Limits | None
    newer: int | None
    """A later version of the very interval that consumers see"""


def version(conn: sqlite3.Connection, version_id: int) -> StoredVersion | None:
    row = conn.execute(
        f"SELECT {_COLUMNS}, a.name, v.dag_id, v.instance_id, v.attempt_id, v.held, v.shadow, v.reason,"
        " (SELECT max(w.asset_version_id) FROM asset_version w WHERE w.asset_id = v.asset_id AND w.start_us = v.start_us"
        f" AND w.end_us = v.end_us AND w.asset_version_id > v.asset_version_id AND w.state IN {_VISIBLE})"
        " FROM asset_version v JOIN asset a USING (asset_id) WHERE v.asset_version_id = ?",
        (version_id,),
    ).fetchone()
    if row is None:
        return None
    name, dag_id, instance_id, attempt_id, held, shadow, reason, newer = row[11:]
    limits = None if row[7] is None else typed.decode(row[7], Limits)
    one = version_of(name, row[:11])
    return StoredVersion(
        one, dag_id, instance_id, attempt_id, bool(held), bool(shadow), reason, limits, newer
    )


def read_by(conn: sqlite3.Connection, run_id: int, task: str) -> list[Version]:
    """The versions that a task of a run may read, as decided before it began; of a mapped task for all of it."""
    found = conn.execute(
        f"SELECT {_COLUMNS}, a.name FROM reading r JOIN asset_version v ON v.asset_version_id = r.input_id"
        " JOIN asset a USING (asset_id) WHERE r.instance_id = (SELECT instance_id FROM task_instance"
        " WHERE run_id = ? AND task = ? AND map_index = -1) ORDER BY a.name, v.start_us, v.asset_version_id",
        (run_id, task),
    ).fetchall()
    return [version_of(row[11], row[:11]) for row in found]


def beside(conn: sqlite3.Connection, version_id: int) -> tuple[Side, Side | None]:
    """A version, and the newest of its interval that consumers see."""
    (seen,) = conn.execute(
        "SELECT (SELECT max(w.asset_version_id) FROM asset_version w WHERE w.asset_id = v.asset_id"
        f" AND w.start_us = v.start_us AND w.end_us = v.end_us AND w.state IN {_VISIBLE})"
        " FROM asset_version v WHERE v.asset_version_id = ?",
        (version_id,),
    ).fetchone()
    return _side(conn, version_id), None if seen is None else _side(conn, seen)


def _side(conn: sqlite3.Connection, version_id: int) -> Side:
    label, meta, schema_id, schema, checks = conn.execute(
        "SELECT v.label, v.meta, v.schema_id, s.schema, (SELECT json_group_object(c.name, c.passed) FROM asset_check c"
        " WHERE c.asset_version_id = v.asset_version_id) FROM asset_version v LEFT JOIN asset_schema s USING (schema_id)"
        " WHERE v.asset_version_id = ?",
        (version_id,),
    ).fetchone()
    passed = {name: bool(one) for name, one in msgspec.json.decode(checks).items()}
    return Side(
        version_id, label, {} if meta is None else msgspec.json.decode(meta), schema_id,
        None if schema is None else msgspec.json.decode(schema), passed,
    )  # fmt: skip
