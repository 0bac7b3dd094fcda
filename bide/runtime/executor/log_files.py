"""Opens the log files of attempts: by number within their folder, so no name gets in and no link leads out.

The folder is opened once and each file within it (`dir_fd`), never through a link (`O_NOFOLLOW`), and never
one that is no regular file: what somebody puts in its place is not read, not written to, and holds nobody up.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bide.runtime.errors import RefusedError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ANY: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_FILE: Final = (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR)
"""What opening says of a link, of a queue or a socket, of a folder."""


def name_of(attempt_id: int) -> str:
    """The name of a log within its folder.

    >>> name_of(7)
    '7.log'
    """
    number = int(attempt_id)
    if number < 0:
        raise ValueError(f"{number} is no number of an attempt")
    return f"{number}.log"


@contextmanager
def reading(folder: Path, attempt_id: int) -> Iterator[BinaryIO]:
    """The log of an attempt. `FileNotFoundError`: it has none. `RefusedError`: what stands there is no log."""
    with _within(folder) as within:
        fd = _opened(folder, within, attempt_id, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        yield file


def append(folder: Path, attempt_id: int, data: bytes) -> None:
    """All of `data` at the end of the log, which is made with its folder where there is none. `OSError`, `RefusedError`."""
    try:
        fd = _to_append(folder, attempt_id)
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = _to_append(folder, attempt_id)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def size(folder: Path, attempt_id: int) -> int:
    """Bytes of the log, 0 where there is none."""
    try:
        return (folder / name_of(attempt_id)).lstat().st_size
    except OSError:
        return 0


def remove(folder: Path, attempt_id: int) -> None:
    """Remove the log where there is one; of a link the link itself."""
    (folder / name_of(attempt_id)).unlink(missing_ok=True)


def _to_append(folder: Path, attempt_id: int) -> int:
    with _within(folder) as within:
        return _opened(folder, within, attempt_id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@contextmanager
def _within(folder: Path) -> Iterator[int]:
    fd = os.open(folder, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


def _opened(folder: Path, within: int, attempt_id: int, flags: int) -> int:
    name = name_of(attempt_id)
    try:
        fd = os.open(name, flags | _ANY, 0o600, dir_fd=within)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_log(folder / name) from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise _no_log(folder / name)


def _no_log(path: Path) -> RefusedError:
    return RefusedError(
        f"{path} is no file of its own, as every log is, and is not opened: remove what stands there"
    )
