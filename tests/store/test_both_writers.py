"""What both writers promise the engine: one suite, every store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bide.runtime.engine.changes import Changes
from bide.runtime.errors import StoreError, StoreFullError, StoreLostError
from bide.runtime.store import facts
from bide.runtime.store.batch import STATEMENTS
from bide.runtime.store.failure import BatchRejected
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.load import load_run, load_world, meta
from bide.runtime.store.writer import Writer
from tests.store.rows import T0, Book, whole_run

Store = Writer | InlineWriter
STEPS = ("begin", "dags_set", "runs_new", "runs_set", "instances_new", "events", "meta", "commit")


def dump(conn: sqlite3.Connection) -> list[str]:
    return list(conn.iterdump())


def test_every_list_of_changes_has_its_statement() -> None:
    names = [name for name, _ in STATEMENTS]
    assert sorted([*names, "pruned"]) == sorted(
        Changes.__struct_fields__
    )  # a removal names its tables itself
    fields = [name for name in Changes.__struct_fields__ if name not in ("outputs", "outputs_gone", "pruned")]
    assert [name for name in names if name not in ("outputs", "outputs_gone")] == fields
    assert names.index("outputs_gone") < names.index("outputs")


async def test_a_run_written_batch_by_batch_is_read_back(store: Store) -> None:
    book = Book()
    for changes, batch in whole_run(book):
        await store.commit(changes, batch)
    world = await store.read(load_world)
    assert (world.runs, world.instances, world.waits, world.batch) == ([], [], [], book.batch)
    assert [dag.name for dag in world.dags] == ["etl"]
    assert (world.last.run, world.last.instance, world.last.attempt, world.last.event) == (
        1,
        13,
        131,
        book.seq,
    )
    run = await store.read(lambda conn: load_run(conn, 1))
    assert run is not None
    assert [(i.task, i.state, i.attempt) for i in run.instances] == [
        ("drop", "success", 1),
        ("load", "success", 2),
        ("send", "success", 1),
    ]
    assert [a.attempt_id for a in run.attempts] == [111, 122, 131]
    assert await store.read(lambda conn: load_run(conn, 7)) is None


async def test_recovery_finds_all_instances_and_only_current_attempts(store: Store) -> None:
    batches = whole_run(Book())
    for _ in range(5):  # up to the second attempt of `load`
        await store.commit(*next(batches))
    world = await store.read(load_world)
    assert [(i.task, i.state) for i in world.instances] == [
        ("drop", "success"),
        ("load", "running"),
        ("send", "pending"),
    ]
    assert [(a.attempt_id, a.number, a.state) for a in world.attempts] == [(122, 2, "running")]
    assert [v.version_id for v in world.versions] == [1]


async def test_recovery_finds_open_waits_and_processes_left_behind(store: Store) -> None:
    batches = whole_run(Book())
    for _ in range(2):
        await store.commit(*next(batches))
    world = await store.read(load_world)
    assert [(w.wait_id, w.instance_id, w.deadline_us) for w in world.waits] == [(1, 11, T0 + 10)]
    for _ in range(4):
        await store.commit(*next(batches))
    world = await store.read(load_world)
    assert [(p.attempt_id, p.pid) for p in world.processes] == [(131, 4242)]
    await store.commit(*next(batches))
    assert (await store.read(load_world)).processes == []


async def test_p2_a_wait_left_open_by_a_run_that_is_over_does_not_keep_the_store_shut(store: Store) -> None:
    for changes, batch in whole_run(Book()):
        await store.commit(changes, batch)
    changes = Changes()
    changes.waits_set[1] = (111, "open", T0, None, None, "", 1)
    await store.commit(changes, 99)
    world = await store.read(load_world)
    assert (world.waits, world.last.wait) == ([], 1)


@pytest.mark.parametrize("step", STEPS)
async def test_p13_a_fault_before_any_step_applies_nothing_and_the_same_batch_lands_later(
    store: Store, step: str
) -> None:
    def stop(at: str) -> None:
        if at == step:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise error

    changes, batch = next(whole_run(Book()))
    before = await store.read(dump)
    store.hook = stop
    with pytest.raises(StoreFullError, match="tried again"):
        await store.commit(changes, batch)
    assert await store.read(dump) == before
    store.hook = None
    await store.commit(changes, batch)
    assert len((await store.read(load_world)).instances) == 3


async def test_p13_an_io_error_is_never_called_retriable(store: Store) -> None:
    def stop(at: str) -> None:
        if at == "commit":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
            raise error

    store.hook = stop
    with pytest.raises(StoreLostError, match="SQLITE_IOERR_FSYNC"):
        await store.commit(*next(whole_run(Book())))


def poison(changes: Changes, kind: str) -> str:
    """Add one row that cannot be written; returns the table that must be named."""
    match kind:
        case "duplicate":
            changes.runs_new.append(changes.runs_new[0])
            return "runs_new"
        case "orphan":
            changes.attempts_new.append((1, 999, 1, "running", 1, T0, 0))
            return "attempts_new"
        case "null":
            changes.events.append((99, T0, 1, "run", 1, 1, None, "x", ""))
            return "events"
        case "type":
            changes.events.append((99, "noon", 1, "run", 1, 1, "", "x", ""))
            return "events"
        case "too large":
            changes.events.append((99, 2**70, 1, "run", 1, 1, "", "x", ""))
            return "events"
        case "surrogate":
            changes.events.append((99, T0, 1, "run", 1, 1, "", "x", "\udc80"))
            return "events"
        case "columns":
            changes.events.append((99, T0))
            return "events"
        case "object":
            changes.steps.append((11, 1, "a", object()))
            return "steps"
        case _:
            changes.runs_set[77] = ("running", None, None, None, "", 77)
            return "runs_set"


@pytest.mark.parametrize(
    "kind",
    ["duplicate", "orphan", "null", "type", "too large", "surrogate", "columns", "object", "missing"],
)
async def test_a_row_that_cannot_be_written_rejects_the_whole_batch_and_names_its_table(
    store: Store, kind: str
) -> None:
    book = Book()
    changes, batch = next(whole_run(book))
    before = await store.read(dump)
    table = poison(changes, kind)
    with pytest.raises(BatchRejected) as caught:
        await store.commit(changes, batch)
    assert caught.value.table == table
    assert caught.value.constraint
    assert await store.read(dump) == before
    await store.commit(*next(whole_run(Book())))


async def test_the_same_batch_never_lands_twice(store: Store) -> None:
    await store.commit(Changes(), 1)
    with pytest.raises(BatchRejected, match="batch 1 or a later one"):
        await store.commit(Changes(), 1)
    await store.commit(Changes(), 5)
    assert await store.read(lambda conn: meta(conn, "batch")) == 5


async def test_i8_a_second_scheduled_run_of_a_logical_date_is_refused(store: Store) -> None:
    book = Book()
    book.dag()
    book.run(1, kind="scheduled", logical=T0)
    await store.commit(*book.take())
    book.run(2, kind="manual", logical=T0)
    await store.commit(*book.take())
    book.run(3, kind="scheduled", logical=T0)
    with pytest.raises(BatchRejected, match=r"run\.dag_id, run\.logical_us"):
        await store.commit(*book.take())


async def test_the_epoch_counts_starts_and_is_not_the_batch(store: Store) -> None:
    assert [await store.begin_epoch(), await store.begin_epoch()] == [1, 2]
    world = await store.read(load_world)
    assert (world.epoch, world.batch) == (2, 0)


async def test_a_read_that_fails_or_writes_leaves_nothing(store: Store) -> None:
    def spoil(conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN")
        conn.execute("DELETE FROM meta")

    await store.read(spoil)
    with pytest.raises(StoreError, match="no such table"):
        await store.read(lambda conn: conn.execute("SELECT * FROM nowhere"))
    assert await store.begin_epoch() == 1


async def test_the_settings_that_durability_rests_on_are_set(store: Store) -> None:
    def settings(conn: sqlite3.Connection) -> list[object]:
        return [
            conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert await store.read(settings) == ["wal", 2, 1]


async def test_closing_empties_the_log_and_may_be_done_twice(store: Store, db: Path) -> None:
    await store.commit(*next(whole_run(Book())))
    await store.close()
    await store.close()
    assert [file.name for file in db.parent.iterdir()] == ["bide.db"]
    with pytest.raises(StoreLostError, match="closed"):
        await store.commit(Changes(), 9)


async def test_a_replaced_file_is_noticed(store: Store, db: Path) -> None:
    def others_do(step: str) -> None:
        match step:
            case "move":
                db.rename(db.with_name("moved.db"))
            case "replace":
                db.write_bytes(b"")
            case _:
                db.with_name("moved.db").replace(db)

    assert store.same_file()
    others_do("move")
    assert not store.same_file()
    others_do("replace")
    assert not store.same_file()
    others_do("put back")
    assert store.same_file()


async def test_facts_answer_what_decide_asks(store: Store) -> None:
    for changes, batch in whole_run(Book()):
        await store.commit(changes, batch)
    changes = Changes()
    changes.answered.append(("user ann", "k", "trigger", '{"run_id":"1"}', T0, "d"))
    await store.commit(changes, 99)

    def ask(conn: sqlite3.Connection) -> None:
        by_key = facts.run_by_key(conn, 1, "key-1")
        assert by_key is not None
        assert by_key.run_id == 1
        assert facts.run_by_key(conn, 1, "no") is None
        at = facts.run_at(conn, 1, T0 + 1, "load")
        assert at is not None
        assert (at.state, [(t.map_index, t.state) for t in at.tasks]) == ("success", [(-1, "success")])
        assert facts.run_at(conn, 1, T0 + 2) is None
        assert facts.outputs(conn, [11, 12, 13]) == {11: '{"path":"x"}', 12: "42"}
        assert facts.answered(conn, "user ann", "k") == [("user ann", "trigger", '{"run_id":"1"}', "d")]
        assert facts.answered(conn, "user ann", "x") == facts.answered(conn, "http ann", "k") == []
        assert facts.watermark(conn, 1, "load") == "1"

    await store.read(ask)


async def test_a_rerun_forgets_the_old_output_and_may_write_a_new_one(store: Store) -> None:
    for changes, batch in whole_run(Book()):
        await store.commit(changes, batch)
    changes = Changes()
    changes.outputs_gone += [(11,), (12,), (13,)]
    changes.outputs.append((12, "43"))
    await store.commit(changes, 99)
    assert await store.read(lambda conn: facts.outputs(conn, [11, 12, 13])) == {12: "43"}


async def test_a_lost_attempts_answers_and_steps_are_inherited_until_another_end(store: Store) -> None:
    book = Book()
    book.dag()
    book.run(1)
    book.move(12, "ready")
    failed = book.start(12)
    book.changes.steps.append((12, failed, "paid", '"old"'))
    await store.commit(*book.take())
    book.end(failed, "failed")
    book.move(12, "up_for_retry")
    book.move(12, "ready")
    first = book.start(12)
    for n, key in enumerate(("a", "b", "c", "d"), 1):
        book.wait(n, first, key)
    book.changes.steps.append((12, first, "paid", '"new"'))
    await store.commit(*book.take())
    book.end_wait(1, first)
    book.end_wait(2, first, "cancelled", None)
    book.end_wait(3, first, "timed_out", None)
    book.end(first, "lost")
    book.move(12, "ready")
    second = book.start(12)
    book.end_wait(4, second, event='"late"')
    await store.commit(*book.take())
    recorded = await store.read(lambda conn: facts.recorded(conn, 12))
    assert [(a.key, a.state, a.event) for a in recorded.answers] == [
        ("a", "fired", '{"path":"x"}'),
        ("c", "timed_out", None),
        ("d", "fired", '"late"'),
    ]
    assert recorded.steps == {"paid": '"new"'}
