"""The journal as lines with names instead of ids: what it says then is the same in every database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.store.open import uri_of

_LINES: Final = """
SELECT e.seq, e.at_us, e.subject, d.name, r.run_key, r.logical_us, i.task, i.map_index, a.number, e.was, e.now, e.reason
FROM event e
LEFT JOIN run r ON r.run_id = e.run_id
LEFT JOIN wait w ON e.subject = 'wait' AND w.wait_id = e.subject_id
LEFT JOIN attempt a ON a.attempt_id = CASE e.subject WHEN 'attempt' THEN e.subject_id WHEN 'wait' THEN w.attempt_id END
LEFT JOIN task_instance i
  ON i.instance_id = CASE e.subject WHEN 'instance' THEN e.subject_id ELSE a.instance_id END
LEFT JOIN dag d ON d.dag_id = CASE e.subject WHEN 'dag' THEN e.subject_id ELSE r.dag_id END
WHERE e.seq > ? ORDER BY e.seq LIMIT ?
"""
_AT_ONCE: Final = 10_000


class JournalLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One transition: of the `subject` (dag, run, instance, attempt, wait, ...) that the names tell.

    `run` is the key it was started under, unique in its DAG. What does not apply is left out.
    """

    at: str
    subject: str
    dag: str = ""
    run: str = ""
    logical_date: str = ""
    task: str = ""
    map_index: int = -1
    attempt: int = 0
    was: str = ""
    now: str = ""
    reason: str = ""


def journal_lines(conn: sqlite3.Connection) -> Iterator[JournalLine]:
    """All of the journal, in its order; a few thousand lines in memory at a time."""
    after = -1
    while True:
        rows = conn.execute(_LINES, (after, _AT_ONCE)).fetchall()
        for seq, at, subject, dag, run, logical, task, index, number, was, now, reason in rows:
            after = seq
            yield JournalLine(
                at=instant(at),
                subject=subject,
                dag=dag or "",
                run=run or "",
                logical_date="" if logical is None else instant(logical),
                task=task or "",
                map_index=-1 if index is None else index,
                attempt=number or 0,
                was=was,
                now=now,
                reason=reason,
            )
        if len(rows) < _AT_ONCE:
            return


def read_journal(db: Path) -> Iterator[JournalLine]:
    """The journal of a database as it was last committed, over a read-only connection of its own."""
    conn = sqlite3.connect(uri_of(db, "ro"), uri=True, isolation_level=None)
    try:
        yield from journal_lines(conn)
    finally:
        conn.close()


def instant(us: int) -> str:
    """ISO 8601, UTC.

    >>> instant(1781481600000000)
    '2026-06-15T00:00:00Z'
    """
    return from_us(us).isoformat().replace("+00:00", "Z")
