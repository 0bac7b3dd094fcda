"""The rows that an incident rests on, and a small database of them that any SQLite opens: views and all (D21, S1-35)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from bide.runtime.assets.blast import BlastRadius
from bide.runtime.errors import UsageError
from bide.runtime.store.blast import Versions
from bide.runtime.store.open import open_database
from bide.runtime.store.spreading import recorded

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""Columns and rows."""
_SAMPLE: Final = 200
"""Versions of an asset that are taken where no invalidation says which are meant."""


class Gathered(msgspec.Struct, frozen=True):
    """Rows by table. They are whole: what one of them names is among them, or was never there."""

    tables: dict[str, Table]

    def rows(self, table: str) -> list[dict[str, Any]]:
        columns, rows = self.tables.get(table, ((), []))
        return [dict(zip(columns, row, strict=True)) for row in rows]


class _Gathering:
    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.tables: dict[str, Table] = {}
        self.known = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    def take(self, table: str, where: str, *values: Any) -> set[Any]:
        """Take the rows of a table; the first column of each."""
        if table not in self.known:
            return set()
        found = self.conn.execute(f"SELECT * FROM {table} WHERE {where}", values)
        columns = tuple(each[0] for each in found.description)
        rows = found.fetchall()
        had = self.tables.get(table, (columns, []))[1]
        seen = set(had)
        self.tables[table] = (columns, [*had, *(row for row in rows if row not in seen)])
        return {row[0] for row in rows}

    def keep(self, table: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Of what was taken of a table, keep those rows; two long lists in one query are slow."""
        columns, rows = self.tables.get(table, ((), []))
        kept = [row for row in rows if wanted(dict(zip(columns, row, strict=True)))]
        if columns:
            self.tables[table] = columns, kept

    def of(self, table: str, column: str) -> set[Any]:
        """The values of a column, of what was taken."""
        if table not in self.tables:
            return set()
        columns, rows = self.tables[table]
        at = columns.index(column)
        return {row[at] for row in rows if row[at] is not None}

    def ids(self, sql: str, *values: Any) -> set[int]:
        return {row[0] for row in self.conn.execute(sql, values)}


_IN: Final = "IN (SELECT value FROM json_each(?))"


def gather(conn: sqlite3.Connection, incident_id: int) -> Gathered:
    """All that an incident rests on: versions with their inputs and successors, decisions, contracts, runs, the plan."""
    g = _Gathering(conn)
    g.take("incident", "incident_id = ?", incident_id)
    g.take("incident_entry", "incident_id = ?", incident_id)
    [incident] = Gathered(g.tables).rows("incident")
    g.take("invalidation", f"invalidation_id {_IN}", _list([incident["invalidation_id"]]))
    g.take("invalidation_hit", f"invalidation_id {_IN}", _list([incident["invalidation_id"]]))
    g.take("rerun_plan", f"plan_id {_IN}", _list([incident["plan_id"]]))
    g.take("rerun_step", f"plan_id {_IN}", _list([incident["plan_id"]]))
    versions = _versions(g, incident)
    g.take("asset_version", f"asset_version_id {_IN}", _list(versions))
    g.take("asset_input", f"asset_version_id {_IN}", _list(versions))
    g.keep("asset_input", lambda row: row["input_id"] in versions)
    g.take("asset_check", f"asset_version_id {_IN}", _list(versions))
    g.take("delivery", f"asset_version_id {_IN}", _list(versions))
    _declared(g, incident)
    _decided(g, incident)
    _ran(g)
    g.take("asset", f"asset_id {_IN}", _list(_assets(g, incident)))
    names = g.of("asset", "name")
    g.take("alert", f"subject {_IN}", _list(names))
    of_runs = "subject IN ('run', 'instance', 'attempt', 'version')"  # the journal is found by run alone
    g.take("event", f"run_id {_IN} AND {of_runs}", _list(g.of("run", "run_id")))
    return Gathered(g.tables)


def _versions(g: _Gathering, incident: dict[str, Any]) -> set[int]:
    found = g.of("invalidation_hit", "asset_version_id") | g.of("invalidation_hit", "via_id")
    if not found and incident["asset_id"] is not None:
        found = g.ids(
            "SELECT asset_version_id FROM asset_version WHERE asset_id = ? ORDER BY asset_version_id DESC LIMIT ?",
            incident["asset_id"], _SAMPLE,
        )  # fmt: skip
    found |= g.ids(f"SELECT asset_version_id FROM asset_input WHERE input_id {_IN}", _list(found))
    found |= g.ids(
        "SELECT o.asset_version_id FROM json_each(?) f JOIN asset_version v ON v.asset_version_id = f.value"
        " JOIN asset_version o ON o.asset_id = v.asset_id AND o.start_us = v.start_us AND o.end_us = v.end_us",
        _list(found),
    )
    return found | g.ids(f"SELECT input_id FROM asset_input WHERE asset_version_id {_IN}", _list(found))


def _declared(g: _Gathering, incident: dict[str, Any]) -> None:
    """Contracts and gates of the assets, those that are over as well: decisions were made by them."""
    assets = _list(_assets(g, incident))
    g.take("contract", f"downstream_id {_IN} OR upstream_id {_IN}", assets, assets)
    g.take("gate", f"asset_id {_IN}", assets)
    g.take("asset_schema", f"asset_id {_IN}", assets)


def _assets(g: _Gathering, incident: dict[str, Any]) -> set[int]:
    found = (
        g.of("asset_version", "asset_id") | g.of("invalidation", "asset_id") | g.of("decision", "asset_id")
    )
    found |= (
        g.of("contract", "downstream_id") | g.of("contract", "upstream_id") | g.of("asset_schema", "asset_id")
    )
    return found | ({incident["asset_id"]} - {None})


def _decided(g: _Gathering, incident: dict[str, Any]) -> None:
    """Decisions on the versions and on their intervals, and all on their assets since it was opened."""
    spans = {
        (row["asset_id"], row["start_us"], row["end_us"]) for row in Gathered(g.tables).rows("asset_version")
    }
    assets = g.of("asset_version", "asset_id") | ({incident["asset_id"]} - {None})
    g.take("decision", f"asset_id {_IN}", _list(assets))
    since = incident["opened_us"]
    g.keep(
        "decision",
        lambda row: row["at_us"] >= since or (row["asset_id"], row["start_us"], row["end_us"]) in spans,
    )
    decisions = _list(g.of("decision", "decision_id"))
    plans = _list(g.of("rerun_plan", "plan_id"))
    versions = _list(g.of("asset_version", "asset_version_id"))
    g.take(
        "approval",
        f"decision_id {_IN} OR (kind = 'plan' AND subject_id {_IN})"
        f" OR (kind IN ('contract', 'degraded') AND decision_id IS NULL AND subject_id {_IN})",
        decisions, plans, versions,
    )  # fmt: skip


def _ran(g: _Gathering) -> None:
    instances = g.of("asset_version", "instance_id") | g.of(
        "decision", "instance_id"
    )  # what made a version, what a decision was about
    g.take("task_instance", f"instance_id {_IN}", _list(instances))
    g.take("attempt", f"instance_id {_IN}", _list(instances))
    g.take("reading", f"instance_id {_IN}", _list(instances))
    runs = (
        g.of("task_instance", "run_id") | g.of("asset_version", "run_id") | g.of("decision", "run_id")
        | g.of("rerun_step", "run_id") | g.of("approval", "run_id")
    )  # fmt: skip
    g.take("run", f"run_id {_IN}", _list(runs))
    g.take("run_trigger", f"run_id {_IN}", _list(runs))
    versions = g.of("asset_version", "dag_version_id") | g.of("run", "version_id")
    g.take("dag_version", f"version_id {_IN}", _list(versions))
    g.take("dag", f"dag_id {_IN}", _list(g.of("dag_version", "dag_id") | g.of("asset_version", "dag_id")))


def write_copy(path: Path, gathered: Gathered) -> None:
    """A database of these rows alone, in one file; any SQLite opens it, and its views answer."""
    conn = open_database(path, create=True)
    try:
        conn.execute("PRAGMA foreign_keys = OFF")  # rows beside the incident are not taken
        conn.execute(
            "DELETE FROM meta WHERE key = 'database'"
        )  # it is a part of another one: the same each time
        conn.execute("BEGIN")
        for table, (columns, rows) in gathered.tables.items():
            marks = ", ".join("?" * len(columns))
            conn.executemany(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
        conn.execute("COMMIT")
        conn.execute("PRAGMA journal_mode = DELETE")
        conn.execute("VACUUM")
    finally:
        conn.close()


def spread_again(path: Path, invalidation_id: int) -> tuple[BlastRadius, BlastRadius]:
    """What an invalidation reached, as it was recorded and as it is found again in a copy, which is changed for it.

    The copy is put back to when it was discovered: its versions and contracts as they were then.
    """
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        was = recorded(conn, invalidation_id)
        if was is None:
            raise UsageError(f"the evidence has no invalidation {invalidation_id}")
        then = was.root.discovered_us
        conn.execute(
            "UPDATE asset_version SET state = h.was FROM invalidation_hit h"
            " WHERE h.asset_version_id = asset_version.asset_version_id AND h.invalidation_id = ?",
            (invalidation_id,),
        )
        later = (
            "SELECT asset_version_id FROM asset_version WHERE created_us >= ?1 AND asset_version_id NOT IN"
            " (SELECT asset_version_id FROM invalidation_hit WHERE invalidation_id = ?2)"
        )
        conn.execute(f"DELETE FROM asset_input WHERE asset_version_id IN ({later})", (then, invalidation_id))
        conn.execute(
            f"DELETE FROM asset_version WHERE asset_version_id IN ({later})", (then, invalidation_id)
        )
        conn.execute("DELETE FROM contract WHERE since_us > ?1 OR ended_us <= ?1", (then,))
        conn.execute("UPDATE contract SET ended_us = NULL")
        return was, Versions(conn).blast(was.root)
    finally:
        conn.close()


def decisions(conn: sqlite3.Connection) -> int:
    """How many decisions a copy holds."""
    return int(conn.execute("SELECT count(*) FROM decision").fetchone()[0])


def _list(values: Iterable[Any]) -> str:
    return msgspec.json.encode([each for each in values if each is not None]).decode()
