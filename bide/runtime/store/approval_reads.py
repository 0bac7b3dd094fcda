"""Approvals: those that are open, for a start; and how one stands."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.engine.states import ApprovalKind, ApprovalState
from bide.runtime.store.rows import _Row, columns, listed


class ApprovalRow(_Row, frozen=True):
    """One that nobody has decided; `who` is JSON."""

    approval_id: int
    kind: ApprovalKind
    subject_id: int
    run_id: int | None
    prompt: str
    who: str
    asked_us: int
    expires_us: int | None
    about: str


OPEN: Final = f"SELECT {columns(ApprovalRow)} FROM approval WHERE state = 'open' ORDER BY approval_id"


def open_approvals(conn: sqlite3.Connection) -> list[ApprovalRow]:
    """Those that nobody has decided, in the order they were asked."""
    return listed(conn, ApprovalRow, OPEN)


class ApprovalOver(msgspec.Struct, frozen=True, array_like=True):
    """How an approval stands."""

    state: str
    by: str
    why: str


def how_it_stands(conn: sqlite3.Connection, approval_id: int) -> ApprovalOver | None:
    """How an approval stands; None when there is none of that number."""
    row = conn.execute("SELECT state, by, why FROM approval WHERE approval_id = ?", (approval_id,)).fetchone()
    return ApprovalOver(*row) if row else None


class ApprovalShown(_Row, frozen=True):
    """An approval with what it is of. `who` is JSON."""

    approval_id: int
    kind: ApprovalKind
    state: ApprovalState
    subject_id: int
    run_id: int | None
    dag: str | None
    task: str | None
    map_index: int | None
    asset: str | None
    prompt: str
    who: str
    asked_us: int
    expires_us: int | None
    decided_us: int | None
    by: str
    why: str
    about: str


_SHOWN: Final = (
    "SELECT p.approval_id, p.kind, p.state, p.subject_id, p.run_id, d.name, i.task, i.map_index, a.name, p.prompt,"
    " p.who, p.asked_us, p.expires_us, p.decided_us, p.by, p.why, p.about FROM approval p"
    " LEFT JOIN run r USING (run_id) LEFT JOIN dag d USING (dag_id)"
    " LEFT JOIN task_instance i ON p.kind IN ('task', 'contract', 'effect') AND i.instance_id = p.subject_id"
    " LEFT JOIN asset_version v ON p.kind IN ('publication', 'degraded') AND v.asset_version_id = p.subject_id"
    " LEFT JOIN asset a ON a.asset_id = v.asset_id"
)
_NEWEST = " ORDER BY 1 DESC LIMIT ?3"


def approvals(
    conn: sqlite3.Connection,
    state: str | None = None,
    run_id: int | None = None,
    limit: int = 100,
    before: int = 2**63 - 1,
) -> list[ApprovalShown]:
    """Of one state or of all, of one run or of all; the newest first, of those below `before`."""
    sql = f"{_SHOWN} WHERE (?1 IS NULL OR p.state = ?1) AND (?2 IS NULL OR p.run_id = ?2) AND p.approval_id < ?4{_NEWEST}"
    if state == ApprovalState.OPEN:  # by the index of those that are open
        sql = f"{_SHOWN} WHERE p.state = 'open' AND (?2 IS NULL OR p.run_id = ?2) AND ?1 IS ?1 AND p.approval_id < ?4{_NEWEST}"
    return listed(conn, ApprovalShown, sql, (state, run_id, limit, before))


def open_of_instance(conn: sqlite3.Connection, instance_id: int) -> ApprovalShown | None:
    """What a task instance waits for."""
    sql = f"{_SHOWN} WHERE p.kind IN ('task', 'contract', 'effect') AND p.subject_id = ? AND p.state = 'open'"
    found = listed(conn, ApprovalShown, sql, (instance_id,))
    return found[0] if found else None
