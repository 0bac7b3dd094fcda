"""Who refers to the rows of a table, read from the foreign keys: a table that nobody here knows counts as well."""

from __future__ import annotations

import sqlite3

_referring: dict[int, dict[str, list[tuple[str, str, str]]]] = {}


def referring(conn: sqlite3.Connection, table: str) -> list[tuple[str, str, str]]:
    """Who refers to rows of a table and would forbid their removal: (table, column, the column referred to)."""
    schema = int(conn.execute("PRAGMA user_version").fetchone()[0])
    if schema not in _referring:
        _referring[schema] = _read_references(conn)
    return _referring[schema].get(table, [])


def _read_references(conn: sqlite3.Connection) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for (child,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for _, _, parent, column, to, _, on_delete, _ in conn.execute(f"PRAGMA foreign_key_list({child})"):
            if on_delete not in ("CASCADE", "SET NULL"):
                found.setdefault(parent, []).append((child, column, to))
    return found


def free(conn: sqlite3.Connection, table: str) -> str:
    """The condition that no row of any other table refers to a row, tables that are not known here included."""
    return " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {child} x WHERE x.{column} = {table}.{to})"
        for child, column, to in referring(conn, table)
    )
