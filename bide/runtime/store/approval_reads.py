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


class ApprovalSubject(_Row, frozen=True):
    """What an approval is about: numbers, and the interval of its run or version."""

    kind: ApprovalKind
    subject_id: int
    run_id: int | None
    task: str | None
    decision_id: int | None
    about: str
    start_us: int | None
    end_us: int | None


class ResultBefore(_Row, frozen=True):
    """What a task right before it has returned. `value` is JSON, cut."""

    task: str
    state: str
    value: str | None


class VersionAbout(_Row, frozen=True):
    asset: str
    version_id: int
    state: str
    start_us: int
    end_us: int


def subject_of(conn: sqlite3.Connection, approval_id: int) -> ApprovalSubject | None:
    found = listed(
        conn,
        ApprovalSubject,
        "SELECT p.kind, p.subject_id, p.run_id, i.task, p.decision_id, p.about, coalesce(v.start_us, r.start_us),"
        " coalesce(v.end_us, r.end_us) FROM approval p LEFT JOIN run r USING (run_id)"
        " LEFT JOIN task_instance i ON p.kind IN ('task', 'contract', 'effect') AND i.instance_id = p.subject_id"
        " LEFT JOIN asset_version v ON p.kind IN ('publication', 'degraded') AND v.asset_version_id = p.subject_id"
        " WHERE p.approval_id = ?",
        (approval_id,),
    )
    return found[0] if found else None


def results_before(
    conn: sqlite3.Connection, run_id: int, task: str, most: int, cut: int
) -> list[ResultBefore]:
    """What the tasks right before this one returned, the first `cut` characters of each."""
    return listed(
        conn,
        ResultBefore,
        "SELECT i.task, i.state, substr(o.value, 1, ?4) FROM run r JOIN dag_version v USING (version_id),"
        " json_each(v.spec, '$.tasks') t, json_each(t.value, '$.upstream') u"
        " JOIN task_instance i ON i.run_id = r.run_id AND i.task = u.value AND i.map_index = -1"
        " LEFT JOIN output o USING (instance_id)"
        " WHERE r.run_id = ?1 AND json_extract(t.value, '$.name') = ?2 ORDER BY i.task LIMIT ?3",
        (run_id, task, most, cut),
    )


def decision_about(conn: sqlite3.Connection, decision_id: int) -> tuple[str, str] | None:
    """(reason, issues as JSON) of what was decided before somebody was asked."""
    row = conn.execute("SELECT reason, issues FROM decision WHERE decision_id = ?", (decision_id,)).fetchone()
    return (row[0], row[1]) if row else None


_VERSION: Final = "SELECT a.name, v.asset_version_id, v.state, v.start_us, v.end_us FROM asset_version v JOIN asset a USING (asset_id)"


def versions_about(conn: sqlite3.Connection, subject: ApprovalSubject, most: int) -> list[VersionAbout]:
    """The version that is to be seen and what it is made of; of a run, the versions that it has made."""
    if subject.kind in (ApprovalKind.PUBLICATION, ApprovalKind.DEGRADED):
        sql = (
            f"{_VERSION} WHERE v.asset_version_id = ?1 OR v.asset_version_id IN"
            " (SELECT input_id FROM asset_input WHERE asset_version_id = ?1) ORDER BY v.asset_version_id = ?1 DESC, 1, 2 LIMIT ?2"
        )
        return listed(conn, VersionAbout, sql, (subject.subject_id, most))
    if subject.run_id is None:
        return []
    return listed(
        conn, VersionAbout, f"{_VERSION} WHERE v.run_id = ?1 ORDER BY 2 DESC LIMIT ?2", (subject.run_id, most)
    )


def delivery_about(conn: sqlite3.Connection, key: str) -> int | None:
    """The delivery of that key, if it was begun."""
    row = conn.execute("SELECT delivery_id FROM delivery WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None
