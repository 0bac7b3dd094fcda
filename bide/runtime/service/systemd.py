"""What a service says to systemd: ready, reloading, stopping, alive. Silent when nobody listens.

The protocol is one datagram a message to the socket that `NOTIFY_SOCKET` names (`sd_notify(3)`).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to systemd. `env` is read once."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
        meant = not pid or pid == str(os.getpid())
        self.watchdog_s: float | None = int(usec) / 1e6 if usec.isdigit() and int(usec) and meant else None
        """Say `alive` at least this often, seconds; None when systemd does not watch."""

    def say(self, *lines: str) -> bool:
        """Send `READY=1`, `STOPPING=1`, `STATUS=...`; whether somebody could be told."""
        if not self._address:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.connect(self._address)
                sender.send("\n".join(lines).encode())
            except OSError:
                return False
        return True

    async def keep_alive(self) -> None:
        """Tell systemd that the loop turns, three times per watchdog period, until cancelled."""
        if self.watchdog_s is None:
            return
        while True:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 3)
