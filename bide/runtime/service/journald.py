"""Records for systemd's journal, with fields: its native protocol, one datagram a record.

Spoken where `$JOURNAL_STREAM` says that stderr is the journal's anyway; everywhere else stderr is
what it was. A record that the journal does not take goes to stderr, with its priority in front.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bide.runtime.executor.context import about
from bide.runtime.values import redactor

SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITIES: Final = ((50, 2), (40, 3), (30, 4), (20, 6), (0, 7))
_MOST: Final = 1024 * 1024
FIELDS: Final = ("run", "dag", "task")
"""`extra={"bide_run": ...}` of a record becomes the field BIDE_RUN."""


def is_journal(env: Mapping[str, str], fd: int = 2) -> bool:
    """Whether `fd` leads to the journal: `$JOURNAL_STREAM` is its device and inode."""
    device, _, inode = env.get("JOURNAL_STREAM", "").partition(":")
    if not (device.isdigit() and inode.isdigit()):
        return False
    try:
        there = os.fstat(fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (int(device), int(inode))


def encoded(fields: Mapping[str, str]) -> bytes:
    r"""Fields as the journal reads them: one a line, or with their length where the value has lines.

    >>> encoded({"MESSAGE": "up", "PRIORITY": "6"})
    b'MESSAGE=up\nPRIORITY=6\n'
    """
    parts: list[bytes] = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")[:_MOST]
        if b"\n" in data:
            parts += [name.encode(), b"\n", struct.pack("<Q", len(data)), data, b"\n"]
        else:
            parts += [name.encode(), b"=", data, b"\n"]
    return b"".join(parts)


class Journal:
    """Sends records. It never waits: what the journal does not take now is told apart by `send`."""

    def __init__(self, path: str | os.PathLike[str] = SOCKET) -> None:
        self._path = os.fspath(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def send(self, fields: Mapping[str, str]) -> bool:
        """Whether the journal has taken it."""
        data = encoded(fields)
        try:
            self._socket.sendto(data, self._path)
        except OSError as error:
            return error.errno in _TOO_LONG and self._send_file(data)
        return True

    def _send_file(self, data: bytes) -> bool:
        """What no datagram holds goes as a sealed file in memory, of which the descriptor is sent."""
        try:
            fd = os.memfd_create("bide-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return False
        try:
            os.write(fd, data)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
            self._socket.sendmsg([], rights, 0, self._path)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def close(self) -> None:
        self._socket.close()


_TOO_LONG: Final = frozenset({7, 90, 105})  # E2BIG, EMSGSIZE, ENOBUFS


class JournalHandler(logging.Handler):
    """Records of `logging`, each with its priority, its logger, its place in the code, and whose it is."""

    def __init__(self, journal: Journal, name: str = "bide") -> None:
        super().__init__()
        self._journal, self._name = journal, name

    def emit(self, record: logging.LogRecord) -> None:
        priority = next(number for least, number in _PRIORITIES if record.levelno >= least)
        text = redactor(self.format(record))
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(priority),
            "SYSLOG_IDENTIFIER": self._name,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            **about(),
        }
        for name in FIELDS:
            value = getattr(record, f"bide_{name}", None)
            if value is not None:
                fields[f"BIDE_{name.upper()}"] = str(value)
        if not self._journal.send(fields):
            print(
                "\n".join(f"<{priority}>{line}" for line in text.splitlines()),
                file=sys.__stderr__,
                flush=True,
            )

    def close(self) -> None:
        self._journal.close()
        super().close()


def journal_handler(env: Mapping[str, str], path: str = SOCKET) -> JournalHandler | None:
    """A handler where stderr is the journal's; None where it is a terminal, a pipe, a file."""
    if not is_journal(env) or not Path(path).exists():
        return None
    return JournalHandler(Journal(path))
