"""The service's socket: bound before the lock is taken, mode 0600, removed by its owner alone.

Whoever finds a runtime's lock and no socket knows it is not a service. A socket file that a dead
service left is replaced; one that a living service listens at never is, because its lock is held.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from bide.runtime.errors import StoreError

_BACKLOG: Final = 128


class Listener:
    """A bound socket at `path`. Connections queue in it until a server accepts them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = _bind(path)
        self._inode = path.stat().st_ino

    def still_there(self) -> bool:
        """Whether the name still leads to this socket: another starter may have replaced it."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def again(self) -> None:
        """Bind anew: this process has the lock, so the name is its own."""
        self.socket.close()
        self.socket = _bind(self.path)
        self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Close, and remove the name if it is still this socket's. May be called twice."""
        if self.still_there():
            self.path.unlink(missing_ok=True)
        self.socket.close()


def _bind(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        made.bind(str(part))
        part.chmod(0o600)
        made.listen(_BACKLOG)
        part.replace(path)
    except OSError as error:
        made.close()
        part.unlink(missing_ok=True)
        raise StoreError(
            f"the socket {path} cannot be made ({error.strerror or error}): make its folder writable, "
            "or use a database elsewhere"
        ) from None
    made.setblocking(False)
    return made
