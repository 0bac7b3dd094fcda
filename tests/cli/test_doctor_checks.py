"""`bide doctor --json`: each check that there is says that all is well, then what is made of it is broken, and it says that."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest

from bide.runtime.clock import SECOND, SystemClock
from bide.runtime.errors import UsageError
from bide.runtime.service import doctor, doctor_life, doctor_place, operations
from bide.runtime.service.shapes import Check, Health
from bide.runtime.store.lock import Lock
from bide.runtime.store.migrate import newest_number
from bide.runtime.store.reader import Reader
from tests.cli.conftest import Bide, bide
from tests.store.rows import three_runs

__all__ = ["bide"]
NOW_US = SystemClock().now()
QUIET: dict[str, Any] = {
    "full": "", "slots": 4, "slots_in_use": 1, "held": (), "left_out": {}, "unread": (), "exported": None,
    "notifier": None, "config": None, "bodies": frozenset(), "watched": frozenset(),
}  # fmt: skip
"""What a service that is well knows of itself."""


class Place:
    """A database in a folder of its own, and what may be done to it."""

    def __init__(self, db: Path, patch: pytest.MonkeyPatch) -> None:
        self.db, self.patch, self.lock = db, patch, Lock(db)
        self.live: dict[str, Any] | None = None

    def change(self, sql: str, *values: Any, times: int = 1) -> None:
        with closing(sqlite3.connect(self.db)) as conn:
            for _ in range(times):
                conn.execute(sql, values)
            conn.commit()

    def beside(self, name: str) -> Path:
        path = self.db.parent / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path


class Case(NamedTuple):
    """`well` is the check that says so before, absent where it is "". `ok`: it is told, and nothing is wrong."""

    name: str
    breaks: Callable[[Place], object]
    words: str
    ok: bool = False
    well: str | None = None
    lives: bool = False


def _knows(**more: Any) -> Callable[[Place], object]:
    def breaks(place: Place) -> None:
        place.live = {**QUIET, **more}

    return breaks


def _held(place: Place) -> None:
    place.lock.take("runtime", NOW_US)


def _deaf(place: Place) -> None:
    """A runtime holds it, and nobody answers at its socket."""
    _held(place)
    _left_socket(place)


def _unreadable() -> Any:
    """As after an edit while a service runs: a command that is given such a file ends before it asks anything."""
    raise UsageError("bide.toml: there is no setting 'slotz'")


def _left_socket(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{place.db}.sock")


def _free(size: int) -> Callable[[Place], object]:
    return lambda place: place.patch.setattr(
        doctor, "shutil", SimpleNamespace(disk_usage=lambda _: shutil._ntuple_diskusage(10**12, 0, size))
    )


def _limits(name: str) -> Callable[[Place], object]:
    def breaks(place: Place) -> None:
        read = Path.read_text
        place.patch.setattr(
            Path, "read_text", lambda self, *a, **k: "7\n" if self.name == name else read(self, *a, **k)
        )

    return breaks


_EVENT = "INSERT INTO event (at_us, epoch, subject, subject_id, was, now, reason) VALUES (?, 1, 'clock', 0, '', 'stepped', 'x')"
_HOOK = Check(name="hook", ok=False, found="github: no secret", advice="set it")
_SENT = SimpleNamespace(where="http://c", seq=3, newest=9, refused=0, failing="refused", tries=4)
_DESK = SimpleNamespace(
    status=[SimpleNamespace(off="", failing="410", route=SimpleNamespace(name="desk", where="x"))]
)
CASES = (
    Case("SQLite", lambda p: p.patch.setattr(Reader, "sqlite_version", lambda _: (3, 40, 1)), "3.40.1", ok=True),
    Case("schema", lambda p: p.change(f"PRAGMA user_version = {newest_number() - 1}"), f"{newest_number() - 1}, newest", ok=True),
    Case("invariants", lambda p: p.change(f"PRAGMA user_version = {newest_number() - 1}"), "not checked", ok=True),
    Case("invariant", lambda p: p.change("UPDATE run SET ended_us = NULL WHERE run_id = 1"), "I2: run 1 is success", well="invariants"),
    Case("files", lambda p: p.db.chmod(0o666), "others may write to"),
    Case("write-ahead log", lambda p: p.change("PRAGMA journal_mode = DELETE"), "not used, the journal mode is delete", ok=True),
    Case("database file", lambda p: os.link(p.db, p.beside("other.db")), "has 2 names", well=""),
    Case("backups", lambda p: p.beside("backups/bide-1.db").touch(), "is empty"),
    Case("left over", lambda p: p.beside(".bide-dry-run-x/bide.db").write_bytes(b"x"), "of work that was cut off", ok=True, well=""),
    Case("disk", _free(1024), "1 KiB free"),
    Case("file system", lambda p: p.patch.setattr(doctor, "network_file_system", lambda _: "nfs4"), "nfs4"),
    Case("inotify max_user_watches", _limits("max_user_watches"), "7", ok=True),
    Case("inotify max_user_instances", _limits("max_user_instances"), "7", ok=True),
    Case("lock", _held, f"held by the runtime of process {os.getpid()}", ok=True),
    Case("service", _deaf, "does not answer at its socket", well=""),
    Case("clock", lambda p: p.change(_EVENT, NOW_US + 3 * 86_400 * SECOND), "T"),
    Case("settings", lambda p: p.patch.setattr(doctor_life, "settings", _unreadable), "no setting 'slotz'", well="setting"),
    Case("setting", lambda p: p.patch.setenv("BIDE_SLOTS", "3"), "slots = 3 (BIDE_SLOTS)", ok=True),
    Case("served", _left_socket, "was left by a service that is gone", ok=True),
    Case("orphan", lambda p: p.patch.setattr(doctor_life, "living", lambda _: [(7, os.getpid())]), f"process {os.getpid()} (", well="orphans"),
    Case("orphans", lambda p: p.patch.setattr(doctor_life, "living", lambda _: []), "none: every process", ok=True),
    Case("hook", lambda p: p.patch.setattr(doctor_life, "hooks", lambda *_: iter([_HOOK])), "no secret", well=""),
    Case("notices", lambda p: p.change("INSERT INTO notice_off VALUES ('desk', 't', 1000000, 'answered 410')"), "desk: off since", well=""),
    Case("clock steps", lambda p: p.change(_EVENT, NOW_US - SECOND, times=20), "20 in 7 days"),
    Case("commits", _knows(full="no room"), "nothing can be committed now: no room", well="", lives=True),
    Case("slots", _knows(slots_in_use=4), "4 of 4 in use", ok=True, lives=True),
    Case("event loop", _knows(held=(SimpleNamespace(name="load", at_us=NOW_US, where="x.py:3"),)), "held 1 times, last by load", ok=True, lives=True),
    Case("DAG file", _knows(left_out={"bad.py": "no module named x"}), "left out bad.py", well="", lives=True),
    Case("read", _knows(unread=((1, "a firing", "I/O error"),)), "a firing waits until the database can be read", well="", lives=True),
    Case("OpenLineage", _knows(exported=_SENT), "it takes no events (4 tries): refused", well="", lives=True),
    Case("notices", _knows(notifier=_DESK), "desk (x): 410", well="", lives=True),
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    found = Place(three_runs(folder / "bide.db"), monkeypatch)
    found.change("PRAGMA journal_mode = WAL")
    backup = found.beside("backups/bide-0.db")
    shutil.copy(found.db, backup)
    os.utime(backup, (NOW_US / SECOND - 60, NOW_US / SECOND - 60))
    monkeypatch.setattr(Reader, "sqlite_version", lambda _: (3, 53, 4))
    examine = doctor.examine

    def examined(reader: Any, db: Path, now_us: int, live: Any) -> Health:
        known: Any = live if found.live is None else SimpleNamespace(**found.live)
        return examine(reader, db, now_us, known)

    monkeypatch.setattr(doctor, "examine", examined)
    yield found
    found.lock.release()


def said(bide: Bide, place: Place, name: str) -> list[dict[str, Any]]:
    """The checks of that name; the exit code is that of all of them."""
    answer = bide("doctor", "--db", str(place.db), "--json")
    health = msgspec.json.decode(answer.out)
    assert health["ok"] is all(check["ok"] for check in health["checks"])
    assert answer.code == (0 if health["ok"] else 1), answer
    assert all(set(check) == {"name", "ok", "found", "advice"} for check in health["checks"])
    return [check for check in health["checks"] if check["name"] == name]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.name}{' of the living' if case.lives else ''}"
)
def test_d9_each_check_has_a_good_answer_and_a_bad_one(bide: Bide, place: Place, case: Case) -> None:
    if case.lives:
        place.live = QUIET
    well = case.name if case.well is None else case.well
    before = said(bide, place, well or case.name)
    assert all(check["ok"] and not check["advice"] for check in before), before
    assert bool(before) is bool(well)
    case.breaks(place)
    told = [check for check in said(bide, place, case.name) if case.words in check["found"]]
    assert {check["ok"] for check in told} == {case.ok}, said(bide, place, case.name)
    if not case.ok:
        assert told[0]["advice"], "what is wrong comes with what to do"


def test_d9_no_check_is_left_out_above() -> None:
    """Of those that need a service that runs, `live` is tried in tests/service/test_doctor.py."""
    there: set[str] = set()
    for module in (doctor, doctor_life, doctor_place, operations):
        assert module.__file__
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Check", "_bad"):
                first = [each.value for each in node.keywords if each.arg == "name"] or node.args[:1]
                there |= {
                    each.value
                    for each in first
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    assert there - {case.name for case in CASES} == {"live"}
