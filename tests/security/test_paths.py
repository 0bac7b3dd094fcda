"""Paths: whatever is asked by whatever name, no file is read or written but a database's own."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from bide.runtime.clock import SystemClock
from bide.runtime.errors import RefusedError
from bide.runtime.executor.log_files import append, reading
from bide.runtime.executor.logs import LogBook
from bide.runtime.service.logs import read_log
from tests.service.doorstep import Doorstep, doorstep

SECRET = "root:x:0:0:top secret"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside"
    file.write_text(SECRET)
    return file


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "bide.db.logs"
    folder.mkdir()
    return folder


def link(at: Path, outside: Path) -> None:
    at.symlink_to(outside)


def dangling(at: Path, outside: Path) -> None:
    at.symlink_to(outside.with_name("not there yet"))


def loop(at: Path, outside: Path) -> None:
    at.symlink_to(at)


def queue(at: Path, outside: Path) -> None:
    os.mkfifo(at)


def folder(at: Path, outside: Path) -> None:
    at.mkdir()


def listener(at: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(at.parent)  # the whole path may be too long for a socket
        bound.bind(at.name)
        os.chdir(here)


PLANTED = [link, dangling, loop, queue, folder, listener]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda each: each.__name__)
def test_t17_what_stands_in_the_place_of_a_log_is_neither_read_nor_written(
    logs: Path, outside: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(logs / "7.log", outside)
    book = LogBook(logs, SystemClock())
    for ask in (
        lambda: book.read(7),
        lambda: book.tail(7),
        lambda: read_log(logs.with_name("bide.db"), 7, 0, 99),
    ):
        with pytest.raises(RefusedError, match=r"7\.log is no file of its own.*remove what stands there"):
            ask()
    book.write(7, "a line")
    book.flush()
    assert "7.log is no file of its own" in book.problem
    assert outside.read_text() == SECRET
    assert not outside.with_name("not there yet").exists()


def test_t17_a_log_of_its_own_is_read_written_and_removed(logs: Path, outside: Path) -> None:
    book = LogBook(logs, SystemClock())
    book.write(7, "a line")
    assert "a line" in book.read(7)
    assert book.problem == ""
    (logs / "7.log").unlink()
    link(logs / "7.log", outside)  # swapped between two lines
    book.write(7, "another line")
    book.flush()
    assert book.problem
    book.prune([7])
    assert (outside.read_text(), list(logs.iterdir())) == (SECRET, [])
    book.write(7, "a third line")
    assert "a third line" in book.read(7)
    assert book.problem == ""


def test_t17_the_folder_is_opened_once_so_a_swap_of_its_name_changes_nothing(
    logs: Path, tmp_path: Path
) -> None:
    append(logs, 1, b"mine\n")
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "1.log").write_text(SECRET)
    with reading(logs, 1) as file:
        logs.rename(tmp_path / "gone")
        logs.symlink_to(evil)
        assert file.read() == b"mine\n"


@pytest.mark.parametrize("number", [-1, "../1", "1/../2", "", "0x1", None, 1.5j])
def test_t17_a_log_has_a_number_and_no_name(logs: Path, number: object) -> None:
    with pytest.raises((ValueError, TypeError)), reading(logs, number):  # type: ignore[arg-type]
        pass


# --- over the doors ----------------------------------------------------------------------------------

TRAVERSALS = (
    "../../etc/passwd", "..", ".", "/etc/passwd", "....//....//etc/passwd", "..\\..\\etc\\passwd", "%2e%2e%2fpasswd",
    "..%252f..%252fetc/passwd", "..%c0%af..%c0%afetc/passwd", "etc/passwd\0.log", "file:///etc/passwd", "1/../../x",
    "1.log", "bide.db", "~root/.ssh/id_rsa", "\uff0e\uff0e\uff0fetc", "1 ", "+1", "1_0", "\u0661", "0x1", "1e0",
    "-1", "9" * 40, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
)  # fmt: skip
PLACES = (
    "/api/v1/runs/{}", "/api/v1/runs/{}/tasks/quick/logs", "/api/v1/runs/1/tasks/{}/logs", "/api/v1/dags/{}",
    "/api/v1/incidents/{}/bundle", "/api/v1/assets/{}", "/hooks/{}", "/api/v1/runs/1/tasks/quick/logs?attempt={}",
)  # fmt: skip


@pytest.fixture
async def step(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with doorstep(tmp_path / "bide.db") as found:
        yield found


async def test_t17_no_name_of_anything_leads_to_a_file(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    await (await step.rt.trigger("one")).wait(20)
    for place in PLACES:
        for text in TRAVERSALS:
            written = quote(text, safe="" if len(text) % 2 else "/.%")
            method = "POST" if place.startswith("/hooks") else "GET"
            answer = await step.ask(method, place.format(written), token)
            assert answer.status_code in (400, 401, 404, 405, 409, 422, 200), (written, answer.text)
            assert "root:" not in answer.text, written
            assert answer.status_code != 200 or "bide.db" not in answer.text, (written, answer.text)


async def test_t17_the_log_of_a_run_is_read_by_the_numbers_that_it_has(step: Doorstep) -> None:
    token = await step.token("t", "read")
    await (await step.rt.trigger("one")).wait(20)
    answer = await step.ask("GET", "/api/v1/runs/1/tasks/quick/logs?attempt=1", token)
    assert (answer.status_code, answer.json()["attempt"]) == (200, 1)
