"""A server that is a process of its own: started, waited for, stopped, killed, frozen."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


def program(name: str) -> str:
    """The path of a test peer's program; the test is skipped, with the reason, without it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install the project's test group")
    return found


class ServerProcess:
    """One process in a group of its own; `port` stays the same over restarts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + 15
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                if self.answers(peer):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        pytest.fail(f"{self.command()[0]} did not start on port {self.port}")

    def answers(self, peer: socket.socket) -> bool:
        """Whether it is ready to serve, and not only to be connected to; asked over a connection that was just made."""
        return True

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self.signal(number)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait(5)
        self._process = None

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)
