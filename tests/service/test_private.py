"""T17, files: a service keeps what is its own where nobody else may write, and for nobody else to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide import Runtime
from bide.runtime.errors import RefusedError
from bide.runtime.service.listen import Listener
from bide.runtime.service.places import socket_of
from bide.runtime.service.private import private
from tests.service.doorstep import one

ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_t17_a_new_place_is_the_owners_alone(tmp_path: Path) -> None:
    private(tmp_path / "new" / "deep" / "bide.db")
    assert mode(tmp_path / "new" / "deep") == 0o700
    (tmp_path / "new" / "made").touch()
    assert mode(tmp_path / "new" / "made") == 0o600, "what is made from now on is so as well"


@pytest.mark.parametrize("bits", [0o777, 0o1777, 0o702, 0o722])
def test_t17_a_folder_that_anybody_may_write_to_is_refused_with_what_to_do(tmp_path: Path, bits: int) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(bits)
    with pytest.raises(RefusedError, match=r"anybody may write to .*chmod o-w"):
        private(place / "bide.db")
    assert not list(place.iterdir())
    place.chmod(bits & ~0o2)
    private(place / "bide.db")


def test_t17_so_is_one_below_such_a_folder_unless_that_one_is_sticky(tmp_path: Path) -> None:
    above = tmp_path / "above"
    (above / "mine").mkdir(parents=True, mode=0o700)
    above.chmod(0o777)
    with pytest.raises(RefusedError, match="anybody may write to"):
        private(above / "mine" / "bide.db")
    above.chmod(0o1777)
    private(above / "mine" / "bide.db")


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_t17_a_file_that_anybody_may_write_to_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"bide.db{suffix}"
    file.touch()
    file.chmod(0o606)
    with pytest.raises(RefusedError, match="anybody may write to"):
        private(tmp_path / "bide.db")


def test_t17_what_leads_elsewhere_is_judged_where_it_leads(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "bide.db").symlink_to(shared / "bide.db")
    with pytest.raises(RefusedError, match="anybody may write to"):
        private(tmp_path / "bide.db")


@pytest.mark.skipif(not ROOT, reason="skipped: no root, who alone may give files to others")
@pytest.mark.parametrize("what", ["folder", "file", "lock"])
def test_t17_what_belongs_to_another_user_is_refused(tmp_path: Path, what: str) -> None:
    place = tmp_path / "theirs"
    place.mkdir()
    at = {"folder": place, "file": place / "bide.db", "lock": place / "bide.db.lock"}[what]
    if at != place:
        at.touch()
    os.chown(at, 4711, 4711)
    with pytest.raises(RefusedError, match="belongs to user 4711"):
        private(place / "bide.db")


async def test_t17_every_file_of_a_database_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0)
    db = tmp_path / "state" / "bide.db"
    async with Runtime(db, dags=[one()]) as rt:
        await (await rt.trigger("one")).wait(20)
        listener = Listener(socket_of(db))
        modes = {path.relative_to(db.parent).as_posix(): mode(path) for path in sorted(db.parent.rglob("*"))}
        listener.close()
    assert mode(db.parent) == 0o700
    assert {"bide.db", "bide.db-wal", "bide.db-shm", "bide.db.lock", "bide.db.sock"} <= modes.keys()
    assert {name: bits for name, bits in modes.items() if bits & 0o077} == {}
