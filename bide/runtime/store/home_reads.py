"""What needs a person, what is next and what was of late: rows behind the first page. Bounded, along indices of what is open."""

from __future__ import annotations

import sqlite3
from typing import Final

from bide.runtime.store.migrate import version_of
from bide.runtime.store.queries import sql_of
from bide.runtime.store.rows import _Row

MOST: Final = 1_000
"""Alerts, and assets, that are looked at."""
LATELY: Final = 5_000
"""Runs, the newest, of which it is said how they went."""

_ALERTS: Final = f"""
SELECT a.alert_id, a.kind, a.subject, a.promise, a.severity, a.fired_us, a.text, a.payload, a.run_id, d.name, r.state
FROM alert a LEFT JOIN run r ON r.run_id = a.run_id LEFT JOIN dag d ON d.dag_id = r.dag_id
WHERE a.state = 'new' AND a.kind <> 'approval' ORDER BY a.alert_id DESC LIMIT {MOST}
"""
_LOST: Final = f"""
SELECT i.run_id, d.name, i.task, i.map_index, i.since_us, i.reason
FROM run r CROSS JOIN task_instance i ON i.run_id = r.run_id JOIN dag d ON d.dag_id = r.dag_id
WHERE r.ended_us IS NULL AND i.state = 'lost' ORDER BY i.instance_id LIMIT {MOST}
"""
_PAUSED: Final = """
SELECT d.name, d.paused, coalesce((SELECT u.who FROM audit u WHERE u.at_us = d.paused AND u.outcome = 'ok'
  AND u.verb IN ('pause', 'bulk') ORDER BY u.audit_id DESC LIMIT 1), '')
FROM dag d WHERE d.removed = 0 AND d.paused > 0 ORDER BY d.paused DESC
"""
_WRONG: Final = f"""
SELECT a.name, v.asset_version_id, v.state, coalesce(v.since_us, v.created_us), v.reason, a.owner
FROM (SELECT asset_id, name, owner FROM asset ORDER BY asset_id LIMIT {MOST}) a
JOIN asset_version v ON v.asset_version_id = (
  SELECT n.asset_version_id FROM asset_version n
  WHERE n.asset_id = a.asset_id AND n.shadow = 0 AND n.state NOT IN ('building', 'superseded')
  ORDER BY n.asset_version_id DESC LIMIT 1)
WHERE v.state IN ('stale', 'degraded', 'invalidated', 'quarantined') ORDER BY v.asset_version_id DESC
"""
_DUE: Final = """
SELECT name, schedule, options, anchor_us, next_fires_us FROM dag
WHERE removed = 0 AND paused = 0 AND next_fires_us < ? ORDER BY next_fires_us LIMIT ?
"""
_LATELY: Final = """
SELECT created_us / ?1, state, count(*)
FROM (SELECT created_us, state FROM run ORDER BY run_id DESC LIMIT ?3) WHERE created_us >= ?2 GROUP BY 1, 2
"""
_BEFORE_THESE: Final = "SELECT created_us >= ? FROM run ORDER BY run_id DESC LIMIT 1 OFFSET ?"


class AlertOpen(_Row, frozen=True):
    """An alert that nobody has taken. `run_state` is that of its run, null where it has none."""

    alert_id: int
    kind: str
    subject: str
    promise: str
    severity: str
    fired_us: int
    text: str
    payload: str
    run_id: int | None
    dag: str | None
    run_state: str | None


class LostTask(_Row, frozen=True):
    """A task whose process died, and which is not run again by itself."""

    run_id: int
    dag: str
    task: str
    map_index: int
    since_us: int
    reason: str


class PausedDag(_Row, frozen=True):
    """`who` is "" where that is not known any more."""

    dag: str
    since_us: int
    who: str


class WrongVersion(_Row, frozen=True):
    """The newest version of an asset, where it is none to rely on."""

    asset: str
    version: int
    state: str
    since_us: int
    reason: str
    owner: str


class DueDag(_Row, frozen=True):
    """A DAG that fires soon. `schedule` and `options` are JSON."""

    dag: str
    schedule: str
    options: str
    anchor_us: int | None
    next_fires_us: int


def open_alerts(conn: sqlite3.Connection) -> list[AlertOpen]:
    """The newest first; not those of approvals, which are asked for themselves."""
    return [AlertOpen(*row) for row in conn.execute(_ALERTS)]


def lost_tasks(conn: sqlite3.Connection) -> list[LostTask]:
    """Those of runs that are not over."""
    return [LostTask(*row) for row in conn.execute(_LOST)]


def paused_dags(conn: sqlite3.Connection) -> list[PausedDag]:
    """The last one first. Who it was stands in the audit log at the same instant."""
    return [PausedDag(*row) for row in conn.execute(_PAUSED)]


def wrong_versions(conn: sqlite3.Connection) -> list[WrongVersion]:
    """Of each asset its newest version, where that is stale, degraded, invalidated or quarantined."""
    return [WrongVersion(*row) for row in conn.execute(_WRONG)]


def due_dags(conn: sqlite3.Connection, until_us: int, limit: int) -> list[DueDag]:
    """Those that fire before an instant, the soonest first."""
    return [DueDag(*row) for row in conn.execute(_DUE, (until_us, limit))]


def lately(conn: sqlite3.Connection, since_us: int, span_us: int) -> tuple[list[tuple[int, str, int]], bool]:
    """(number of the span since the epoch, state, runs that were made in it), of the newest runs; and whether that is all
    since then.
    """
    next_older = conn.execute(_BEFORE_THESE, (since_us, LATELY)).fetchone()
    return conn.execute(_LATELY, (span_us, since_us, LATELY)).fetchall(), next_older in (None, (0,))


def ground(conn: sqlite3.Connection) -> tuple[int, str, dict[str, int]]:
    """(number of the schema, how SQLite keeps its log, open waits by kind)."""
    journal = str(conn.execute("PRAGMA journal_mode").fetchone()[0])
    return version_of(conn), journal, dict(conn.execute(sql_of("wait_counts")).fetchall())
