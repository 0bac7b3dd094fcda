"""Versions and runs over an interval: the same as by looking at all of them, and without looking at all of them."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from bide.runtime.store import facts
from bide.runtime.store.open import open_database

FAR = 10**9


@pytest.fixture
def conn(tmp_path: Path) -> sqlite3.Connection:
    conn = open_database(tmp_path / "bide.db", create=True)
    conn.executemany("INSERT INTO asset (asset_id, name, created_us) VALUES (?, ?, 0)", [(1, "a"), (2, "b")])
    return conn


def publish(conn: sqlite3.Connection, asset_id: int, spans: list[tuple[int, int]]) -> None:
    conn.execute("BEGIN")
    conn.executemany(
        "INSERT INTO asset_version (asset_id, start_us, end_us, state, created_us)"
        " VALUES (?, ?, ?, 'published', 0)",
        [(asset_id, *span) for span in spans],
    )
    conn.execute("COMMIT")


def test_the_versions_over_an_interval_are_all_that_share_something_with_it(conn: sqlite3.Connection) -> None:
    draw = random.Random(7)

    def spans(n: int) -> list[tuple[int, int]]:
        return [(start, start + draw.choice([0, 1, 5, 40])) for start in draw.choices(range(60), k=n)]

    published = spans(60)
    publish(conn, 1, published)
    publish(conn, 2, [(0, FAR)])
    for start, end in spans(200):
        shared = [(lo, hi) for lo, hi in published if (lo < end and hi > start) or (lo, hi) == (start, end)]
        assert [(row.start_us, row.end_us) for row in facts.versions_over(conn, "a", start, end)] == shared
    assert facts.versions_over(conn, "nobody", 0, FAR) == []
    conn.close()


def test_an_interval_among_many_versions_is_found_without_reading_them_all(conn: sqlite3.Connection) -> None:
    publish(conn, 1, [(hour, hour + 1) for hour in range(20_000)])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    conn.set_progress_handler(step, 100)
    for hour in (0, 10_000, 19_999):
        assert len(facts.versions_over(conn, "a", hour, hour + 1)) == 1
    conn.set_progress_handler(None, 0)
    assert steps < 20, f"{steps} hundreds of instructions of SQLite's machine"
    conn.close()


def test_the_runs_of_an_interval_are_found_without_reading_all_runs(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1, 'd', '{}', '{}')")
    conn.execute("BEGIN")
    conn.executemany(
        "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,"
        " scheduled_us, params, created_us, ended_us) VALUES (?1, 1, 1, 'success', 'manual', ?1, ?1, ?1, ?1 + 1, 0, '{}', 0, 1)",
        [(hour,) for hour in range(1, 10_000)],
    )
    conn.execute("COMMIT")
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    conn.set_progress_handler(step, 100)
    found = facts.runs_over(conn, "d", None, 9_000, 9_003)
    conn.set_progress_handler(None, 0)
    assert found == [(9_000, 9_001, "success"), (9_001, 9_002, "success"), (9_002, 9_003, "success")]
    assert steps < 20, f"{steps} hundreds of instructions of SQLite's machine"
    conn.close()
