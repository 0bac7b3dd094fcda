"""The texts that DAGs were loaded with, asked on a connection that may be read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from bide.runtime.store.rows import in_one

NEWEST: Final = 2**63 - 1
_MOST: Final = 50
"""Of one run so many are told: who loads code as often while it goes on is writing it."""


class CodeRow(msgspec.Struct, frozen=True, array_like=True):
    """A load: the version that it made or found, and the text that it brought. `source`: its hash; None: it brought none."""

    code_id: int
    version_id: int
    hash: str
    file: str
    source: str | None
    bytes: int | None
    kept: int
    loaded_us: int
    current: int
    first_attempt_id: int


_CODE: Final = (
    "SELECT c.code_id, c.version_id, v.hash, c.file, c.source, s.bytes, s.text IS NOT NULL, c.loaded_us,"
    " NOT EXISTS (SELECT 1 FROM dag_code n WHERE n.dag_id = c.dag_id AND n.code_id > c.code_id), c.first_attempt_id"
    " FROM dag_code c JOIN dag_version v ON v.version_id = c.version_id LEFT JOIN source s ON s.hash = c.source"
)


def codes(
    conn: sqlite3.Connection, dag_id: int, below: int, limit: int, version: int | None = None
) -> list[CodeRow]:
    """Those of a DAG below a number, the newest first; of one version of its graph."""
    return in_one(
        conn,
        CodeRow,
        f"{_CODE} WHERE c.dag_id = ?1 AND c.code_id < ?2 AND (?4 IS NULL OR c.version_id = ?4)"
        " ORDER BY c.code_id DESC LIMIT ?3",
        (dag_id, below, limit, version),
    )


def text(conn: sqlite3.Connection, source: str) -> str | None:
    """The text of a hash; None: it was too long to be kept."""
    row = conn.execute("SELECT text FROM source WHERE hash = ?", (source,)).fetchone()
    return None if row is None else row[0]


def dag_of_run(conn: sqlite3.Connection, run_id: int) -> int | None:
    """The DAG of a run; None: there is no such run."""
    row = conn.execute("SELECT dag_id FROM run WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else int(row[0])


def of_run(conn: sqlite3.Connection, dag_id: int, run_id: int) -> list[CodeRow]:
    """What the attempts of a run were begun with, oldest first; where none was, what the run was made with."""
    first, last = conn.execute(
        "SELECT min(a.attempt_id), max(a.attempt_id) FROM task_instance i JOIN attempt a USING (instance_id)"
        " WHERE i.run_id = ?",
        (run_id,),
    ).fetchone()
    if first is None:
        return _one(conn, "c.first_run_id <= ?2", (dag_id, run_id))
    found = _one(conn, "c.first_attempt_id <= ?2", (dag_id, first))
    later = in_one(
        conn,
        CodeRow,
        f"{_CODE} WHERE c.dag_id = ? AND c.first_attempt_id > ? AND c.first_attempt_id <= ? ORDER BY c.code_id LIMIT ?",
        (dag_id, first, last, _MOST),
    )
    for n, one in enumerate(later):
        end = later[n + 1].first_attempt_id if n + 1 < len(later) else NEWEST
        if _begun_between(conn, run_id, one.first_attempt_id, end):
            found.append(one)
    return found


def of_attempts(conn: sqlite3.Connection, dag_id: int, attempts: Sequence[int]) -> dict[int, CodeRow]:
    """What each of these attempts was begun with, by its number; those that are older than all that is kept have none."""
    if not attempts:
        return {}
    first, last = min(attempts), max(attempts)
    found = _one(conn, "c.first_attempt_id <= ?2", (dag_id, first)) + in_one(
        conn,
        CodeRow,
        f"{_CODE} WHERE c.dag_id = ? AND c.first_attempt_id > ? AND c.first_attempt_id <= ? ORDER BY c.code_id",
        (dag_id, first, last),
    )
    begun: dict[int, CodeRow] = {}
    for one in found:
        begun |= {each: one for each in attempts if each >= one.first_attempt_id}
    return begun


def _one(conn: sqlite3.Connection, where: str, values: tuple[int, int]) -> list[CodeRow]:
    return in_one(
        conn, CodeRow, f"{_CODE} WHERE c.dag_id = ?1 AND {where} ORDER BY c.code_id DESC LIMIT 1", values
    )


def _begun_between(conn: sqlite3.Connection, run_id: int, first: int, end: int) -> bool:
    row = conn.execute(
        "SELECT 1 FROM task_instance i JOIN attempt a USING (instance_id)"
        " WHERE i.run_id = ? AND a.attempt_id >= ? AND a.attempt_id < ? LIMIT 1",
        (run_id, first, end),
    ).fetchone()
    return row is not None
