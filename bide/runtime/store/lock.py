"""One runtime per database: an operating-system lock, the epoch of each start, the file's identity.

The lock is on `<db>.lock`, never on the database itself: closing any descriptor of that would
drop SQLite's own locks. It dies with the process; the file stays, and says who held it last.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND, Clock
from bide.runtime.errors import NotFoundError, StoreError, StoreFullError, StoreHeldError, StoreLostError
from bide.runtime.store.batch import roll_back
from bide.runtime.store.failure import judge, name_of

Kind = Literal["runtime", "command"]
_LOOK_AGAIN_US: Final = 50_000
_FUSE_NETWORK: Final = frozenset({"fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"})
_NETWORK: Final = _FUSE_NETWORK | {
    *("9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs"),
    *("nfs", "nfs4", "ocfs2", "smb3", "smbfs"),
}


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock: a runtime for as long as it lives, a command for a moment."""

    pid: int
    kind: Kind
    started: int
    """epoch microseconds, UTC"""


class Lock:
    """The lock of one database, by its real path. `acquire`, then `release`, or `with`."""

    def __init__(self, db: str | os.PathLike[str], *, network_ok: bool = False) -> None:
        """`network_ok` takes a network file system at the caller's own risk."""
        self.db = Path(os.path.realpath(db))
        self.path = self.db.with_name(self.db.name + ".lock")
        self._network_ok = network_ok
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def take(self, kind: Kind, now_us: int) -> Holder | None:
        """Take it if it is free, without waiting: None, or who holds it. The folder must exist."""
        self._refuse_network()
        while True:
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _read_holder(fd)
                os.close(fd)
                return holder
            except OSError as error:
                os.close(fd)
                raise StoreError(
                    f"{self.path} cannot be locked ({error.strerror}): use a local disk for the database"
                ) from None
            if _is_at(fd, self.path):
                break
            os.close(fd)  # removed between open and flock: it would lock nothing
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(Holder(os.getpid(), kind, now_us)), 0)
        except OSError as error:  # a full disk: a lock without a name on it would help nobody
            os.close(fd)
            raise StoreError(
                f"the lock {self.path} cannot be written ({error.strerror}): free some of its disk, "
                "then try again"
            ) from None
        self._fd = fd
        return None

    async def acquire(self, kind: Kind, clock: Clock, wait_s: float = 5.0) -> Self:
        """Take it. A runtime's lock is refused at once, a command's is waited for.

        `StoreHeldError` names the holder's pid. Nothing is left behind when it is cancelled.
        """
        give_up = clock.elapsed() + int(wait_s * SECOND)
        while (holder := self.take(kind, clock.now())) is not None:
            self._refuse_held(holder, clock.elapsed() >= give_up)
            await clock.sleep_until(clock.now() + _LOOK_AGAIN_US)
        return self

    def holder(self) -> Holder | None:
        """Who holds it now, None when nobody does. Takes nothing and waits for nothing."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(fd)
        else:
            return None
        finally:
            os.close(fd)

    def release(self) -> None:
        """Give it back. May be called twice; the file stays, empty."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no folder {self.path.parent}, and so no database in it: `bide serve` or `bide run` makes one"
            ) from None
        except OSError as error:
            raise StoreError(
                f"the lock {self.path} cannot be opened ({error.strerror}): make its folder writable"
            ) from None

    def _refuse_held(self, holder: Holder, waited: bool) -> None:
        who = f"process {holder.pid}" if holder.pid else "another process"
        # the name of one that died may still stand there while its successor writes its own
        if holder.kind == "runtime" and (waited or _lives(holder.pid)):
            raise StoreHeldError(
                f"the database {self.db} is in use by the runtime of {who}: "
                "talk to that one, end it, or use another database"
            )
        if waited:
            raise StoreHeldError(
                f"a command session of {who} has held the database {self.db} for too long: "
                "wait for it or end it, then try again"
            )

    def _refuse_network(self) -> None:
        if not self._network_ok and (kind := network_file_system(self.db.parent)):
            raise StoreError(
                f"{self.db} is on a network file system ({kind}), where SQLite's log and locks do not hold: "
                "use a local disk"
            )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except OSError:
        return False
    mine = os.fstat(fd)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _read_holder(fd: int) -> Holder:
    """What stands in the file; pid 0 when its holder is still writing it."""
    try:
        return typed.decode(os.pread(fd, 4096, 0), Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Holder(0, "command", 0)


def network_file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the network file system that holds `folder`, None on a local one or where unknown."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", ""
    place = os.path.realpath(folder)
    for line in lines:
        _, at, found, *_ = line.split(" ", 3)
        at = at.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if len(at) >= len(best) and (place == at or place.startswith(at.rstrip("/") + "/")):
            best, kind = at, found
    return kind if kind in _NETWORK else None


class FileIdentity:
    """Which file a path was when it was opened. Looks at names only, opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was = self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def same(self) -> bool:
        return self._was is not None and self._now() == self._was


def begin_epoch(conn: sqlite3.Connection) -> int:
    """Count a start, in a transaction of its own; what is running under an older epoch is lost."""
    step = "begin"
    try:
        conn.execute("BEGIN IMMEDIATE")
        rows = conn.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value"
        ).fetchall()
        step = "commit"
        conn.execute("COMMIT")
    except sqlite3.Error as error:
        judged = judge(error, "meta", committing=step == "commit")
        if isinstance(judged, StoreFullError):
            raise StoreFullError(
                f"this start could not be written down ({name_of(error)}: {error}): there is no room on the disk, "
                "or another program holds the database; free some, or end it, then start again"
            ) from error
        raise judged from error
    finally:
        if conn.in_transaction:
            roll_back(conn)
    if not rows or not isinstance(rows[0][0], int):
        raise StoreLostError("the database has lost its epoch: put a backup of it back")
    return rows[0][0]
