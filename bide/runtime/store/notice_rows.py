"""What the sender of notices reads: alerts that no route was given yet, what was told of late, what is due."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.store.rows import in_one


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class AlertRead(_Read, frozen=True):
    """An alert as routes see it. `owners`, `tags` and `payload` are JSON."""

    alert_id: int
    kind: str
    subject: str
    severity: str
    owners: str
    tags: str
    run_id: int | None
    fired_us: int
    text: str
    payload: str


class LastRead(_Read, frozen=True):
    """The newest notice of a route and key that was told, or will be. `sealed`: an attempt has begun, so nothing joins it any more.

    `told` is the severity of the newest sealed one, "" where there is none.
    """

    notice_id: int
    route: str
    key: str
    severity: str
    count: int
    title: str
    from_us: int
    next_us: int
    sealed: int
    told: str


class DueRead(_Read, frozen=True):
    """A notice to be sent now. `moot`: whoever it is about knows, or nobody is asked any more."""

    notice_id: int
    route: str
    kind: str
    severity: str
    state: str
    count: int
    title: str
    made_us: int
    attempts: int
    message: str | None
    moot: int


class UntoldRead(_Read, frozen=True):
    """A notice that was tried in vain, with the newest of its alerts."""

    notice_id: int
    key: str
    severity: str
    count: int
    attempts: int
    alerts: list[int] = []


class NoticeShown(_Read, frozen=True):
    notice_id: int
    route: str
    kind: str
    severity: str
    state: str
    count: int
    title: str
    made_us: int
    next_us: int
    attempts: int
    status: int | None
    error: str
    ended_us: int | None


class OffRead(_Read, frozen=True):
    route: str
    target: str
    off_us: int
    reason: str


_ALERT: Final = (
    "a.alert_id, a.kind, a.subject, a.severity, a.owners, a.tags, a.run_id, a.fired_us, a.text, a.payload"
)
_SHOWN: Final = "notice_id, route, kind, severity, state, count, title, made_us, next_us, attempts, status, error, ended_us"
_TOLD: Final = "state NOT IN ('failed', 'gone', 'moot')"
_OPEN: Final = "state IN ('pending', 'sending')"
MOST_RETRIED: Final = 1_000


def routed(conn: sqlite3.Connection) -> int | None:
    """Up to which alert the routes have been asked; None: never."""
    row = conn.execute("SELECT alert_id FROM notice_routed").fetchone()
    return None if row is None else int(row[0])


def alerts_after(conn: sqlite3.Connection, after: int, limit: int) -> list[AlertRead]:
    rows = conn.execute(
        f"SELECT {_ALERT} FROM alert a WHERE a.alert_id > ? ORDER BY a.alert_id LIMIT ?", (after, limit)
    ).fetchall()
    return typed.convert(rows, list[AlertRead])


def alerts_of(conn: sqlite3.Connection, notice_id: int, limit: int) -> list[AlertRead]:
    """The newest ones that it stands for, oldest first."""
    rows = conn.execute(
        f"SELECT {_ALERT} FROM notice_alert n JOIN alert a USING (alert_id) WHERE n.notice_id = ?"
        " ORDER BY n.alert_id DESC LIMIT ?",
        (notice_id, limit),
    ).fetchall()
    return typed.convert(rows[::-1], list[AlertRead])


def last_of(conn: sqlite3.Connection, those: Iterable[tuple[str, str]]) -> list[LastRead]:
    """Of each (route, key) the newest notice; one that told nobody begins no window."""
    found: list[LastRead] = []
    for route, key in those:
        row = conn.execute(
            "SELECT notice_id, route, key, severity, count, title, from_us, next_us,"
            " state <> 'pending' OR message IS NOT NULL, coalesce((SELECT severity FROM notice WHERE route = ?1 AND key = ?2"
            " AND (state <> 'pending' OR message IS NOT NULL) ORDER BY notice_id DESC LIMIT 1), '') FROM notice"
            f" WHERE route = ?1 AND key = ?2 AND {_TOLD} ORDER BY notice_id DESC LIMIT 1",
            (route, key),
        ).fetchone()
        if row is not None:
            found.append(typed.convert(row, LastRead))
    return found


def told_since(conn: sqlite3.Connection, route: str, since_us: int) -> int:
    """How many notices of single subjects a route had since then."""
    row = conn.execute(
        "SELECT count(*) FROM notice WHERE route = ? AND from_us > ? AND key <> '*'", (route, since_us)
    ).fetchone()
    return int(row[0])


def due(conn: sqlite3.Connection, route: str, now: int) -> DueRead | None:
    """The first that is due of a route."""
    row = conn.execute(
        "SELECT n.notice_id, n.route, n.kind, n.severity, n.state, n.count, n.title, n.made_us, n.attempts, n.message,"
        " EXISTS (SELECT 1 FROM notice_alert l WHERE l.notice_id = n.notice_id) AND NOT EXISTS ("
        " SELECT 1 FROM notice_alert l JOIN alert a USING (alert_id)"
        " LEFT JOIN approval p ON a.kind = 'approval' AND p.approval_id = substr(a.key, 10) + 0"
        " WHERE l.notice_id = n.notice_id AND a.state <> 'acked' AND coalesce(p.state, 'open') = 'open')"
        f" FROM notice n WHERE n.route = ? AND n.{_OPEN} AND n.next_us <= ? ORDER BY n.next_us, n.notice_id LIMIT 1",
        (route, now),
    ).fetchone()
    return None if row is None else typed.convert(row, DueRead)


def untold(conn: sqlite3.Connection, notice_id: int, attempts: int, shown: int) -> list[UntoldRead]:
    """Those before it of its route and key that have been tried so often, and are still to arrive."""
    found = conn.execute(
        "SELECT o.notice_id, o.key, o.severity, o.count, o.attempts FROM notice n JOIN notice o USING (route, key)"
        f" WHERE n.notice_id = ? AND o.notice_id < n.notice_id AND o.{_OPEN} AND o.attempts >= ?",
        (notice_id, attempts),
    ).fetchall()
    newest = "SELECT alert_id FROM notice_alert WHERE notice_id = ? ORDER BY alert_id DESC LIMIT ?"
    return [
        typed.convert((*row, [alert for (alert,) in conn.execute(newest, (row[0], shown))]), UntoldRead)
        for row in found
    ]


def next_due(conn: sqlite3.Connection, route: str) -> int | None:
    row = conn.execute(f"SELECT min(next_us) FROM notice WHERE route = ? AND {_OPEN}", (route,)).fetchone()
    return None if row[0] is None else int(row[0])


def off(conn: sqlite3.Connection) -> list[OffRead]:
    """Routes whose receivers said that they are gone."""
    rows = conn.execute("SELECT route, target, off_us, reason FROM notice_off ORDER BY route").fetchall()
    return typed.convert(rows, list[OffRead])


def open_counts(conn: sqlite3.Connection) -> dict[str, int]:
    """Route -> notices that are to be sent."""
    return dict(conn.execute(f"SELECT route, count(*) FROM notice WHERE {_OPEN} GROUP BY route").fetchall())


def notices(
    conn: sqlite3.Connection, route: str | None, state: str | None, limit: int, before: int = 2**63 - 1
) -> list[NoticeShown]:
    """The newest first."""
    return in_one(
        conn,
        NoticeShown,
        f"SELECT {_SHOWN} FROM notice WHERE (?1 IS NULL OR route = ?1) AND (?2 IS NULL OR state = ?2)"
        " AND notice_id < ?4 ORDER BY notice_id DESC LIMIT ?3",
        (route, state, limit, before),
    )


def notice(conn: sqlite3.Connection, notice_id: int) -> NoticeShown | None:
    row = conn.execute(f"SELECT {_SHOWN} FROM notice WHERE notice_id = ?", (notice_id,)).fetchone()
    return None if row is None else typed.convert(row, NoticeShown)


def to_retry(conn: sqlite3.Connection, number: int | None, route: str | None) -> list[tuple[int, str, str]]:
    """(notice, route, state) of one, whatever its state; or of those that failed, all or of a route."""
    if number is not None:
        sql, args = "SELECT notice_id, route, state FROM notice WHERE notice_id = ?", (number,)
        return conn.execute(sql, args).fetchall()
    return conn.execute(
        "SELECT notice_id, route, state FROM notice WHERE state IN ('failed', 'gone') AND (?1 IS NULL OR route = ?1)"
        " ORDER BY notice_id DESC LIMIT ?2",
        (route, MOST_RETRIED),
    ).fetchall()
