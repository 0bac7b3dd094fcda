"""`bide` and `python` for tests that start them by the hundred: each a fork of one process that has imported what they need.

To import takes some ten times as long as most commands. What a command had imported by its end is imported here before the
next. Everything else is a process's own: its words, folder, environment, files, signals, and its end.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import marshal
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple, NoReturn

ROOT: Final = Path(__file__).parents[1]
CLIENT: Final = Path(__file__).with_name("kept_warm_client.py")
NOT_FOR_US: Final = 1000
OURS: Final = (str(ROOT / "bide"), sys.prefix, sys.base_prefix)
"""Where modules are that are the same for everybody."""


class Asked(NamedTuple):
    """A command to be played."""

    tool: str
    words: list[str]
    folder: str
    environment: dict[bytes, bytes]
    ignored: list[int]
    mask: int
    files: list[int]


# --- for tests -----------------------------------------------------------------------------------------


@functools.cache
def address() -> Path:
    """Of the process that plays, begun when it is first asked for; it ends with this one."""
    folder = tempfile.TemporaryDirectory(prefix="bide-warm-")
    at = Path(folder.name) / "line"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kept_warm", str(at)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    @atexit.register
    def end() -> None:
        process.communicate()
        folder.cleanup()

    return at


def words(tool: str) -> list[str]:
    """The beginning of a command line that plays `bide` or `python`."""
    return [sys.executable, "-I", "-S", str(CLIENT), str(address()), sys.executable, tool]


def at_rest() -> None:
    """Return when none of its commands is left: whoever asked was killed, and they were."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(address()))
        line.sendall(bytes(4))
        assert line.recv(1) == b"0"


# --- the process ---------------------------------------------------------------------------------------


class Played(NamedTuple):
    """A command that goes on."""

    pid: int
    life: int
    line: socket.socket


def serve(at: str) -> Asked:
    """Fork for each that asks; returns in the forks."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at)
    listener.listen(64)
    heard, says = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    says.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    poll = select.poll()
    for each in (0, listener.fileno(), heard.fileno()):
        poll.register(each, select.POLLIN)
    played: dict[int, Played] = {}
    """By the file of the line, and by that of the life."""
    resting: list[socket.socket] = []
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd == 0:  # whoever began it has ended
                for other in played.values():
                    os.kill(other.pid, signal.SIGKILL)
                os._exit(0)
            elif fd == heard.fileno():
                learn(heard.recv(1 << 20).decode().split())
            elif fd == listener.fileno():
                line = listener.accept()[0]
                asked = read(line)
                if asked is None:
                    resting.append(line)
                elif not playable(asked):
                    line.sendall(str(NOT_FOR_US).encode())
                    line.close()
                    close(asked.files)
                elif pid := os.fork():
                    close(asked.files)
                    new = Played(pid, os.pidfd_open(pid), line)
                    for own in (line.fileno(), new.life):
                        played[own] = new
                        poll.register(own, select.POLLIN)
                else:
                    for other in played.values():
                        other.line.close()
                    close({other.life for other in played.values()})
                    for end in (listener, heard, line, *resting):
                        end.close()
                    atexit.register(tell, says)
                    return asked
            elif fd in played and fd == played[fd].life:
                ended = played.pop(fd)
                poll.unregister(fd)
                os.close(fd)
                code = os.waitstatus_to_exitcode(os.waitpid(ended.pid, 0)[1])
                if played.pop(ended.line.fileno(), None):
                    poll.unregister(ended.line)
                with contextlib.suppress(ConnectionError), ended.line as line:
                    line.sendall(str(code).encode())
            elif fd in played:
                signals = signals_of(played[fd].line)
                for number in signals:
                    os.kill(played[fd].pid, number)  # its end has not been looked at: the number is its own
                if signal.SIGKILL in signals:
                    poll.unregister(fd)
                    del played[fd]
        if not played:
            for line in resting:
                with contextlib.suppress(ConnectionError), line:
                    line.sendall(b"0")
            resting.clear()


def close(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)


def read(line: socket.socket) -> Asked | None:
    """None for one that asks for rest, or that was killed while it asked."""
    head, files, _, _ = socket.recv_fds(line, 4, 3)
    left = int.from_bytes(head, sys.byteorder)
    asked = b""
    while len(asked) < left and (part := line.recv(left - len(asked))):
        asked += part
    if not asked or len(asked) < left:
        close(files)
        return None
    return Asked._make([*marshal.loads(asked), files])


def signals_of(line: socket.socket) -> bytes:
    """That are passed on; one that nobody waits for any more is killed."""
    try:
        return line.recv(16, socket.MSG_DONTWAIT) or bytes([signal.SIGKILL])
    except BlockingIOError:
        return b""
    except ConnectionError:
        return bytes([signal.SIGKILL])


def playable(asked: Asked) -> bool:
    """Not a Python with options of its own, or told by variables to be another than this one."""
    first = asked.words[0] if asked.words else "-"
    plain = asked.tool == "bide" or first in ("-c", "-m") or not first.startswith("-")
    theirs = {name: value for name, value in asked.environment.items() if name.startswith(b"PYTHON")}
    ours = {name: value for name, value in os.environb.items() if name.startswith(b"PYTHON")}
    return plain and theirs == ours and len(asked.files) == 3


def learn(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            import_module(name)
    gc.freeze()  # no collection of garbage in a fork touches it, and so copies it


_known: Final[set[str]] = set()


def tell(says: socket.socket) -> None:
    """At the end of a command: what it had to import, of what is the same for everybody."""
    new = [
        name
        for name, module in list(sys.modules.items())
        if name not in _known and str(getattr(module, "__file__", None) or "").startswith(OURS)
    ]
    if new:
        says.send("\n".join(new).encode())


def play(asked: Asked) -> None:
    """As the process of the command itself."""
    os.setpgid(0, 0)
    for number, file in enumerate(asked.files):
        os.dup2(file, number)
    close(asked.files)
    for ignored in asked.ignored:
        signal.signal(ignored, signal.SIG_IGN)
    os.umask(asked.mask)
    os.chdir(asked.folder)
    os.environ.clear()
    os.environb.update(asked.environment)
    time.tzset()
    _known.update(sys.modules)
    sys.modules.pop("tests")  # the reader's own may be called so
    words = ["-m", "bide", *asked.words] if asked.tool == "bide" else asked.words
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], asked.folder
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    sys.modules["__main__"] = main = ModuleType("__main__")
    if words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        code = compile(words[1], "<string>", "exec")
    else:
        script = Path(words[0]).absolute()
        sys.argv, sys.path[0] = words, str(script.resolve().parent)
        main.__file__ = str(script)
        code = compile(script.read_bytes(), script, "exec")
    exec(code, main.__dict__)


def end(code: int) -> NoReturn:
    """As the interpreter ends, but for taking apart what is imported: that would copy all of it first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    asked = serve(sys.argv[1])
    try:
        play(asked)
    except SystemExit as left:
        if left.code is not None and not isinstance(left.code, int):
            print(left.code, file=sys.stderr)
        end(left.code & 0xFF if isinstance(left.code, int) else int(left.code is not None))
    end(0)
