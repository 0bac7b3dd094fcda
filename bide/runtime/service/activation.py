"""Sockets that systemd has bound and passes on (`sd_listen_fds(3)`): a door that is there before the service is.

They stand beside the database's own socket, by which the terminal finds the service. What is taken
is looked at first: it must listen, and a unix socket must not be open to everybody.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.errors import UsageError

FIRST: Final = 3
"""The first descriptor that is passed, by the protocol."""
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Given(msgspec.Struct, frozen=True):
    """What was passed: unix sockets are answered as the database's own is, ports as `--port` is, with a token."""

    unix: list[socket.socket] = []
    tcp: list[socket.socket] = []

    def close(self) -> None:
        for each in (*self.unix, *self.tcp):
            each.close()


def taken(env: MutableMapping[str, str] | None = None, first: int = FIRST) -> Given:
    """The sockets that are meant for this process; what says so is removed from `env`.

    `UsageError` for one that cannot be served, and then all of them are closed.
    """
    env = os.environ if env is None else env
    pid, count = env.get("LISTEN_PID", ""), env.get("LISTEN_FDS", "")
    for name in _VARIABLES:
        env.pop(name, None)
    if pid != str(os.getpid()) or not count.isdigit():
        return Given()
    made: list[socket.socket] = []
    try:
        for fd in range(first, first + int(count)):
            made.append(_socket(fd))
            _check(made[-1])
    except UsageError:
        for each in made:
            each.close()
        raise
    return Given([at for at in made if _is_unix(at)], [at for at in made if not _is_unix(at)])


def _is_unix(at: socket.socket) -> bool:
    return at.family == socket.AF_UNIX


def said(at: socket.socket) -> str:
    """The path of a unix socket."""
    return os.fsdecode(at.getsockname())


def _socket(fd: int) -> socket.socket:
    """Ours alone: no task inherits it."""
    try:
        os.set_inheritable(fd, False)
        at = socket.socket(fileno=fd)
    except OSError as error:
        raise UsageError(
            f"systemd passes the descriptor {fd}, which is no socket ({error.strerror}): use ListenStream= alone"
        ) from None
    at.setblocking(False)
    return at


def _check(at: socket.socket) -> None:
    if at.type != socket.SOCK_STREAM or not at.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise UsageError(
            "systemd passes a socket that does not listen for connections: use ListenStream= and Accept=no"
        )
    if not _is_unix(at):
        return
    path = said(at)
    if not path.startswith("/"):
        raise UsageError(
            "systemd passes an abstract socket, which everybody may use: let ListenStream= be a path"
        )
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError as error:
        raise UsageError(f"systemd passes the socket {path}, which is not there ({error.strerror})") from None
    if mode & 0o002:
        raise UsageError(
            f"everybody may use the socket {path}: write SocketMode=0600, or 0660 and SocketGroup="
        )
