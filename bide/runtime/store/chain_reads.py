"""What made a run, and what it read and made, asked on a connection that may be read-only."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime.assets.words import VersionState
from bide.runtime.engine.states import RunState
from bide.runtime.store.rows import in_one


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class VersionRow(_Read, frozen=True):
    """`run_id` and `dag` made it; null where a person or another program did."""

    version_id: int
    asset: str
    state: VersionState
    start_us: int
    end_us: int
    run_id: int | None
    dag: str | None


class RunRow(_Read, frozen=True):
    """`backfill_id` and `plan_id`: what has it as one of its runs."""

    run_id: int
    dag: str
    kind: str
    state: RunState
    logical_us: int
    start_us: int
    end_us: int
    created_us: int
    reason: str
    backfill_id: int | None
    plan_id: int | None


_RUN = (
    "SELECT r.run_id, d.name, r.kind, r.state, r.logical_us, r.start_us, r.end_us, r.created_us, r.reason,"
    " (SELECT b.backfill_id FROM backfill_interval b WHERE b.run_id = r.run_id LIMIT 1),"
    " (SELECT s.plan_id FROM rerun_step s WHERE s.run_id = r.run_id LIMIT 1)"
    " FROM {source} CROSS JOIN run r ON r.run_id = x.run_id JOIN dag d USING (dag_id) ORDER BY r.run_id LIMIT ?2"
)
_VERSION = (
    "SELECT v.asset_version_id, a.name, v.state, v.start_us, v.end_us, v.run_id, d.name"
    " FROM {source} CROSS JOIN asset_version v ON v.asset_version_id = x.version_id"
    " JOIN asset a USING (asset_id) LEFT JOIN dag d ON d.dag_id = v.dag_id"
    " ORDER BY v.asset_version_id LIMIT ?2"
)
_MADE = (
    "SELECT v.asset_version_id AS version_id FROM task_instance i"
    " CROSS JOIN asset_version v ON v.instance_id = i.instance_id WHERE i.run_id = ?1"
)


def run(conn: sqlite3.Connection, run_id: int) -> RunRow | None:
    found = in_one(conn, RunRow, _RUN.format(source="(SELECT ?1 AS run_id) x"), (run_id, 1))
    return found[0] if found else None


def set_going_by(conn: sqlite3.Connection, run_id: int, limit: int) -> list[VersionRow]:
    """The versions that a run was made for."""
    source = (
        "(SELECT DISTINCT asset_version_id AS version_id FROM run_trigger WHERE run_id = ?1 AND used = 1) x"
    )
    return in_one(conn, VersionRow, _VERSION.format(source=source), (run_id, limit))


def made(conn: sqlite3.Connection, run_id: int, limit: int) -> list[VersionRow]:
    return in_one(conn, VersionRow, _VERSION.format(source=f"({_MADE}) x"), (run_id, limit))


def read(conn: sqlite3.Connection, run_id: int, limit: int) -> list[VersionRow]:
    """What its tasks might read, as was decided before they began, and what its versions were made of."""
    source = (
        "(SELECT g.input_id AS version_id FROM task_instance i CROSS JOIN reading g USING (instance_id) WHERE i.run_id = ?1"
        f" UNION SELECT n.input_id FROM ({_MADE}) m CROSS JOIN asset_input n ON n.asset_version_id = m.version_id) x"
    )
    return in_one(conn, VersionRow, _VERSION.format(source=source), (run_id, limit))


def sets_going(conn: sqlite3.Connection, run_id: int, limit: int) -> list[RunRow]:
    """The runs that were made for what it made."""
    source = (
        f"(SELECT DISTINCT t.run_id FROM ({_MADE}) m CROSS JOIN run_trigger t ON t.asset_version_id = m.version_id"
        " WHERE t.used = 1) x"
    )
    return in_one(conn, RunRow, _RUN.format(source=source), (run_id, limit))
