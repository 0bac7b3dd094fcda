"""The log book: lazy, bounded, private, read as a whole and from its end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from bide import Context, Runtime, dag, task
from bide.runtime.clock import SystemClock
from bide.runtime.executor.logs import LogBook


@pytest.fixture
def book(tmp_path: Path) -> LogBook:
    return LogBook(tmp_path / "bide.db.logs", SystemClock(), line_limit=100, size_limit=2_000)


def test_a_line_has_its_instant_and_level(book: LogBook) -> None:
    book.write(1, "hello", "WARNING")
    instant, level, text = book.read(1).split()
    assert (len(instant), instant[-1], level, text) == (27, "Z", "WARNING", "hello")


def test_nothing_is_on_disk_before_the_first_line(book: LogBook) -> None:
    assert (book.read(1), book.tail(1)) == ("", [])
    assert not book.folder.exists()


def test_files_are_private(book: LogBook) -> None:
    book.write(1, "hello")
    book.flush()
    assert oct(book.folder.stat().st_mode)[-3:] == "700"
    assert oct(book.path(1).stat().st_mode)[-3:] == "600"


def test_c23_a_long_line_is_cut_and_says_so(book: LogBook) -> None:
    book.write(1, "ä" * 200)
    line = book.read(1)
    assert line.endswith(" [cut: 300 more bytes]\n")
    assert line.count("ä") == 50


def test_c23_a_log_is_bounded_and_says_so_once(book: LogBook) -> None:
    for number in range(100):
        book.write(1, f"line {number} " + "x" * 50)
        book.flush()
    lines = book.read(1).splitlines()
    assert len(book.read(1)) < 2_200
    assert lines[-1].endswith("[the log ends here: its limit is 2000 bytes]")
    assert sum("ends here" in line for line in lines) == 1


def test_lines_of_one_text_are_records_of_their_own(book: LogBook) -> None:
    book.write(1, "one\ntwo")
    assert [line.split(" ", 1)[1] for line in book.tail(1)] == ["INFO one", "INFO two"]


def test_reading_on_from_an_offset(book: LogBook) -> None:
    book.write(1, "one")
    first, offset = book.read_from(1, 0)
    book.write(1, "two")
    second, _ = book.read_from(1, offset)
    assert (first[-4:], second[-4:]) == ("one\n", "two\n")


def test_the_tail_is_the_last_lines(book: LogBook) -> None:
    for number in range(20):
        book.write(1, str(number))
    assert [line[-2:] for line in book.tail(1, 3)] == ["17", "18", "19"]


def test_pruning_forgets_a_log(book: LogBook) -> None:
    book.write(1, "one")
    book.flush()
    book.prune([1, 2])
    assert not book.path(1).exists()


def test_a_disk_that_cannot_be_written_fails_no_attempt(book: LogBook) -> None:
    book.folder.write_text("a file where the folder should be")
    book.write(1, "hello")
    book.flush()
    assert "cannot be written" in book.problem


def test_threads_write_whole_lines(book: LogBook) -> None:
    def words() -> None:
        for _ in range(10):
            book.write(9, "word")

    threads = [threading.Thread(target=words) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {line.split(" ", 1)[1] for line in book.read(9).splitlines()} == {"INFO word"}


def test_only_logs_of_attempts_after_the_last_known_are_forgotten(book: LogBook, tmp_path: Path) -> None:
    book.forget_after(0)
    assert not book.folder.exists()
    for attempt_id in (1, 2, 3, 40):
        book.write(attempt_id, "hello")
    book.flush()
    (tmp_path / "mine.txt").write_text("mine")
    kept = {"notes.log", "03.log", "4.log.gz", "-5.log", "٤.log", "6.log", "7.log", "0.log"}
    for name in kept - {"6.log", "7.log"}:
        (book.folder / name).write_text("mine")
    (book.folder / "6.log").symlink_to(tmp_path / "mine.txt")
    (book.folder / "7.log").mkdir()
    book.forget_after(2)
    assert {path.name for path in book.folder.iterdir()} == kept | {"1.log", "2.log"}
    assert book.problem == ""


def test_a_folder_of_logs_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    book = LogBook(tmp_path / "file", SystemClock())
    book.forget_after(0)
    assert "Not a directory" in book.problem
    assert (tmp_path / "file").read_text() == "mine"


async def test_a_database_made_anew_or_put_back_finds_no_logs_of_another(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"

    async def run(*words: str) -> list[str]:
        said = iter(words)

        @task
        async def says(ctx: Context) -> None:
            ctx.log.info(next(said))

        @dag
        def talk() -> None:
            says()

        async with Runtime(db, [talk]) as runtime:
            for _ in words:
                assert (await (await runtime.trigger("talk")).wait(timeout=20)).ok
            return [line.split()[2] for each in (1, 2) for line in runtime.logs.read(each).splitlines()]

    assert await run("old") == ["old"]
    db.unlink()
    assert await run("new") == ["new"]
    backup = await asyncio.to_thread(db.read_bytes)
    assert await run("later") == ["new", "later"]
    await asyncio.to_thread(db.write_bytes, backup)
    assert await run("again") == ["new", "again"]
