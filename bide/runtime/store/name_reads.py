"""The names and numbers of what a database knows, for a shell that completes them: the newest, or those that begin so.

Reads alone and at once: no row is looked for but by its key. Imports next to nothing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

Name = tuple[str, str]
"""(what is typed, what is said of it)"""

UNREADABLE: Final = sqlite3.Error
"""Raised for what is no database, or none of this bide."""

MOST: Final = 100
_BUSY_S: Final = 0.05
_NUMBERED: Final = {
    "run": ("run", "run_id", "(SELECT name FROM dag d WHERE d.dag_id = x.dag_id) || ' ' || x.state"),
    "wait": (
        "wait",
        "wait_id",
        "(SELECT run_id || '/' || task FROM task_instance i WHERE i.instance_id = x.instance_id)",
    ),
    "backfill": ("backfill", "backfill_id", "(SELECT name FROM dag d WHERE d.dag_id = x.dag_id)"),
    "version": (
        "asset_version",
        "asset_version_id",
        "(SELECT name FROM asset a WHERE a.asset_id = x.asset_id)",
    ),
    "invalidation": ("invalidation", "invalidation_id", "state"),
    "plan": ("rerun_plan", "plan_id", "state"),
    "alert": ("alert", "alert_id", "kind || ' ' || subject"),
    "approval": ("approval", "approval_id", "kind || ' ' || state"),
    "incident": ("incident", "incident_id", "title"),
    "delivery": ("delivery", "delivery_id", "state"),
    "notice": ("notice", "notice_id", "route || ' ' || state"),
    "action": ("bulk", "bulk_id", "verb"),
}
"""Kind -> (its table, its number, what is said of one)."""
_OPEN: Final = {"wait": "state = 'open'", "approval": "state = 'open'"}
"""What is no longer open is not answered any more."""
_NAMED: Final = {
    "dag": "SELECT name, iif(paused, 'paused', '') FROM dag WHERE removed = 0",
    "asset": "SELECT name, '' FROM asset",
    "hook": "SELECT name, '' FROM hook",
    "token": "SELECT name, scope FROM token WHERE revoked_us IS NULL",
}


class Names:
    """A read-only look; `UNREADABLE` at any time. To be closed."""

    def __init__(self, db: Path) -> None:
        self._conn = sqlite3.connect(f"{db.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)

    def close(self) -> None:
        self._conn.close()

    def of(self, kind: str, begins: str) -> list[Name]:
        """Those of a kind that begin so; of numbers the newest."""
        if kind in _NUMBERED:
            return self._numbered(kind, begins)
        return self._rows(f"{_NAMED[kind]} ORDER BY 1 LIMIT 10000")

    def tasks_of_run(self, run_id: int) -> list[Name]:
        """In the order of its graph."""
        return self._tasks("(SELECT version_id FROM run WHERE run_id = ?)", run_id)

    def tasks_of_dag(self, name: str) -> list[Name]:
        return self._tasks("(SELECT version_id FROM dag WHERE name = ?)", name)

    def _numbered(self, kind: str, begins: str) -> list[Name]:
        table, column, said = _NUMBERED[kind]
        where = _OPEN.get(kind, "1")
        asked = f"SELECT x.{column}, {said} FROM {table} x WHERE {where} AND x.{column} BETWEEN ? AND ? ORDER BY 1 DESC LIMIT ?"
        if not begins:
            return self._rows(asked, 1, 2**63 - 1, MOST)
        if not (begins.isascii() and begins.isdigit()) or begins[0] == "0" or len(begins) > 12:
            return []
        first, found = int(begins), list[Name]()
        for more in range(7):  # 12, then 120 to 129, then 1200 to 1299, ...
            low = first * 10**more
            found += self._rows(asked, low, low + 10**more - 1, MOST - len(found))
        return found

    def _tasks(self, version: str, asked: int | str) -> list[Name]:
        return self._rows(
            "SELECT json_extract(t.value, '$.name'), '' FROM dag_version v, json_each(v.spec, '$.tasks') t"
            f" WHERE v.version_id = {version}",
            asked,
        )

    def _rows(self, sql: str, *values: int | str) -> list[Name]:
        return [(str(name), str(said or "")) for name, said in self._conn.execute(sql, values)]
