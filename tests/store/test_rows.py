"""Rows that are fetched as one: the same rows, in the same order, and damage is told the same way."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.clock import SECOND, to_us
from bide.runtime.errors import StoreLostError
from bide.runtime.service.shapes import iso
from bide.runtime.store.apart import check_apart
from bide.runtime.store.open import open_database
from bide.runtime.store.rows import _Row, in_one, in_words, instant, listed, number


class OneRow(_Row, frozen=True):
    number: int
    text: str
    share: float | None


def _table(found: list[tuple[int, str, float | None]]) -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE one (number INTEGER, text TEXT, share REAL)")
    conn.executemany("INSERT INTO one VALUES (?, ?, ?)", found)
    return conn


_ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        st.none() | st.integers(-1000, 1000).map(lambda n: n / 8),
    )
)


@settings(max_examples=50)
@given(_ROWS, st.integers(0, 5))
def test_rows_fetched_as_one_are_those_fetched_one_by_one(
    found: list[tuple[int, str, float | None]], limit: int
) -> None:
    conn = _table(found)
    for sql in (
        "SELECT number, text, share FROM one ORDER BY number DESC, text, share",
        f"SELECT number, text, share FROM one ORDER BY text, number, share LIMIT {limit}",
    ):
        assert in_one(conn, OneRow, sql) == msgspec.convert(conn.execute(sql).fetchall(), list[OneRow])
    conn.close()


def test_a_damaged_row_is_told_in_one_sentence() -> None:
    conn = _table([])
    conn.execute("INSERT INTO one VALUES (1, NULL, 1.0)")
    with pytest.raises(StoreLostError, match="a row of the ones is damaged"):
        listed(conn, OneRow, "SELECT number, text, share FROM one")
    conn.close()


def test_a_check_apart_finds_what_a_check_finds(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    conn = open_database(db, create=True)
    assert check_apart(db, tmp_path / "none") == []
    conn.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1, 'd', '{}', '{}')")
    conn.execute("INSERT INTO dag_version VALUES (1, 1, 'h', '{}', 0)")
    conn.execute(
        "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us, scheduled_us,"
        " params, created_us) VALUES (1, 1, 1, 'success', 'manual', 'k', 0, 0, 0, 0, '{}', 0)"
    )
    conn.commit()
    assert "run 1 is success and its end is not written" in [
        v.sentence for v in check_apart(db, tmp_path / "none")
    ]
    conn.close()


_CALENDAR = st.integers(to_us(datetime(1, 1, 1, tzinfo=UTC)), to_us(datetime(9999, 12, 31, tzinfo=UTC)))


@settings(max_examples=200)
@given(_CALENDAR | _CALENDAR.map(lambda at: at // SECOND * SECOND))
def test_an_instant_that_is_made_within_sqlite_is_that_of_all_doors(at_us: int) -> None:
    conn = sqlite3.connect(":memory:")
    [(made, none)] = conn.execute(
        f"SELECT {instant('at')}, {instant('missing')} FROM (SELECT ? AS at, NULL AS missing)", (at_us,)
    ).fetchall()
    conn.close()
    assert (made, none) == (iso(at_us), None)


class Line(msgspec.Struct, frozen=True):
    id: str
    at: str | None
    text: str


def test_rows_in_words_are_in_the_order_of_the_query_and_damage_is_told() -> None:
    conn = _table([(3, "three", None), (1, 'one "and" \\', 0.5), (2, "two", None)])
    words = {"id": number("number"), "at": instant("number * 1000000")}
    found = in_words(conn, Line, "SELECT * FROM one ORDER BY number DESC LIMIT 2", words)
    assert found == [Line("3", "1970-01-01T00:00:03Z", "three"), Line("2", "1970-01-01T00:00:02Z", "two")]
    [last] = in_words(conn, Line, "SELECT * FROM one WHERE number = ?", words, (1,))
    assert last.text == 'one "and" \\'
    conn.execute("UPDATE one SET text = NULL")
    with pytest.raises(msgspec.ValidationError):
        in_words(conn, Line, "SELECT * FROM one", words)
    conn.close()
