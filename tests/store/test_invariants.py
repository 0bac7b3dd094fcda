"""Each invariant holds on a sound store, and is named when the store is damaged so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.invariants import check, check_logs, live
from tests.store.rows import Book, whole_run


@pytest.fixture
def conn(db: Path) -> sqlite3.Connection:
    """Run 1 over; run 2 waits (drop deferred); run 3 runs (load, its second attempt)."""
    writer = InlineWriter.open_here(db, create=True)
    book = Book()
    for run_id, batches in ((1, 99), (2, 2), (3, 5)):
        for n, (changes, batch) in enumerate(whole_run(book, run_id), 1):
            writer.commit_here(changes, batch)
            if n == batches:
                break
    writer.close_here()
    raw = sqlite3.connect(db, isolation_level=None)
    raw.execute("PRAGMA foreign_keys = OFF")
    return raw


def test_a_sound_store_has_no_violation(conn: sqlite3.Connection) -> None:
    assert check(conn) == []


def test_every_state_of_a_whole_run_is_sound(db: Path) -> None:
    writer = InlineWriter.open_here(db, create=True)
    book = Book()
    for run_id in (1, 2):
        for changes, batch in whole_run(book, run_id):
            writer.commit_here(changes, batch)
            assert writer.read_here(check) == []
    writer.close_here()


NOTICE = (
    "INSERT INTO notice (notice_id, route, key, kind, severity, state, count, title, made_us, from_us, next_us,"
    " ended_us, message) VALUES (7, 'r', 'k', 'failure', 'major', {}, 1, 't', 1, 1, 1, {}, {})"
)
DELIVERY = "INSERT INTO hook_delivery VALUES (9, 'h', '', 'd', {}, {}, '', 1, 1, 1, NULL, 2)"
EVENT = "INSERT INTO event SELECT max(seq) + 1, 0, 1, {} FROM event"


@pytest.mark.parametrize(
    ("which", "damage", "says"),
    [
        ("I1", "UPDATE task_instance SET run_id = 99 WHERE instance_id = 31", "has no run"),
        (
            "I2",
            "UPDATE task_instance SET state = 'runnicg' WHERE instance_id = 32",
            "unknown state 'runnicg'",
        ),
        ("I2", "UPDATE run SET state = 'failed' WHERE run_id = 1", "by the journal it is 'success'"),
        ("I2", "UPDATE task_instance SET state = 'pending' WHERE instance_id = 13", "run 1 is over"),
        (
            "I2",
            "UPDATE run SET ended_us = NULL WHERE run_id = 1",
            "run 1 is success and its end is not written",
        ),
        (
            "I2",
            "DELETE FROM event WHERE subject = 'instance' AND now = 'up_for_retry' AND run_id = 1",
            "and it was",
        ),
        ("I2", "DELETE FROM event WHERE subject = 'instance' AND subject_id = 11", "no line of it"),
        ("I2", "UPDATE event SET now = 'pending' WHERE subject = 'run' AND seq = 2", "no legal move"),
        (
            "I2",
            "UPDATE event SET was = 'failed' WHERE subject = 'instance' AND seq = 3",
            "begins in 'failed'",
        ),
        ("I2", "DELETE FROM event WHERE subject = 'wait' AND subject_id = 1", "wait 1 is 'fired'"),
        ("I2", NOTICE.format("'torn'", "NULL", "NULL"), "notice 7 has the unknown state 'torn'"),
        ("I2", NOTICE.format("'sent'", "NULL", "'{}'"), "notice 7 is sent and its end is not written"),
        ("I2", NOTICE.format("'pending'", "5", "NULL"), "notice 7 is pending and its end is 5"),
        ("I2", NOTICE.format("'sending'", "NULL", "NULL"), "what is sent does not stand"),
        ("I2", DELIVERY.format("'accepted'", "NULL"), "is accepted and its run is not written"),
        ("I2", DELIVERY.format("'refused'", "1"), "is refused and its run is 1"),
        ("I2", "INSERT INTO token VALUES ('a', 'ci', 'h', 'root', 1, NULL, NULL)", "unknown scope 'root'"),
        (
            "I2",
            "INSERT INTO audit VALUES (1, 1, 'ann', 'http', '', 'pause', '', '{}', 'perhaps', '')",
            "audit 1 has the unknown outcome 'perhaps'",
        ),
        ("I3", "UPDATE attempt SET state = 'failed' WHERE attempt_id = 322", "its attempt 322 is not"),
        ("I3", "UPDATE attempt SET state = 'running' WHERE attempt_id = 321", "has 2 running attempts"),
        ("I3", "UPDATE attempt SET state = 'running' WHERE attempt_id = 111", "its instance 11 is success"),
        (
            "I4",
            "UPDATE wait SET state = 'fired', ended_us = 1, event = '1' WHERE wait_id = 2",
            "has no open wait",
        ),
        (
            "I4",
            "UPDATE task_instance SET state = 'success' WHERE instance_id = 21",
            "its instance 21 is success",
        ),
        (
            "I4",
            (
                "INSERT INTO wait SELECT 77, instance_id, attempt_id, key, kind, trigger, state, created_us, deadline_us,"
                " poll_us, ended_us, event, reason FROM wait WHERE wait_id = 2"
            ),
            "has 2 open waits",
        ),
        ("I5", "UPDATE wait SET event = NULL WHERE wait_id = 1", "its event is not written"),
        ("I5", "UPDATE wait SET ended_us = NULL WHERE wait_id = 1", "its end is not written"),
        ("I5", EVENT.format("'wait', 1, 1, 'open', 'fired', ''"), "has ended 2 times"),
        ("I5", EVENT.format("'wait', 2, 2, 'open', 'fired', ''"), "has not moved since"),
        (
            "I6",
            "UPDATE task_instance SET failures = 3 WHERE instance_id = 32",
            "may fail 2 times and failed 3",
        ),
        ("I6", "UPDATE task_instance SET attempt = 5 WHERE instance_id = 32", "counts 5 attempts"),
        ("I6", "UPDATE attempt SET number = 2 WHERE attempt_id = 121", "number 2 more than once"),
        (
            "I6",
            "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us)"
            " VALUES (132, 13, 2, 'success', 1, 0);"
            "UPDATE event SET now = 'lost' WHERE subject = 'attempt' AND subject_id = 131 AND was = 'running';"
            + EVENT.format("'attempt', 132, 1, '', 'running', ''"),
            "not idempotent",
        ),
        (
            "I7",
            "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us)"
            " VALUES (331, 33, 1, 'running', 1, 0);" + EVENT.format("'attempt', 331, 3, '', 'running', ''"),
            "before its upstreams",
        ),
        (
            "I8",
            "DROP INDEX run_one_a_slot; UPDATE run SET kind = 'scheduled', logical_us = 5 WHERE run_id < 3",
            "2 scheduled runs",
        ),
        (
            "I9",
            EVENT.format("'run', 3, 3, 'running', 'cancelled', ''")
            + ";"
            + EVENT.format("'instance', 33, 3, 'pending', 'ready', ''")
            + ";"
            + EVENT.format("'instance', 33, 3, 'ready', 'running', ''"),
            "after its run 3 was cancelled",
        ),
        ("I12", "DELETE FROM attempt WHERE attempt_id = 121", "the journal speaks of attempt 121"),
        (
            "I12",
            "DELETE FROM task_instance WHERE instance_id = 11",
            "row 111 of attempt belongs to the instance 11",
        ),
        ("I12", "INSERT INTO output VALUES (999, '1')", "row 999 of output"),
        ("I12", "UPDATE task_instance SET attempt_id = 322 WHERE instance_id = 12", "which is not its own"),
        ("I12", "UPDATE task_instance SET task = 'ghost' WHERE instance_id = 33", "no task of its graph"),
        ("I12", "UPDATE dag SET version_id = 9", "names the version 9"),
        ("I12", "UPDATE wait SET attempt_id = 111 WHERE wait_id = 2", "its attempt is another's"),
        ("I12", "INSERT INTO step VALUES (11, 999, 'x', '1')", "recorded step"),
        ("I12", "INSERT INTO alarm VALUES ('run', 1, 5, 0, 'by 05:45 UTC')", "run 1, which is over"),
        ("I12", "INSERT INTO alarm VALUES ('task', 11, 5, 9, 'within 9')", "instance 11, which is over"),
        ("I12", "INSERT INTO alarm VALUES ('task', 999, 5, 9, 'within 9')", "instance 999"),
    ],
)
def test_a_damaged_store_is_named(conn: sqlite3.Connection, which: str, damage: str, says: str) -> None:
    conn.executescript(damage)
    found = [violation for violation in check(conn) if violation.id == which]
    assert any(says in violation.sentence for violation in found), check(conn)


def test_a_graph_that_cannot_be_read_is_said_and_hides_nothing_else(conn: sqlite3.Connection) -> None:
    conn.executescript("UPDATE dag_version SET spec = '{'; UPDATE wait SET event = NULL WHERE wait_id = 1")
    found = check(conn)
    assert any("could not be checked" in violation.sentence for violation in found)
    assert any("its event is not written" in violation.sentence for violation in found)


def test_a_rerun_and_a_task_that_waits_for_no_one_are_sound(conn: sqlite3.Connection) -> None:
    conn.executescript(
        ";".join(
            (
                EVENT.format("'run', 1, 1, 'success', 'running', 'rerun'"),
                EVENT.format("'instance', 13, 1, 'success', 'ready', 'rerun'"),
                EVENT.format("'attempt', 132, 1, '', 'running', ''"),
                EVENT.format("'instance', 13, 1, 'ready', 'running', ''"),
                "UPDATE run SET state = 'running', ended_us = NULL WHERE run_id = 1",
                (
                    "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us)"
                    " VALUES (132, 13, 2, 'running', 1, 0)"
                ),
                "UPDATE task_instance SET state = 'running', attempt = 2, attempt_id = 132 WHERE instance_id = 13",
            )
        )
    )
    assert check(conn) == []


def test_i12_logs_belong_to_attempts(conn: sqlite3.Connection, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    assert check_logs(conn, logs) == []
    logs.mkdir()
    for name in ("0.log", "111.log", "999.log", "notes.txt", "9" * 40 + ".log"):
        (logs / name).touch()
    assert [violation.sentence.split()[2] for violation in check(conn, logs)] == [
        "999.log",
        "9" * 40 + ".log",
        "notes.txt",
    ]


def test_i3_i4_i10_the_living_agree_with_the_store(conn: sqlite3.Connection) -> None:
    assert live(conn, bodies=[322], armed=[2], slots=4, in_use=1) == []
    assert [v.id for v in live(conn, bodies=[], armed=[2, 1], slots=4, in_use=5)] == ["I3", "I4", "I10"]


BACKFILL = "INSERT INTO backfill VALUES (1, 1, '{}', '{{}}', '', 0, {}, '')"
INTERVAL = "INSERT INTO backfill_interval VALUES (1, {}, 0, {}, 1, '{}', {}, '')"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            (BACKFILL.format("success", 5), INTERVAL.format(0, 0, "pending", "NULL")),
            "its interval 0 is pending",
        ),
        ((BACKFILL.format("running", "NULL"), INTERVAL.format(0, 0, "running", 1)), "its run 1 is over"),
        (
            (BACKFILL.format("running", "NULL"), INTERVAL.format(0, 0, "running", "NULL")),
            "its run 0 is over or not",
        ),
        ((BACKFILL.format("rinning", "NULL"),), "unknown state 'rinning'"),
        (
            (
                BACKFILL.format("running", "NULL"),
                INTERVAL.format(0, 0, "running", 3),
                INTERVAL.format(1, 1, "running", 3),
            ),
            "run 3 runs 2 intervals",
        ),
    ],
)
def test_a_backfill_ends_with_its_intervals(
    conn: sqlite3.Connection, rows: tuple[str, ...], says: str
) -> None:
    for row in rows:
        conn.execute(row)
    assert [one.id for one in check(conn) if says in one.sentence] == ["I2"], check(conn)
