"""What an action on many asks of the database: which runs or DAGs its filter finds, and how far it has come."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.store.rows import _Row, rows

MOST: Final = 10_000
"""Runs, DAGs or waits of one action."""
SLICE: Final = 20
"""Targets that one transaction takes."""
_OPEN: Final = "r.ended_us IS NULL"
_BAD: Final = "r.state IN ('failed', 'cancelled')"
_OVER: Final = "r.ended_us IS NOT NULL"
_ANY: Final = "1"
_MARKED: Final = (
    "EXISTS (SELECT 1 FROM task_instance i WHERE i.run_id = r.run_id AND i.task GLOB ? AND i.map_index < 0 AND i.state <> ?"
    "{among})"
)


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which runs, or which DAGs, are meant: all of what is said holds. `dag` may have * and ?.

    Of runs: `states`, `kind`, and logical dates from `since_us` on and before `until_us`; those that have a `task` (* and ? as
    well) which is not in the state `to` yet, and in one of `task_states` where any is said. Of waits, which are named one by
    one: `words`, the filter as it was said.
    """

    dag: str = ""
    states: tuple[str, ...] = ()
    kind: str = ""
    since_us: int | None = None
    until_us: int | None = None
    task: str = ""
    to: str = ""
    task_states: tuple[str, ...] = ()
    words: str = ""


class BulkSlice(msgspec.Struct, frozen=True):
    """What an action that goes on takes next."""

    verb: str
    args: dict[str, object]
    total: int
    done: int
    refused: int
    told: list[tuple[int, str]]
    targets: list[int]


class BulkRow(_Row, frozen=True):
    """An action as it stands. `filter`, `args`, `told` are JSON."""

    bulk_id: int
    verb: str
    filter: str
    args: str
    total: int
    done: int
    refused: int
    told: str
    begun_us: int
    ended_us: int | None


def targets(conn: sqlite3.Connection, action: str, of: str, whole: bool, limit: int) -> list[int]:
    """The ids of those that are meant, in the order they are taken; at most `limit`.

    A cancel is of what is not over, the newest first, so that no run begins only to be cancelled. A rerun is of what
    failed or was cancelled, and of all that is over when it is `whole`; the oldest first. So is a mark, of any run.
    """
    meant = typed.decode(of, Filter)
    if action in ("pause", "unpause"):
        paused = "IS NULL" if action == "pause" else "IS NOT NULL"
        sql = f"SELECT dag_id FROM dag WHERE removed = 0 AND nullif(paused, 0) {paused} AND name GLOB ? ORDER BY name LIMIT ?"
        return [row[0] for row in conn.execute(sql, (meant.dag or "*", limit))]
    parts, values = _conditions(meant)
    base = _OPEN if action == "cancel" else _ANY if action == "mark" else _OVER if whole else _BAD
    order = "DESC" if action == "cancel" else "ASC"
    sql = f"SELECT r.run_id FROM run r WHERE {' AND '.join([base, *parts])} ORDER BY r.run_id {order} LIMIT ?"
    return [row[0] for row in conn.execute(sql, (*values, limit))]


def _conditions(of: Filter) -> tuple[list[str], list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    said: tuple[tuple[str, Any], ...] = (
        ("r.dag_id IN (SELECT dag_id FROM dag WHERE name GLOB ?)", of.dag or None),
        ("r.kind = ?", of.kind or None),
        ("r.logical_us >= ?", of.since_us),
        ("r.logical_us < ?", of.until_us),
        (
            "r.state IN (SELECT value FROM json_each(?))",
            msgspec.json.encode(of.states).decode() if of.states else None,
        ),
    )
    for sql, value in said:
        if value is not None:
            parts.append(sql)
            values.append(value)
    if of.task:
        among = "" if not of.task_states else " AND i.state IN (SELECT value FROM json_each(?))"
        parts.append(_MARKED.format(among=among))
        values += [of.task, of.to, *([msgspec.json.encode(of.task_states).decode()] if among else [])]
    return parts, values


_BULK: Final = "SELECT bulk_id, verb, filter, args, total, done, refused, told, begun_us, ended_us FROM bulk"


def bulk(conn: sqlite3.Connection, bulk_id: int) -> BulkRow | None:
    """None: there is none of that number."""
    found = rows(conn, BulkRow, f"{_BULK} WHERE bulk_id = ?", (bulk_id,))
    return found[0] if found else None


def slice_of(conn: sqlite3.Connection, bulk_id: int) -> BulkSlice | None:
    """What it takes next; None when it is over."""
    row = bulk(conn, bulk_id)
    if row is None or row.ended_us is not None:
        return None
    at = row.done + row.refused
    found = conn.execute(
        "SELECT t.value FROM bulk b, json_each(b.targets) t WHERE b.bulk_id = ? AND t.key >= ? AND t.key < ?"
        " ORDER BY t.key",
        (bulk_id, at, at + SLICE),
    )
    return BulkSlice(
        row.verb,
        msgspec.json.decode(row.args),
        row.total,
        row.done,
        row.refused,
        typed.decode(row.told, list[tuple[int, str]]),
        [value for (value,) in found],
    )


def first_of(conn: sqlite3.Connection, bulk_id: int, count: int) -> list[int]:
    """The first targets of an action; none of one that is gone."""
    found = conn.execute(
        "SELECT t.value FROM bulk b, json_each(b.targets) t WHERE b.bulk_id = ? AND t.key < ? ORDER BY t.key",
        (bulk_id, count),
    )
    return [value for (value,) in found]


def unfinished(conn: sqlite3.Connection) -> list[int]:
    """Those that go on."""
    return [
        row[0] for row in conn.execute("SELECT bulk_id FROM bulk WHERE ended_us IS NULL ORDER BY bulk_id")
    ]


def dag_names(conn: sqlite3.Connection, dag_ids: list[int]) -> list[str]:
    """In the order they are given."""
    sql = "SELECT d.name FROM json_each(?) t JOIN dag d ON d.dag_id = t.value ORDER BY t.key"
    return [name for (name,) in conn.execute(sql, (msgspec.json.encode(dag_ids).decode(),))]
