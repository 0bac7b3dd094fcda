"""The journal as the live feed tells it: each line with the names of what it is about, a page at a time.

A page looks through a bounded stretch of the journal, however little of it is asked for: a filter that
fits nothing costs many short questions, never a long one.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime import typed

WINDOW: Final = 5_000
"""Lines that one page looks through at most."""


class FeedLine(msgspec.Struct, frozen=True, array_like=True):
    """One move. `subject_id` is the number of the `subject`: wait 5, version 7, backfill 2."""

    seq: int
    at_us: int
    subject: str
    subject_id: int
    run_id: int | None
    dag: str | None
    task: str | None
    map_index: int | None
    attempt: int | None
    asset: str | None
    was: str
    now: str
    reason: str


class Wanted(msgspec.Struct, frozen=True):
    """Which lines: those that fit all that is given. `subjects` are any of these."""

    run_id: int | None = None
    dag: str | None = None
    subjects: frozenset[str] = frozenset()

    def fits(self, line: FeedLine) -> bool:
        """Whether `line` is one of them."""
        return (
            (self.run_id is None or line.run_id == self.run_id)
            and (self.dag is None or line.dag == self.dag)
            and (not self.subjects or line.subject in self.subjects)
        )


ALL: Final = Wanted()


class Page(msgspec.Struct, frozen=True):
    """Lines in the order of the journal, and how far it has been looked through; `over`: to its end."""

    lines: list[FeedLine]
    upto: int
    over: bool


_DAG: Final = """coalesce(r.dag_id, CASE e.subject WHEN 'dag' THEN e.subject_id
  WHEN 'backfill' THEN (SELECT dag_id FROM backfill WHERE backfill_id = e.subject_id)
  WHEN 'wait' THEN (SELECT dag_id FROM standing WHERE standing_id = e.subject_id) END)"""
_ASSET: Final = """CASE e.subject
  WHEN 'version' THEN (SELECT asset_id FROM asset_version WHERE asset_version_id = e.subject_id)
  WHEN 'contract' THEN (SELECT downstream_id FROM contract WHERE contract_id = e.subject_id)
  WHEN 'invalidation' THEN (SELECT asset_id FROM invalidation WHERE invalidation_id = e.subject_id)
  WHEN 'incident' THEN (SELECT asset_id FROM incident WHERE incident_id = e.subject_id)
  WHEN 'delivery' THEN (SELECT v.asset_id FROM delivery d JOIN asset_version v USING (asset_version_id)
                        WHERE d.delivery_id = e.subject_id) END"""
_NAMED: Final = f"""
SELECT json_group_array(json_array(seq, at_us, subject, subject_id, run_id, dag, task, map_index, number, asset, was, now, reason))
FROM (SELECT e.seq, e.at_us, e.subject, e.subject_id, e.run_id, (SELECT name FROM dag WHERE dag_id = {_DAG}) AS dag,
       i.task, i.map_index, a.number, (SELECT name FROM asset WHERE asset_id = {_ASSET}) AS asset, e.was, e.now, e.reason
FROM (SELECT * FROM event WHERE {{of}} ORDER BY seq {{way}} LIMIT :window) e
LEFT JOIN run r ON r.run_id = e.run_id
LEFT JOIN wait w ON e.subject = 'wait' AND w.wait_id = e.subject_id
LEFT JOIN attempt a ON a.attempt_id = CASE e.subject WHEN 'attempt' THEN e.subject_id WHEN 'wait' THEN w.attempt_id END
LEFT JOIN task_instance i ON i.instance_id = CASE e.subject WHEN 'instance' THEN e.subject_id
  WHEN 'watermark' THEN e.subject_id WHEN 'wait' THEN w.instance_id ELSE a.instance_id END
WHERE {{fit}} ORDER BY e.seq {{way}} LIMIT :limit)
"""
# One row, made within SQLite: fetched row by row each would hand the interpreter's lock to and fro, and
# beside a busy loop that takes 5 ms a row.

_SEEN: Final = (
    "SELECT count(*), {edge}(seq) FROM (SELECT seq FROM event WHERE {of} ORDER BY seq {way} LIMIT :window)"
)


_decoder: Final = typed.decoder(list[FeedLine])


def lines_after(conn: sqlite3.Connection, seq: int, wanted: Wanted, limit: int) -> Page:
    """The lines behind number `seq`, at most `limit`."""
    return _page(conn, seq, wanted, limit, "seq > :seq", "ASC", "max")


def lines_before(conn: sqlite3.Connection, seq: int, wanted: Wanted, limit: int) -> Page:
    """The last `limit` lines before number `seq`; `upto` is the number that the next page ends before."""
    found = _page(conn, seq, wanted, limit, "seq < :seq", "DESC", "min")
    return Page(found.lines[::-1], found.upto, found.over)


def _page(
    conn: sqlite3.Connection, seq: int, wanted: Wanted, limit: int, side: str, way: str, edge: str
) -> Page:
    of = side if wanted.run_id is None else f"run_id = :run_id AND {side}"
    fits = ["1"]
    if wanted.dag is not None:
        fits.append(f"{_DAG} = (SELECT dag_id FROM dag WHERE name = :dag)")
    if wanted.subjects:
        fits.append("e.subject IN (SELECT value FROM json_each(:subjects))")
    values = {
        "seq": seq,
        "run_id": wanted.run_id,
        "dag": wanted.dag,
        "subjects": msgspec.json.encode(sorted(wanted.subjects)).decode(),
        "window": WINDOW if len(fits) > 1 else limit,
        "limit": limit,
    }
    found = conn.execute(_NAMED.format(of=of, way=way, fit=" AND ".join(fits)), values).fetchone()[0]
    lines = _decoder.decode(found)
    if len(lines) == limit:
        return Page(lines, lines[-1].seq, False)
    looked, last = conn.execute(_SEEN.format(edge=edge, of=of, way=way), values).fetchone()
    return Page(lines, seq if last is None else last, looked < values["window"])


def is_dag(conn: sqlite3.Connection, name: str) -> bool:
    """Whether there is a DAG of that name that is not removed."""
    return conn.execute("SELECT 1 FROM dag WHERE name = ? AND removed = 0", (name,)).fetchone() is not None


def last_line(conn: sqlite3.Connection) -> int:
    """The newest number, 0 on an empty journal."""
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])


def line_before(conn: sqlite3.Connection, at_us: int) -> int:
    """The number after which the lines are of `at_us` or later, found by halves.

    Where the wall clock was set back the journal is not in the order of its instants: then it is a line
    beside which the instants pass `at_us`.
    """
    low, high = 0, last_line(conn) + 1  # the lines up to low are older, those from high on are not
    while high - low > 1:
        middle = (low + high) // 2
        found = conn.execute(
            "SELECT seq, at_us FROM event WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if found is None or found[1] >= at_us:
            high = middle
        else:
            low = found[0]
    return low


def version_of_database(conn: sqlite3.Connection) -> int:
    """Changes with every commit of another connection: whoever follows a database looks at it."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])
