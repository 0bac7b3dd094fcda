"""A process that an attempt started: leader of its own session, streamed to the log, ended with its group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final

from bide.runtime.engine.messages import ProcessStarted
from bide.runtime.errors import PayloadError
from bide.runtime.executor.attempt import Attempt
from bide.runtime.executor.orphans import MARK, boot_id, started_ticks
from bide.runtime.values import OUTPUT_LIMIT

_boot_id: Final = boot_id()


class Lines(asyncio.Protocol):
    """Cuts a stream into lines. A line is kept up to its limit; what of it is lost is counted."""

    def __init__(self, write: Callable[[str], None], closed: asyncio.Future[None]) -> None:
        self.last = ""
        self.last_lost = 0
        self._write = write
        self._closed = closed
        self._held = bytearray()
        self._lost = 0

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            self._emit()
        self._keep(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._held:
            self._emit()
        if not self._closed.done():
            self._closed.set_result(None)

    def _keep(self, part: bytes) -> None:
        room = OUTPUT_LIMIT - len(self._held)
        self._held += part[:room]
        self._lost += max(0, len(part) - room)

    def _emit(self) -> None:
        """A progress bar redraws its line: what stood there last counts."""
        text = self._held.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
        if text.strip():
            self.last, self.last_lost = text, self._lost
        self._write(text + (f" [cut: {self._lost} more bytes]" if self._lost else ""))
        self._held.clear()
        self._lost = 0


class Child:
    """One process and its group. Made by `start`; `close` must be called whatever happens."""

    def __init__(self, popen: subprocess.Popen[bytes], attempt: Attempt) -> None:
        self.pid = popen.pid
        self.exited: asyncio.Future[int] = attempt.loop.create_future()
        self.out: Lines
        self.err: Lines
        self._popen = popen
        self._attempt = attempt
        self._interrupts = 0
        self._streams: list[asyncio.Future[None]] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._pidfd: int | None = None

    @classmethod
    async def start(
        cls,
        attempt: Attempt,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        stdin: int | IO[bytes],
        pass_fds: Sequence[int] = (),
    ) -> Child:
        popen = subprocess.Popen(  # noqa: ASYNC220 - a vfork and an exec; its output is read by the loop
            argv,
            env={**os.environ, **env, MARK: str(attempt.id)},
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        child = cls(popen, attempt)
        try:
            child._watch_exit()
            child.out = await child._stream(popen.stdout, "INFO")
            child.err = await child._stream(popen.stderr, "STDERR")
        except BaseException:
            child.close()
            raise
        attempt.interrupt = child.interrupt
        return child

    async def recorded(self) -> bool:
        """Have the process written down, and wait for that. False when it ended or must stop first."""
        attempt = self._attempt
        attempt.recorded = attempt.loop.create_future()
        attempt.post(ProcessStarted(attempt.id, self.pid, started_ticks(self.pid), _boot_id))
        either: set[asyncio.Future[Any]] = {attempt.recorded, self.exited}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return not self.exited.done() and not attempt.stopping

    async def wait(self) -> int:
        """The exit status, negative for a signal, once the group is gone and its output is written."""
        status = await asyncio.shield(self.exited)
        # a process that left the group may hold them open: it is not waited for longer than this
        await asyncio.wait(self._streams, timeout=1.0)
        return status

    def interrupt(self) -> None:
        """First asks the whole group to end (SIGTERM), from the second time on kills it."""
        self._interrupts += 1
        self._signal(signal.SIGTERM if self._interrupts == 1 else signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left, reap it, let go of its pipes. At most about a second."""
        if not self.exited.done():
            self._signal(signal.SIGKILL)
            self._ended()
        for transport in self._transports:
            transport.close()
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe is not None and not self._transports:
                pipe.close()

    def _signal(self, number: int) -> None:
        if self.exited.done():
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # gone, or nothing left but its zombie
            pass

    async def _stream(self, pipe: IO[bytes] | None, level: str) -> Lines:
        attempt = self._attempt
        closed: asyncio.Future[None] = attempt.loop.create_future()
        transport, lines = await attempt.loop.connect_read_pipe(
            lambda: Lines(lambda text: attempt.log(text, level), closed), pipe
        )
        self._transports.append(transport)
        self._streams.append(closed)
        return lines

    def _watch_exit(self) -> None:
        loop = self._attempt.loop
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            loop.add_reader(self._pidfd, self._ended)
        else:
            threading.Thread(target=self._watch_in_thread, name=f"bide-child-{self.pid}", daemon=True).start()

    def _watch_in_thread(self) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        try:
            self._attempt.loop.call_soon_threadsafe(self._ended)
        except RuntimeError:  # the loop is closed
            pass

    def _ended(self) -> None:
        """The leader is over and not yet reaped, so that its number still means this group."""
        if self._pidfd is not None:
            self._attempt.loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self.exited.done():
            return
        self._signal(signal.SIGKILL)
        try:
            status = self._popen.wait(1.0)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.exited.set_result(status)


def sentence_of(status: int, last: str, memory_limit: int | None = None) -> str:
    """An exit status in words: `exit code 3: no such table`."""
    said = f": {last}" if last else ""
    number = -status if status < 0 else status - 128 if status > 128 else 0
    try:
        name = signal.Signals(number).name if number else ""
    except ValueError:
        name = ""
    if not name:
        return f"exit code {status}{said}"
    how = f"killed by {name}" if status < 0 else f"exit code {status} ({name})"
    if name == "SIGKILL":
        how += ", by the system for want of memory or by hand"
    elif memory_limit is not None:
        how += f", with a memory limit of {memory_limit:,} bytes"
    return f"{how}{said}"


def last_line(lines: Lines) -> str | None:
    """The last line that is not blank, None without one. `PayloadError` when it was too long."""
    if lines.last_lost:
        raise PayloadError(
            f"the last line of the output is longer than {OUTPUT_LIMIT:,} bytes: "
            "write it to a file and print its path"
        )
    return lines.last or None
