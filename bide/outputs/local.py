"""Outputs on a local disk: written in a hidden folder beside the target, published by one rename.

The hidden folder is locked as long as its maker lives: the kernel lets go of the lock with the process,
so whoever comes next knows what is stale and removes it. What is published is on the disk before its
name is. A folder of files is published as a version of its own, and the target is a link to it that is
replaced; the version before is kept until the next, for who is still reading it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bide.runtime.errors import OutputError

ASIDE: Final = ".bide-tmp"
VERSION: Final = ".bide-version"
_PIECE: Final = 1 << 20


_MOST_KNOWN: Final = 10_000
_swept: set[Path] = set()
"""Folders that this process has swept. A thousand outputs into one folder do not list it a thousand times."""


class FileStage:
    """One file. `home` is where it is written, the target's folder unless it is given.

    `again`: an attempt before this one may have left something.
    """

    def __init__(self, target: Path, key: str, *, home: Path | None = None, again: bool = False) -> None:
        self.target = target
        self.path = target  # until it has begun
        self._home = target.parent if home is None else home
        self._prefix = prefix_of(target)
        self._key = key
        self._again = again
        self._aside: Path | None = None
        self._lock: int | None = None

    def begin(self) -> None:
        parent, home = self.target.parent, self._home
        try:
            parent.mkdir(parents=True, exist_ok=True)
            home.mkdir(parents=True, exist_ok=True)
            if home.stat().st_dev != parent.stat().st_dev:
                raise OutputError(
                    f"{home} is on another disk than {self.target}: write aside on the same one"
                )
            with held(home) as alone:
                if alone and (self._again or home not in _swept):
                    sweep(home)
                    _know(home)
                made = tempfile.mkdtemp(prefix=f"{self._prefix}{self._key}-", suffix=ASIDE, dir=home)
                self._aside = Path(made)
                self._lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                _lock(self._lock)
            self.path = self._aside / self.target.name
            self._prepare()
        except OSError as error:
            self.discard()
            raise OutputError(
                f"{self.target} cannot be written in {home} ({error.strerror or error}): "
                "make its folder writable, or write elsewhere"
            ) from None

    def _prepare(self) -> None: ...

    def publish(self, stopping: Callable[[], bool]) -> dict[str, Any]:
        if not os.path.lexists(self.path):
            raise OutputError(f"{self.target} is not published: nothing was written to {self.path}")
        if self.path.is_symlink() or not self.path.is_file():
            raise OutputError(f"{self.target} is not published: what was written is no plain file")
        found = {"size": self.path.stat().st_size, "sha256": digest(self.path)}
        _sync(self.path)
        with held(self._home):
            refuse_when(stopping(), self.target)
            try:
                self.path.replace(self.target)
            except OSError as error:
                raise OutputError(
                    f"{self.target} is not published ({error.strerror or error}): move away what is there"
                ) from None
            _sync(self.target.parent)
        return found

    def discard(self) -> None:
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class FolderStage(FileStage):
    """A folder of files: `target` is a link to the version that was published last."""

    def _prepare(self) -> None:
        self.path.mkdir()

    def publish(self, stopping: Callable[[], bool]) -> dict[str, Any]:
        if self.path.is_symlink() or not self.path.is_dir():
            raise OutputError(f"{self.target} is not published: {self.path} is no folder any more")
        found = _contents(self.path, self.target)
        parent, home = self.target.parent, self._home
        assert self._aside is not None
        version = home / (self._aside.name.removesuffix(ASIDE) + VERSION)
        link = self._aside / "link"
        with held(home) as alone:
            refuse_when(stopping(), self.target)
            if os.path.lexists(self.target) and not self.target.is_symlink():
                raise OutputError(
                    f"{self.target} is not published: something is there that is no link to a version; move it away"
                )
            before = self.target.readlink().name if self.target.is_symlink() else ""
            self.path.rename(version)
            _sync(home)
            link.symlink_to(os.path.relpath(version, parent))
            link.replace(self.target)
            _sync(parent)
            if alone:
                _drop_versions(home, self._prefix, {version.name, before})
        return found


def refuse_when(stopping: bool, target: object) -> None:
    """Who was told to stop publishes nothing any more: another may have begun."""
    if stopping:
        raise OutputError(f"{target} is not published: the attempt was told to stop")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Alone with a folder for a moment; False where it cannot be locked, and nothing is swept then."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _lock(fd, wait=True)
    finally:
        os.close(fd)


def _lock(fd: int, *, wait: bool = False) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return False
    return True


def sweep(folder: Path) -> list[str]:
    """Remove what the dead have left aside in a folder; the names. The caller is alone with it."""
    gone = []
    with os.scandir(folder) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(".") and entry.name.endswith(ASIDE)]
    for name in sorted(left):
        try:
            fd = os.open(folder / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or not ours to open
            continue
        try:
            if _lock(fd):
                shutil.rmtree(folder / name, ignore_errors=True)
                gone.append(name)
        finally:
            os.close(fd)
    return gone


def prefix_of(target: Path) -> str:
    """How the hidden names of a target begin: no other target's do."""
    short = target.name.encode()[:80].decode(errors="ignore")
    whole = str(target.parent.resolve() / target.name)  # itself it may be a link
    return f".{short}.{hashlib.sha256(whole.encode(errors='surrogateescape')).hexdigest()[:12]}."


def _know(folder: Path) -> None:
    if len(_swept) >= _MOST_KNOWN:
        _swept.clear()
    _swept.add(folder)


def _drop_versions(parent: Path, prefix: str, kept: set[str]) -> None:
    with os.scandir(parent) as entries:
        old = [
            entry.name
            for entry in entries
            if entry.name.startswith(prefix) and entry.name.endswith(VERSION) and entry.name not in kept
        ]
    for each in old:
        shutil.rmtree(parent / each, ignore_errors=True)


def _contents(folder: Path, target: Path) -> dict[str, Any]:
    """Count, size and digest of all files, on the disk when it returns."""
    total, count, whole = 0, 0, hashlib.sha256()
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            if path.is_symlink() or not path.is_file():
                raise OutputError(f"{target} is not published: {path.relative_to(folder)} is no plain file")
            total, count = total + path.stat().st_size, count + 1
            whole.update(f"{path.relative_to(folder)}\0{digest(path)}\n".encode())
            _sync(path)
        _sync(Path(root))
    if not count:
        raise OutputError(f"{target} is not published: no file was written into {folder}")
    return {"size": total, "sha256": whole.hexdigest(), "files": count}


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
