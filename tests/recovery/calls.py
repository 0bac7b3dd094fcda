"""Another process's system calls, held by the kernel before they are made: told of, failed, or never made.

The process has the kernel tell of the few calls that are asked for (seccomp_unotify(2)); all others go their way. A
tracer would stop it at each of its calls, twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

NUMBERS: Final = {"pwrite64": 18, "fdatasync": 75, "ftruncate": 77, "unlink": 87}
"""Of x86_64."""

_SECCOMP, _FILTER_MODE, _NO_NEW_PRIVS = 317, 1, 38
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_NOTICE: Final = struct.Struct("=QIIi60x")  # id, thread, flags, call
_ANSWER: Final = struct.Struct("=QqiI")  # id, value, error, flags

Said = Callable[[int, str], object]
"""Called with the thread and its call, each time."""


class Held(NamedTuple):
    """Which calls are held, and what becomes of the `number`-th of them in a thread: "KILL" (of the process) or an error.

    `ever`: of each from that one on.
    """

    calls: tuple[str, ...]
    then: str = ""
    number: int = 0
    ever: bool = False

    @classmethod
    def of(cls, text: str) -> Held:
        """CALL[,CALL][:THEN:NUMBER[+]]"""
        calls, _, rest = text.partition(":")
        then, _, number = rest.partition(":")
        return cls(tuple(calls.split(",")), then, int(number.rstrip("+") or 0), number.endswith("+"))

    def __str__(self) -> str:
        then = f":{self.then}:{self.number}{'+' * self.ever}" if self.then else ""
        return ",".join(self.calls) + then


def cannot() -> str:
    """Why no call can be held here; "" when it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"it is {sys.platform} on {platform.machine()}, and the calls are those of Linux on x86_64"
    if not (pid := os.fork()):
        with contextlib.suppress(OSError):
            _filter(tuple(NUMBERS))
            os._exit(0)
        os._exit(1)
    return (
        ""
        if os.waitpid(pid, 0)[1] == 0
        else "its kernel tells no process of another's calls (Linux 5.19 does)"
    )


def forked(play: Callable[[], object], held: Held, said: Said) -> int:
    """Play it in a fork whose calls are held: its exit code, negative for a signal. The fork does not return."""
    ours, theirs = socket.socketpair()
    if not (pid := os.fork()):
        ours.close()
        notices = _filter(held.calls)
        socket.send_fds(theirs, [b"."], [notices])
        os.close(notices)
        theirs.close()
        play()
        os._exit(0)
    theirs.close()
    _, (notices,), _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    life = os.pidfd_open(pid)
    try:
        _held(pid, life, notices, held, said)
    finally:
        os.close(notices)
        os.close(life)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _held(pid: int, life: int, notices: int, held: Held, said: Said) -> None:
    """Answer the kernel until the process has ended."""
    poll = select.poll()
    poll.register(notices, select.POLLIN)
    poll.register(life, select.POLLIN)
    names = {NUMBERS[name]: name for name in held.calls}
    counts: Counter[tuple[int, int]] = Counter()
    while life not in (ready := dict(poll.poll())):
        if not ready[notices] & select.POLLIN:
            poll.unregister(notices)  # nobody is left who could call
            continue
        notice = bytearray(_NOTICE.size)
        with _gone():
            fcntl.ioctl(notices, _RECEIVE, notice)
            number, thread, _, call = _NOTICE.unpack(notice)
            counts[thread, call] += 1
            said(thread, names[call])
            met = counts[thread, call] == held.number or (held.ever and counts[thread, call] > held.number)
            if met and held.then == "KILL":
                os.kill(pid, signal.SIGKILL)
                continue
            error = -getattr(errno, held.then) if met else 0
            fcntl.ioctl(notices, _SEND, _ANSWER.pack(number, 0, error, 0 if met else _CONTINUE))


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    """Whoever was about to call may have ended by now."""
    with contextlib.suppress(FileNotFoundError):
        yield


def _filter(calls: tuple[str, ...]) -> int:
    """From here on this process, its threads and its children wait at these calls; the file that tells of them."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = [NUMBERS[name] for name in calls]
    steps = [(_LOAD, 0, 0, 0)]  # the number of the call
    steps += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    found = int(libc.syscall(_SECCOMP, _FILTER_MODE, _NEW_LISTENER | _WAIT_KILLABLE, program))
    if found < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return found
