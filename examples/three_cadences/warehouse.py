"""The warehouse: one DuckDB file, one connection. The pool `warehouse` of one slot keeps writers in line.

Every write may be made twice: rows have keys, a day of the mart is replaced whole.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb

from examples.three_cadences.business import MartRow
from examples.three_cadences.place import folder

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS mart;
CREATE TABLE IF NOT EXISTS raw.events (
    part INTEGER, pos BIGINT, event_id VARCHAR, account_id VARCHAR, at_us BIGINT, PRIMARY KEY (part, pos));
CREATE TABLE IF NOT EXISTS raw.payments (
    payment_id VARCHAR PRIMARY KEY, account_id VARCHAR, amount_cents BIGINT, created_us BIGINT);
CREATE TABLE IF NOT EXISTS raw.accounts (
    account_id VARCHAR PRIMARY KEY, account_name VARCHAR, region VARCHAR, is_active BOOLEAN);
CREATE TABLE IF NOT EXISTS raw.fresh (name VARCHAR PRIMARY KEY, until_us BIGINT);
CREATE TABLE IF NOT EXISTS mart.daily_revenue_by_account (
    account_id VARCHAR, account_name VARCHAR, region VARCHAR, revenue_date DATE, event_count BIGINT,
    revenue_cents BIGINT, PRIMARY KEY (revenue_date, account_id));
"""
_MART = """
INSERT INTO mart.daily_revenue_by_account
SELECT a.account_id, a.account_name, a.region, ?, coalesce(e.seen, 0), coalesce(p.paid, 0)
FROM raw.accounts a
LEFT JOIN (SELECT account_id, count(DISTINCT event_id) AS seen FROM raw.events
           WHERE at_us >= ? AND at_us < ? GROUP BY account_id) e USING (account_id)
LEFT JOIN (SELECT account_id, sum(amount_cents) AS paid FROM raw.payments
           WHERE created_us >= ? AND created_us < ? GROUP BY account_id) p USING (account_id)
WHERE a.is_active
"""
_DAY = """
SELECT account_id, account_name, region, event_count, revenue_cents
FROM mart.daily_revenue_by_account WHERE revenue_date = ? ORDER BY account_id
"""


class Warehouse:
    """One connection, one statement at a time; opened at the first use."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._conn: duckdb.DuckDBPyConnection | None = None

    def load_events(self, file: str) -> int:
        """Rows from a landed batch, by (partition, offset): one that comes twice changes nothing."""
        return self._load(
            "INSERT OR IGNORE INTO raw.events SELECT part, pos, event_id, account_id, at_us FROM read_json(?,"
            " columns={part:'INTEGER', pos:'BIGINT', event_id:'VARCHAR', account_id:'VARCHAR', at_us:'BIGINT'})",
            file,
        )

    def load_payments(self, file: str) -> int:
        return self._load(
            "INSERT OR REPLACE INTO raw.payments SELECT payment_id, account_id, amount_cents, created_us FROM"
            " read_json(?, columns={payment_id:'VARCHAR', account_id:'VARCHAR', amount_cents:'BIGINT',"
            " created_us:'BIGINT'})",
            file,
        )

    def load_accounts(self, file: str) -> int:
        """The accounts as they now are: the table is replaced."""
        with self._lock:
            conn = self._open()
            conn.execute("BEGIN")
            conn.execute("DELETE FROM raw.accounts")
            conn.execute("INSERT INTO raw.accounts SELECT * FROM read_csv(?, header=true)", [file])
            conn.execute("COMMIT")
            return _count(conn, "SELECT count(*) FROM raw.accounts")

    def mark_fresh(self, name: str, until_us: int) -> None:
        """Everything before `until_us` is in the table."""
        with self._lock:
            self._open().execute("INSERT OR REPLACE INTO raw.fresh VALUES (?, ?)", [name, until_us])

    def fresh(self) -> dict[str, int]:
        """Table -> the instant up to which it is complete."""
        with self._lock:
            return dict(self._open().execute("SELECT name, until_us FROM raw.fresh").fetchall())

    def build_mart(self, day: str, start_us: int, end_us: int) -> int:
        """One row an active account for a day; the day is replaced whole, or not at all."""
        with self._lock:
            conn = self._open()
            conn.execute("BEGIN")
            conn.execute("DELETE FROM mart.daily_revenue_by_account WHERE revenue_date = ?", [day])
            conn.execute(_MART, [day, start_us, end_us, start_us, end_us])
            conn.execute("COMMIT")
            return len(conn.execute(_DAY, [day]).fetchall())

    def mart(self, day: str) -> list[MartRow]:
        with self._lock:
            rows = self._open().execute(_DAY, [day]).fetchall()
        return [MartRow(*row) for row in rows]

    def counts(self) -> tuple[int, int, int]:
        """(event records, how many there are up to the highest offsets, payments)."""
        with self._lock:
            conn = self._open()
            records = _count(conn, "SELECT count(*) FROM raw.events")
            reach = _count(
                conn, "SELECT sum(top) FROM (SELECT max(pos) + 1 AS top FROM raw.events GROUP BY part)"
            )
            return records, reach, _count(conn, "SELECT count(*) FROM raw.payments")

    def close(self) -> None:
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def _load(self, statement: str, file: str) -> int:
        with self._lock:
            return int(self._open().execute(statement, [file]).fetchall()[0][0])

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._conn is None:
            self._conn = duckdb.connect(str(self._file))
            self._conn.execute(_SCHEMA)
        return self._conn


def _count(conn: duckdb.DuckDBPyConnection, statement: str) -> int:
    row: Any = conn.execute(statement).fetchone()
    return int(row[0])


_open: dict[Path, Warehouse] = {}
_opening = threading.Lock()


def warehouse() -> Warehouse:
    """The warehouse of this process's folder, one connection for all tasks."""
    with _opening:
        file = folder() / "warehouse.duckdb"
        return _open.setdefault(file, Warehouse(file))
