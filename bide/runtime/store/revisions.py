"""The number that an entity has as it stands: it is another one after every change that an edit must know of.

For what the journal follows it is that of its newest line there. What has a row that says it all has
its number from that: an approval when it was decided, a wait its deadline, or when it ended.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_THERE: Final = {
    "dag": "SELECT dag_id FROM dag WHERE name = ?",
    "run": "SELECT run_id FROM run WHERE run_id = ?",
    "backfill": "SELECT backfill_id FROM backfill WHERE backfill_id = ?",
    "plan": "SELECT plan_id FROM rerun_plan WHERE plan_id = ?",
    "incident": "SELECT incident_id FROM incident WHERE incident_id = ?",
}
_ROW: Final = {
    "approval": "SELECT coalesce(decided_us, 0) FROM approval WHERE approval_id = ?",
    "wait": "SELECT coalesce(ended_us, deadline_us) FROM wait WHERE wait_id = ?",
}
_VERSION: Final = "SELECT run_id FROM asset_version WHERE asset_version_id = ?"
_OF_VERSION: Final = (  # its lines are of the run that made it; of no run: by the index of what stands apart
    "SELECT seq FROM event WHERE run_id IS ?1 AND subject = 'version' AND subject_id = ?2 ORDER BY seq DESC LIMIT 1"
)
_OF_RUN: Final = "SELECT seq FROM event WHERE run_id = ? ORDER BY seq DESC LIMIT 1"
_APART: Final = (
    "SELECT seq FROM event WHERE subject = ? AND subject_id = ? AND run_id IS NULL ORDER BY seq DESC LIMIT 1"
)


def revision(conn: sqlite3.Connection, kind: str, name: str | int) -> int | None:
    """None: there is none of that name. 0: of what the journal had of it nothing is kept any more."""
    if kind in _ROW:
        row = conn.execute(_ROW[kind], (name,)).fetchone()
        return None if row is None else int(row[0])
    if kind == "version":
        made = conn.execute(_VERSION, (name,)).fetchone()
        if made is None:
            return None
        newest = conn.execute(_OF_VERSION, (made[0], name)).fetchone()
        return 0 if newest is None else int(newest[0])
    there = conn.execute(_THERE[kind], (name,)).fetchone()
    if there is None:
        return None
    newest = (
        conn.execute(_OF_RUN, there) if kind == "run" else conn.execute(_APART, (kind, there[0]))
    ).fetchone()
    return 0 if newest is None else int(newest[0])
