"""Databases that cannot be used: one sentence that says what to do, and nothing half-written."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from bide.runtime.errors import StoreError, StoreFullError
from bide.runtime.store.lock import Lock
from bide.runtime.store.open import refusal
from tests.cli.conftest import Bide

PIPE = "from bide import dag, task\n@task\ndef a(): ...\n@dag\ndef pipe():\n    a()\n"


@pytest.mark.parametrize("command", [["runs"], ["doctor"], ["trigger", "pipe"], ["run", "pipe.py"]])
def test_a_pipe_is_no_database_and_is_not_waited_for(bide: Bide, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    os.mkfifo(tmp_path / "fifo.db")
    said = bide(*command, "--db", "fifo.db")
    assert said.code == 4
    assert "fifo.db is not an ordinary file" in said.err


def test_a_full_disk_under_the_lock_is_said_and_nothing_is_made(
    bide: Bide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)

    def full(fd: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bide.runtime.store.lock.os.pwrite", full)
    said = bide("run", "pipe.py", "--db", "new.db")
    assert said.code == 4, said
    assert "No space left" in said.err
    assert "free some" in said.err
    assert not (tmp_path / "new.db").exists()
    monkeypatch.undo()
    assert Lock(tmp_path / "new.db").holder() is None


def test_no_room_for_the_index_of_the_log_is_a_full_disk_not_a_broken_one() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    said: StoreError = refusal(error, Path("/x/bide.db"))
    assert isinstance(said, StoreFullError)
    assert "no room" in str(said)
