"""What people and programs ask, beside a writer that goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bide.runtime.errors import NotFoundError, StoreError
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.queries import queries
from bide.runtime.store.reader import AsyncReader, Reader
from tests.store.rows import T0, Book, whole_run

ASKED = {
    "whole": False,
    "dag": "etl",
    "name": "etl",
    "state": None,
    "before": None,
    "limit": 9,
    "run_id": 1,
    "map_index": -1,
    "instance_id": 1,
    "task": None,
    "after": 0,
    "dag_id": 1,
    "kind": None,
    "ids": None,
    "since_us": None,
    "until_us": None,
}


@pytest.fixture
def busy(db: Path) -> Path:
    """Run 1 is over, run 2 waits for its sensor; the log is not checkpointed."""
    writer = InlineWriter.open_here(db, create=True)
    book = Book()
    for changes, batch in whole_run(book):
        writer.commit_here(changes, batch)
    second = whole_run(book, 2)
    for _ in range(2):
        writer.commit_here(*next(second))
    writer._raw.close()
    return db


def test_every_statement_has_its_name_its_why_and_runs(busy: Path) -> None:
    conn = sqlite3.connect(busy)
    for query in queries().values():
        assert query.why.endswith("."), query.name
        conn.execute(query.sql, ASKED).fetchall()
    conn.close()


def test_listings_show_what_was_written(busy: Path) -> None:
    with Reader(busy) as reader:
        assert [(d.name, d.paused, d.last_state) for d in reader.dags()] == [("etl", 0, "running")]
        assert [(r.run_id, r.dag, r.state) for r in reader.runs()] == [
            (2, "etl", "running"),
            (1, "etl", "success"),
        ]
        assert [r.run_id for r in reader.runs(dag="etl", state="success")] == [1]
        assert [r.run_id for r in reader.runs(dag="etl", limit=1)] == [2]
        assert [r.run_id for r in reader.runs(before=2)] == [1]
        assert reader.runs(dag="nothing") == []
        assert [(t.task, t.state, t.attempts, t.output) for t in reader.tasks(1, outputs=True)] == [
            ("drop", "success", 1, '{"path":"x"}'),
            ("load", "success", 2, "42"),
            ("send", "success", 1, None),
        ]
        assert [t.output for t in reader.tasks(1)] == [None] * 3
        assert [(a.task, a.number, a.state) for a in reader.attempts(1, "load")] == [
            ("load", 1, "failed"),
            ("load", 2, "success"),
        ]
        assert [(w.wait_id, w.run_id, w.dag, w.task, w.kind, w.since_us) for w in reader.waits()] == [
            (2, 2, "etl", "drop", "file", T0)
        ]
        assert reader.waits(run_id=1) == []
        assert reader.run(1).version == "h1"


def test_the_journal_can_be_followed_from_any_line(busy: Path) -> None:
    with Reader(busy) as reader:
        last = reader.last_event()
        assert [e.seq for e in reader.events()] == list(range(1, last + 1))
        assert [e.seq for e in reader.events(after=last - 2)] == [last - 1, last]
        assert [e.seq for e in reader.events(limit=2)] == [1, 2]
        assert {e.run_id for e in reader.events(run_id=2)} == {2}


def test_counts_are_by_state(busy: Path) -> None:
    with Reader(busy) as reader:
        counts = reader.counts()
    assert counts.runs == {"running": 1, "success": 1}
    assert counts.tasks == {"deferred": 1, "pending": 2}
    assert counts.waits == {"file": 1}


def test_an_unknown_run_is_not_found_with_words(busy: Path) -> None:
    with Reader(busy) as reader, pytest.raises(NotFoundError, match="bide runs"):
        reader.run(77)


def test_a_reader_cannot_write(busy: Path) -> None:
    with Reader(busy) as reader, pytest.raises(StoreError, match="just now"):
        reader.read(lambda conn: conn.execute("DELETE FROM event"))


def test_listings_use_indexes_and_walk_no_large_table(busy: Path) -> None:
    """Per page, whatever the size of the store; what is sorted is one run's or the list of DAGs."""
    sorts = {"attempts", "dags", "tasks", "tasks_after", "tasks_whole", "tasks_with_outputs"}
    conn = sqlite3.connect(busy)
    for query in queries().values():
        plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {query.sql}", ASKED)]
        walked = [step.split()[1] for step in plan if step.startswith("SCAN") and "wait_open" not in step]
        assert not {"event", "i", "a", "w", "wait"} & set(walked), (query.name, plan)
        assert query.name in sorts or "USE TEMP B-TREE FOR ORDER BY" not in plan, (query.name, plan)
    conn.close()


async def test_the_loop_asks_in_threads_while_the_writer_writes(db: Path) -> None:
    writer = InlineWriter.open_here(db, create=True)
    reader = AsyncReader(db, width=2)
    book = Book()
    seen = []
    for changes, batch in whole_run(book):
        writer.commit_here(changes, batch)
        seen.append(await reader.ask(Reader.last_event))
    assert seen == sorted(set(seen))
    assert [r.state for r in await reader.ask(Reader.runs, dag="etl")] == ["success"]
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        await reader.ask(Reader.dags)
    writer.close_here()
    assert [file.name for file in db.parent.iterdir()] == ["bide.db"]


async def test_one_that_is_closed_while_it_is_asked_leaves_no_connection_open(busy: Path) -> None:
    asked = AsyncReader(busy)

    class Idle(list[Reader]):
        """The loop closes it in the moment in which a thread puts its connection back."""

        def append(self, reader: Reader) -> None:
            asked.close()
            super().append(reader)

    asked._idle = idle = Idle()
    used: list[Reader] = []
    await asked.ask(used.append)
    assert idle == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used[0].last_event()


def test_a_damaged_row_is_said_and_not_shown(busy: Path) -> None:
    conn = sqlite3.connect(busy)
    conn.execute("UPDATE run SET state = 'runnicg' WHERE run_id = 1")
    conn.commit()
    conn.close()
    with Reader(busy) as reader, pytest.raises(StoreError, match="runnicg"):
        reader.runs()
