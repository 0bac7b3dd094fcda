"""What is asked about decisions, on a connection that may be read-only."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime.store.rows import in_one


class DecisionRead(msgspec.Struct, frozen=True, array_like=True):
    """A decision; `issues` is JSON."""

    decision_id: int
    at_us: int
    phase: str
    asset: str
    start_us: int
    end_us: int
    consumer: str
    level: str
    retryable: int
    reason: str
    issues: str
    run_id: int | None
    task: str | None
    version: int | None
    by: str


def decisions(
    conn: sqlite3.Connection, asset: str | None, run_id: int | None, limit: int, before: int = 2**63 - 1
) -> list[DecisionRead]:
    """The newest first."""
    narrowed = " AND d.asset_id = (SELECT asset_id FROM asset WHERE name = ?1)" if asset is not None else ""
    narrowed += " AND d.run_id = ?2" if run_id is not None else ""
    return in_one(
        conn,
        DecisionRead,
        "SELECT d.decision_id, d.at_us, d.phase, a.name, d.start_us, d.end_us, d.consumer, d.level, d.retryable,"
        " d.reason, d.issues, d.run_id, i.task, d.asset_version_id, d.by FROM decision d JOIN asset a USING (asset_id)"
        " LEFT JOIN task_instance i ON i.instance_id = d.instance_id"
        f" WHERE d.decision_id < ?4{narrowed} ORDER BY d.decision_id DESC LIMIT ?3",
        (asset, run_id, limit, before),
    )


class MadeRead(msgspec.Struct, frozen=True, array_like=True):
    """A version that a task instance made."""

    version: int
    asset: str
    state: str
    held: int
    shadow: int
    reason: str


def made_by(conn: sqlite3.Connection, instance_id: int) -> list[MadeRead]:
    """The newest first; of many reruns the last ones."""
    return in_one(
        conn,
        MadeRead,
        "SELECT v.asset_version_id, a.name, v.state, v.held, v.shadow, v.reason FROM asset_version v"
        " JOIN asset a USING (asset_id) WHERE v.instance_id = ? ORDER BY v.asset_version_id DESC LIMIT 20",
        (instance_id,),
    )
