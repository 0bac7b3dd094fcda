"""The writing thread: one hop a batch, whole under cancellation, nothing left behind."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import aiosqlite
import pytest

import bide.runtime.store as room
from bide.runtime.errors import StoreError
from bide.runtime.store.load import load_world, meta
from bide.runtime.store.writer import Writer, hop
from tests.store.rows import Book, whole_run


def test_the_private_door_of_aiosqlite_is_used_once_and_is_what_we_think() -> None:
    assert inspect.iscoroutinefunction(aiosqlite.Connection._execute)
    assert list(inspect.signature(aiosqlite.Connection._execute).parameters)[:2] == ["self", "fn"]
    assert isinstance(inspect.getattr_static(aiosqlite.Connection, "_conn"), property)
    folder = Path(room.__path__[0])
    uses = [
        line
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
        if "._execute(" in line
    ]
    assert len(uses) == 1
    assert uses[0].strip() in inspect.getsource(hop)


async def test_a_batch_is_one_hop(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = await Writer.open(db, create=True)
    hops = 0
    real = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, fn: object, *args: object, **options: object) -> object:
        nonlocal hops
        hops += 1
        return await real(self, fn, *args, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    await writer.commit(*next(whole_run(Book())))
    assert hops == 1
    await writer.close()


@pytest.mark.parametrize("step", ["begin", "instances_new", "commit"])
async def test_a_cancelled_caller_leaves_a_whole_batch_and_no_transaction(db: Path, step: str) -> None:
    writer = await Writer.open(db, create=True)
    reached, go_on = threading.Event(), threading.Event()

    def stop(at: str) -> None:
        if at == step:
            reached.set()
            assert go_on.wait(5)

    writer.hook = stop
    batches = whole_run(Book())
    commit = asyncio.create_task(writer.commit(*next(batches)))
    await asyncio.to_thread(reached.wait, 5)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    go_on.set()
    writer.hook = None
    assert await writer.read(lambda conn: (conn.in_transaction, meta(conn, "batch"))) == (False, 1)
    await writer.commit(*next(batches))
    await writer.close()


async def test_a_cancelled_close_still_closes(db: Path) -> None:
    before = threading.active_count()
    writer = await Writer.open(db, create=True)
    reached, go_on = threading.Event(), threading.Event()

    def stop(at: str) -> None:
        reached.set()
        assert go_on.wait(5)

    writer.hook = stop
    commit = asyncio.create_task(writer.commit(*next(whole_run(Book()))))
    await asyncio.to_thread(reached.wait, 5)
    close = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    close.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await close
    await commit
    assert [file.name for file in db.parent.iterdir()] == ["bide.db"]
    live = [thread for thread in threading.enumerate() if "asyncio" not in thread.name]
    assert len(live) <= before


async def test_a_cancelled_open_leaves_neither_thread_nor_file_handles(db: Path) -> None:
    before = threading.active_count()
    opening = asyncio.create_task(Writer.open(db, create=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert threading.active_count() == before
    assert not list(db.parent.glob("*-wal"))


@pytest.mark.parametrize("how", ["close", "refuse", "error"])
def test_the_interpreter_ends_quietly_and_without_a_thread(db: Path, how: str) -> None:
    script = textwrap.dedent(
        """
        import asyncio, sys, threading
        from bide.runtime.errors import StoreError
        from bide.runtime.store.writer import Writer
        from tests.store.rows import Book, whole_run
        path, how = sys.argv[1:]
        async def main():
            if how == "refuse":
                try:
                    await Writer.open(path)
                except LookupError:
                    return
            writer = await Writer.open(path, create=True)
            try:
                await writer.commit(*next(whole_run(Book())))
                if how == "error":
                    await writer.commit(*next(whole_run(Book())))
            except StoreError:
                pass
            finally:
                await writer.close()
        asyncio.run(main(), debug=True)
        assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
        """
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", "-c", script, str(db), how],
            check=False, capture_output=True, timeout=30,
        )  # fmt: skip
        assert (done.returncode, done.stderr.decode()) == (0, "")


def shopping_list(db: Path) -> None:
    db.parent.mkdir()
    db.write_text("no database, but some words that are longer than a header" * 20)


async def test_a_refused_open_says_what_the_plain_one_says(db: Path) -> None:
    shopping_list(db)
    before = threading.active_count()
    with pytest.raises(StoreError, match="is not a database"):
        await Writer.open(db)
    assert threading.active_count() == before


async def test_ten_thousand_waits_are_loaded(db: Path) -> None:
    writer = await Writer.open(db, create=True)
    book = Book()
    book.dag()
    book.run(1)
    changes, batch = book.take()
    ids = range(1000, 11000)
    changes.instances_new += [(n, 1, "drop", n, "deferred", 0) for n in ids]
    changes.attempts_new += [(n, n, 1, "running", 1, 0, 0) for n in ids]
    changes.waits_new += [(n, n, n, "", "file", "{}", "open", 0, 1, 1) for n in ids]
    await writer.commit(changes, batch)
    world = await writer.read(load_world)
    assert (len(world.waits), len(world.instances), world.last.wait) == (10_000, 10_003, 10_999)
    await writer.close()
