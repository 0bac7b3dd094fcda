"""The journal as the live feed tells it: each line with the names of what it is about, a page at a time.

A page looks through a bounded stretch of the journal, however little of it is asked for: a filter that
fits nothing costs many short questions, never a long one.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.store import words
from bide.runtime.store.rows import object_of

WINDOW: Final = 20_000
"""Lines that one page looks through at most: some milliseconds, without the interpreter's lock."""
L = TypeVar("L", bound=msgspec.Struct)


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


class Stretch(msgspec.Struct, Generic[L], frozen=True):
    """Lines in the order of the journal, and how far it has been looked through; `over`: to its end."""

    lines: list[L]
    upto: int
    over: bool


Page: TypeAlias = Stretch[FeedLine]

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
SELECT json_group_array({{made}}), {{stop}}, (SELECT {{edge}}(seq) FROM event WHERE {{of}}), ifnull({{edge}}(seq), 0)
FROM (SELECT e.seq, e.at_us, e.subject, e.subject_id, e.run_id, (SELECT name FROM dag WHERE dag_id = {_DAG}) AS dag,
       i.task, i.map_index, a.number AS attempt, (SELECT name FROM asset WHERE asset_id = {_ASSET}) AS asset,
       e.was, e.now, e.reason
FROM event e
LEFT JOIN run r ON r.run_id = e.run_id
LEFT JOIN wait w ON e.subject = 'wait' AND w.wait_id = e.subject_id
LEFT JOIN attempt a ON a.attempt_id = CASE e.subject WHEN 'attempt' THEN e.subject_id WHEN 'wait' THEN w.attempt_id END
LEFT JOIN task_instance i ON i.instance_id = CASE e.subject WHEN 'instance' THEN e.subject_id
  WHEN 'watermark' THEN e.subject_id WHEN 'wait' THEN w.instance_id ELSE a.instance_id END
WHERE {{fit}} ORDER BY e.seq {{way}} LIMIT :limit)
"""
# One row, made within SQLite: fetched row by row each would hand the interpreter's lock to and fro, and
# beside a busy loop that takes a switch interval a row. Beside the lines: the last that was looked at where there may
# be more, the last there is, and the last that is told.


def lines_after(conn: sqlite3.Connection, seq: int, wanted: Wanted, limit: int) -> Page:
    """The lines behind number `seq`, at most `limit`."""
    return _page(conn, FeedLine, seq, wanted, limit, False)


def told_after(conn: sqlite3.Connection, shape: type[L], seq: int, wanted: Wanted, limit: int) -> Stretch[L]:
    """As `lines_after`, in the words of the doors."""
    return _page(conn, shape, seq, wanted, limit, False)


def told_before(conn: sqlite3.Connection, shape: type[L], seq: int, wanted: Wanted, limit: int) -> Stretch[L]:
    """The last `limit` lines before number `seq`, in the words of the doors; `upto` is the number that the next page ends before."""
    found = _page(conn, shape, seq, wanted, limit, True)
    return Stretch(found.lines[::-1], found.upto, found.over)


def _page(
    conn: sqlite3.Connection, shape: type[L], seq: int, wanted: Wanted, limit: int, back: bool
) -> Stretch[L]:
    filtered = wanted.dag is not None or bool(wanted.subjects)
    sql, decoder = _question(
        shape, wanted.run_id is not None, wanted.dag is not None, bool(wanted.subjects), back
    )
    values = {
        "seq": seq,
        "run_id": wanted.run_id,
        "dag": wanted.dag,
        "subjects": msgspec.json.encode(sorted(wanted.subjects)).decode(),
        "window": max(WINDOW, limit) if filtered else limit,
        "limit": limit,
    }
    found, stop, last, told = conn.execute(sql, values).fetchone()
    lines: list[L] = decoder.decode(found)
    if len(lines) == limit:
        return Stretch(lines, told, False)
    return Stretch(lines, stop or last or seq, stop is None)


@cache
def _question(
    shape: type[Any], run: bool, dag: bool, subjects: bool, back: bool
) -> tuple[str, msgspec.json.Decoder[Any]]:
    """A page of a shape, of lines that fit what is given."""
    side, way = ("seq < :seq", "DESC") if back else ("seq > :seq", "ASC")
    of = f"run_id = :run_id AND {side}" if run else side
    stop = f"(SELECT seq FROM event WHERE {of} ORDER BY seq {way} LIMIT 1 OFFSET :window - 1)"
    fits = [f"e.{side}", f"e.seq >= ifnull({stop}, 0)" if back else f"e.seq <= ifnull({stop}, {2**63 - 1})"]
    if run:
        fits.append("e.run_id = :run_id")
    if dag:
        fits.append(f"{_DAG} = (SELECT dag_id FROM dag WHERE name = :dag)")
    if subjects:
        fits.append("e.subject IN (SELECT value FROM json_each(:subjects))")
    fields = shape.__struct_fields__
    made = f"json_array({', '.join(fields)})" if shape is FeedLine else object_of(shape, words.EVENT)
    return _NAMED.format(
        made=made,
        stop=stop,
        of=of,
        way=way,
        edge="min" if back else "max",
        fit=" AND ".join(fits),
    ), typed.decoder(list[shape], strict=False)  # type: ignore[valid-type]


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
