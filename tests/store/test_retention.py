"""P14: what is removed, what stays, and that every slice of it leaves a sound database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.runtime.engine.changes import Changes, Removal
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.invariants import check
from bide.runtime.store.load import load_run, load_world
from bide.runtime.store.retention import Cursor, Of, Policy, next_slice
from tests.store.rows import T0, Book, whole_run

LATE = T0 + 10**15


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Thirty runs that are over, and one that waits."""
    path = tmp_path / "bide.db"
    writer = InlineWriter.open_here(path, synchronous="NORMAL", create=True)
    book = Book()
    for run_id in range(1, 32):
        for n, (changes, batch) in enumerate(whole_run(book, run_id), 1):
            writer.commit_here(changes, batch)
            if run_id == 31 and n == 2:
                break
    writer.close_here()
    return path


def prune(db: Path, policy: Policy, checked: bool = True) -> dict[str, int]:
    """As the engine does it, but for the world; after every slice everything holds."""
    writer = InlineWriter.open_here(db, synchronous="NORMAL")
    removed: dict[str, int] = {}
    cursor, batch = Cursor(), writer.read_here(load_world).batch
    for _ in range(1000):
        found = writer.read_here(lambda conn: next_slice(conn, policy, cursor))  # noqa: B023 - called at once
        changes = Changes()
        changes.pruned.append(
            Removal(LATE, [each.run_id for each in found.marked], found.gone, found.journal_from)
        )
        before = counts(writer._raw)
        batch += 1
        writer.commit_here(changes, batch)
        after = counts(writer._raw)
        went = {table: before[table] - after[table] for table in before if before[table] > after[table]}
        assert went == {table: n for table, n in found.counts.items() if n}, "what was announced"
        for table, n in went.items():
            removed[table] = removed.get(table, 0) + n
        if checked:
            assert writer.read_here(check) == []
        cursor = found.cursor
        if found.done:
            break
    else:
        raise AssertionError("it does not come to an end")
    writer.close_here()
    return removed


def counts(conn: sqlite3.Connection) -> dict[str, int]:
    tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    leave = ("pruning", "last_id", "meta")
    return {
        name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in tables
        if name not in leave
    }


def of(db: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(db)) as conn:
        return conn.execute(sql).fetchall()


def test_p14_runs_go_by_age_but_the_newest_of_each_dag_and_all_that_live_stay(db: Path) -> None:
    removed = prune(db, Policy(Of(LATE, 5)))
    assert [run for (run,) in of(db, "SELECT run_id FROM run")] == [27, 28, 29, 30, 31]
    assert removed["run"] == 26
    assert removed["task_instance"] == 26 * 3
    assert removed["event"] > 26
    assert of(db, "SELECT count(*) FROM event WHERE run_id < 27") == [(0,)]
    assert of(db, "SELECT count(*) FROM pruning") == [(0,)]


