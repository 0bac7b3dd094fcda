"""What a process says to systemd and is given by it: one datagram a message, what is given in the environment.

The protocol is `sd_notify(3)`: one datagram to the socket that `NOTIFY_SOCKET` names. Silent when
nobody listens. What a task starts must not speak for the service: the variables are taken away.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

_OURS: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_PATIENCE_S: Final = 0.2


class Notifier:
    """Sends states to systemd. `env` is read once."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if not address.startswith(("/", "@")):  # a virtual machine's vsock, of the service of PID 1 alone
            self._address = ""
        usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
        meant = not pid or pid == str(os.getpid())
        watched = bool(self._address) and usec.isdigit() and int(usec) and meant
        self.watchdog_s: float | None = int(usec) / 1e6 if watched else None
        """Say `WATCHDOG=1` at least this often, seconds; None when systemd does not watch."""

    @classmethod
    def taken(cls, env: MutableMapping[str, str] | None = None) -> Notifier:
        """A notifier of `env`, from which what it is made of is removed: children do not inherit it."""
        env = os.environ if env is None else env
        made = cls(env)
        for name in _OURS:
            env.pop(name, None)
        return made

    @property
    def heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def say(self, *lines: str) -> bool:
        """Send `READY=1`, `STOPPING=1`, `STATUS=...`; whether somebody could be told.

        A reader that is full is waited for, 0.2 s at most: a loop is not held up by its supervisor.
        """
        if not self._address:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_PATIENCE_S)
            try:
                sender.connect(self._address)
                sender.send("\n".join(lines).encode("utf-8", "replace"))
            except OSError:
                return False
        return True
