"""What `doctor` reads of a database: its log, steps of the clock, recorded processes, notices that wait."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.store.rows import in_one

_STEPS: Final = 1_000


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """A process that an attempt has started. `ended`: its attempt is over."""

    attempt_id: int
    pid: int
    started: int
    boot_id: str
    ended: int


class Stuck(msgspec.Struct, frozen=True, array_like=True):
    """Notices of a route that were tried and are not taken yet, and what the last try came to."""

    route: str
    count: int
    attempts: int
    error: str


def journal_mode(conn: sqlite3.Connection) -> str:
    return str(conn.execute("PRAGMA journal_mode").fetchone()[0])


def clock_steps(conn: sqlite3.Connection, since_us: int) -> list[tuple[int, str]]:
    """(when, what was said) of the steps since then, newest first; of very many the newest."""
    rows = conn.execute(
        "SELECT at_us, reason FROM event WHERE run_id IS NULL AND subject = 'clock' AND subject_id = 0"
        " ORDER BY seq DESC LIMIT ?",
        (_STEPS,),
    )
    return [(at_us, reason) for at_us, reason in rows if at_us >= since_us]


def processes(conn: sqlite3.Connection) -> list[Recorded]:
    return in_one(
        conn,
        Recorded,
        "SELECT p.attempt_id, p.pid, p.started, p.boot_id, a.ended_us IS NOT NULL"
        " FROM process p JOIN attempt a USING (attempt_id) ORDER BY p.attempt_id",
    )


def stuck_notices(conn: sqlite3.Connection) -> list[Stuck]:
    return in_one(
        conn,
        Stuck,
        "SELECT route, count(*), max(attempts), error FROM notice"
        " WHERE state IN ('pending', 'sending') AND attempts > 0 AND error <> '' GROUP BY route ORDER BY route",
    )