def test_p14_what_is_younger_than_its_horizon_stays(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE run SET ended_us = run_id * 100, created_us = run_id WHERE ended_us IS NOT NULL")
    prune(db, Policy(Of(1000), {"another": Of(LATE)}))
    assert of(db, "SELECT min(run_id) FROM run") == [(10,)]
    assert prune(db, Policy(Of(0))) == {}
    prune(db, Policy(Of(0), {"etl": Of(LATE, 2)}))
    assert of(db, "SELECT count(*) FROM run") == [(2,)]


def test_p14_an_id_is_never_given_twice_though_its_row_is_gone(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE run SET logical_us = logical_us + 1000000 WHERE run_id = 1")
        conn.execute("DELETE FROM wait WHERE state = 'open'")
    before = of(db, "SELECT max(attempt_id) FROM attempt")
    prune(db, Policy(Of(LATE)), checked=False)
    with closing(sqlite3.connect(db)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("DELETE FROM attempt")
        assert load_world(conn).last.attempt == before[0][0]


def test_p14_what_something_living_refers_to_stays(db: Path) -> None:
    """A backfill that goes on, a plan, a question that is open, a table of which retention knows nothing."""
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.executescript(
            """
            INSERT INTO backfill VALUES (1, 1, 'running', '{}', '', 0, NULL, '');
            INSERT INTO backfill_interval VALUES (1, 0, 0, 0, 1, 'success', 3, '');
            INSERT INTO backfill VALUES (2, 1, 'success', '{}', '', 0, 1, '');
            INSERT INTO backfill_interval VALUES (2, 0, 0, 0, 1, 'success', 4, '');
            INSERT INTO rerun_plan VALUES (1, NULL, '', '{}', '', 0, 'proposed', 0, NULL, NULL, '');
            INSERT INTO rerun_step VALUES (1, 0, 'published', 5, '');
            INSERT INTO event SELECT max(seq) + 1, 0, 1, 'plan', 1, NULL, '', 'proposed', '' FROM event;
            INSERT INTO alert (alert_id, key, kind, run_id, subject, promise, due_us, fired_us, text, payload, state)
              VALUES (1, 'a', 'run', 6, '', '', 0, 0, '', '{}', 'taken'), (2, 'b', 'run', 7, '', '', 0, 0, '', '{}', 'new');
            CREATE TABLE foreigner (attempt_id INTEGER REFERENCES attempt (attempt_id));
            INSERT INTO foreigner SELECT max(attempt_id) FROM attempt WHERE instance_id BETWEEN 80 AND 83;
            PRAGMA user_version = 9999;
            """
        )
        from bide.runtime.store import references, removal

        references._referring.clear()
    with closing(sqlite3.connect(db, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = ON")
        cursor, policy = Cursor(), Policy(Of(LATE))
        for _ in range(100):
            found = next_slice(conn, policy, cursor)
            conn.execute("BEGIN")
            removal.carry_out(conn, Removal(LATE, [one.run_id for one in found.marked], found.gone, 0))
            conn.execute("COMMIT")
            cursor = found.cursor
            if found.done:
                break
        references._referring.clear()
        assert [run for (run,) in conn.execute("SELECT run_id FROM run")] == [3, 5, 6, 8, 31]
        assert conn.execute("SELECT backfill_id FROM backfill").fetchall() == [(1,)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []


def test_p14_a_run_that_is_being_removed_is_taken_up_no_more_and_the_next_prune_goes_on(db: Path) -> None:
    """Killed between two slices: what is left of it is sound, and goes."""
    writer = InlineWriter.open_here(db)
    changes = Changes()
    changes.pruned.append(Removal(LATE, [1, 2, 31], {"instances": []}, 0))
    writer.commit_here(changes, 10_000)
    assert of(db, "SELECT run_id FROM pruning") == [(1,), (2,)], "31 is not over"
    assert writer.read_here(lambda conn: load_run(conn, 1)) is None
    found = writer.read_here(lambda conn: next_slice(conn, Policy(Of(0)), Cursor()))
    some = {"instances": found.gone["instances"][:1]}
    changes = Changes()
    changes.pruned.append(Removal(LATE, [], some, 0))
    writer.commit_here(changes, 10_001)
    assert writer.read_here(check) == []
    writer.close_here()
    assert prune(db, Policy(Of(0)))["run"] == 2


def test_p14_a_wide_run_goes_in_slices_of_bounded_size(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    InlineWriter.open_here(db, create=True).close_here()
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1, 'wide', '{}', '{}')")
        conn.execute('INSERT INTO dag_version VALUES (1, 1, \'h\', \'{"name":"wide","tasks":[]}\', 0)')
        for run in (1, 2):
            conn.execute(
                "INSERT INTO run VALUES (?, 1, 1, 'success', 'manual', ?, ?, 0, 0, 0, '{}', 0, 0, 1, NULL, '')",
                (run, str(run), run),
            )
        conn.executemany(
            "INSERT INTO task_instance (instance_id, run_id, task, map_index, state, since_us, attempt, attempt_id)"
            " VALUES (?, 1, 't', ?, 'success', 0, 1, ?)",
            [(n, n, n) for n in range(1, 5001)],
        )
        conn.executemany(
            "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us, ended_us)"
            " VALUES (?, ?, 1, 'success', 1, 0, 1)",
            [(n, n) for n in range(1, 5001)],
        )
        conn.executemany(
            "INSERT INTO event VALUES (?, 0, 1, 'instance', ?, 1, '', 'pending', '')",
            [(n, n) for n in range(1, 5001)],
        )
    sizes: list[int] = []
    with closing(sqlite3.connect(db)) as conn:
        found = next_slice(conn, Policy(Of(LATE)), Cursor())
        sizes.append(sum(found.counts.values()))
    removed = prune(db, Policy(Of(LATE)), checked=False)
    assert removed == {"run": 1, "task_instance": 5000, "attempt": 5000, "event": 5000}


def test_p14_the_journal_s_other_lines_go_by_age_and_how_far_is_recorded(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "INSERT INTO event SELECT max(seq) + 1, 5, 1, 'command', 0, NULL, '', 'rejected', '' FROM event"
        )
        conn.execute(
            "INSERT INTO event SELECT max(seq) + 1, ?, 1, 'clock', 0, NULL, '', 'stepped', '' FROM event",
            (LATE,),
        )
    [(last,)] = of(db, "SELECT max(seq) FROM event")
    assert isinstance(last, int)
    prune(db, Policy(Of(LATE - 1, 100)))
    assert of(db, "SELECT subject FROM event WHERE run_id IS NULL") == [("clock",)]
    assert of(db, "SELECT value FROM meta WHERE key = 'journal_from'") == [(last - 1,)]


def test_p14_keys_skips_and_marks_of_what_is_over_go_by_age(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.executescript(
            """
            INSERT INTO answered VALUES (1, '', 'old', 'a', '{}', 5, ''), (2, '', 'new', 'a', '{}', 4000000000000000, '');
            INSERT INTO skipped_firing VALUES (1, 1, 0, 0, '', 5), (2, 1, 0, 0, '', 4000000000000000);
            INSERT INTO standing (standing_id, dag_id, kind, trigger, poll_us, since_us, ended_us) VALUES
              (1001, 1, 'file', '{}', 1, 1, 5), (1002, 1, 'file', '{}', 1, 1, NULL);
            INSERT INTO standing_mark VALUES (1001, 'a', '1'), (1002, 'b', '1');
            """
        )
    removed = prune(db, Policy(Of(LATE, 100)))
    assert removed == {"answered": 1, "skipped_firing": 1, "standing_mark": 1, "standing": 1}
    assert of(db, "SELECT name FROM standing_mark") == [("b",)], "a living one tells of each file once"
    assert json.dumps(of(db, "SELECT key FROM answered")) == '[["new"]]'


def test_p14_tokens_that_open_nothing_and_deliveries_that_are_forgotten_go_by_age(db: Path) -> None:
    far = 4_000_000_000_000_000
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.executescript(
            f"""
            INSERT INTO token VALUES ('a', 'revoked', 'h', 'run', 1, NULL, 5), ('b', 'expired', 'h', 'run', 1, 5, NULL),
              ('c', 'lives', 'h', 'run', 1, NULL, NULL), ('d', 'later', 'h', 'run', 1, {far}, NULL);
            INSERT INTO hook_delivery VALUES (1, 'h', '', 'd', 'accepted', 1, '', 1, 1, 1, NULL, 5),
              (2, 'h', '', 'd', 'ignored', NULL, '', 1, 1, 1, NULL, {far});
            INSERT INTO hook_key VALUES ('h', 'one', 1), ('h', 'two', 2);
            """
        )
    assert prune(db, Policy(Of(LATE, 100))) == {"token": 2, "hook_delivery": 1, "hook_key": 1}
    assert of(db, "SELECT name FROM token ORDER BY public") == [("lives",), ("later",)]
    assert of(db, "SELECT key FROM hook_key") == [("two",)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stages=st.lists(st.integers(1, 12), min_size=2, max_size=9), at=st.integers(0, 10), last=st.integers(1, 4)
)
def test_p14_whenever_it_is_pruned_what_lives_is_as_in_a_twin_that_never_was(
    tmp_path_factory: pytest.TempPathFactory, stages: list[int], at: int, last: int
) -> None:
    """Runs left at random stages, ended at random instants: everything holds, and a start finds the same world."""
    db = tmp_path_factory.mktemp("twin") / "bide.db"
    writer = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
    book = Book()
    for run_id, until in enumerate(stages, 1):
        for n, (changes, batch) in enumerate(whole_run(book, run_id), 1):
            writer.commit_here(changes, batch)
            if n == until:
                break
    writer._raw.execute("UPDATE run SET ended_us = run_id, created_us = 0 WHERE ended_us IS NOT NULL")
    before = writer.read_here(load_world)
    live = writer.read_here(
        lambda conn: conn.execute("SELECT run_id FROM run WHERE ended_us IS NULL").fetchall()
    )
    writer.close_here()
    prune(db, Policy(Of(at, last)))
    with closing(sqlite3.connect(db)) as conn:
        after = load_world(conn)
        kept = {run for (run,) in conn.execute("SELECT run_id FROM run")}
    assert msgspec.structs.replace(after, batch=before.batch) == before
    assert {run for (run,) in live} <= kept
    assert set(range(1, len(stages) + 1)[-last:]) <= kept
    assert {run for run in range(1, len(stages) + 1) if run >= at} <= kept


def test_p14_an_alert_of_no_run_goes_by_its_age_though_nothing_refers_to_alerts(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.executemany(
            "INSERT INTO alert (alert_id, key, kind, subject, promise, due_us, fired_us, text, payload, state)"
            " VALUES (?1, 'asset:' || ?1, 'asset', 'sales', 'by 09:00', 1, ?2, '', '{}', ?3)",
            [(9_001, 1, "new"), (9_002, 1, "taken"), (9_003, LATE + 1, "new")],
        )
    prune(db, Policy(Of(LATE)), checked=False)
    assert of(db, "SELECT alert_id FROM alert ORDER BY 1") == [(9_002,), (9_003,)]
