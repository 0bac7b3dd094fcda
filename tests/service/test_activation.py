"""Sockets that systemd passes on: which are taken, which are refused, and that a service answers there."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.errors import UsageError
from bide.runtime.service.activation import Given, said, taken
from tests.cli.conftest import environment
from tests.service.test_serve import folder

__all__ = ["folder"]

PASSES = """
import os, sys
for n, fd in enumerate(sys.argv[1:]):
    os.dup2(int(fd), 3 + n)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sys.argv) - 1), LISTEN_FDNAMES="bide.socket")
os.execv(sys.executable, [sys.executable, "-m", "bide", "serve", "dags"])
"""


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as at:
        at.bind(str(tmp_path / "passed.sock"))
        (tmp_path / "passed.sock").chmod(0o600)
        at.listen()
        yield at


def env(count: int = 1, pid: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(pid or os.getpid()),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": "a",
        "PATH": "/bin",
    }


def test_b73_what_is_meant_for_this_process_is_taken_and_for_another_is_not(bound: socket.socket) -> None:
    fd = os.dup(bound.fileno())
    given = env()
    (at,) = taken(given, fd).unix
    assert given == {"PATH": "/bin"}  # nothing of it reaches what a task starts
    assert not os.get_inheritable(at.fileno())
    assert said(at) == bound.getsockname()
    at.close()
    assert taken(env(pid=1), fd) == Given()
    assert taken({"LISTEN_FDS": "1"}, fd) == Given()
    assert taken({}, fd) == Given()


def test_b73_a_socket_that_everybody_may_use_is_refused(bound: socket.socket) -> None:
    Path(bound.getsockname()).chmod(0o666)
    with pytest.raises(UsageError, match="SocketMode=0600"):
        taken(env(), os.dup(bound.fileno()))


def test_b73_what_cannot_be_served_is_refused_with_words() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as at:
        at.bind(f"\0bide-test-{os.getpid()}")
        at.listen()
        with pytest.raises(UsageError, match="abstract"):
            taken(env(), os.dup(at.fileno()))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at,
        pytest.raises(UsageError, match="ListenStream="),
    ):
        taken(env(), os.dup(at.fileno()))
    with socket.socket() as at, pytest.raises(UsageError, match="Accept=no"):
        taken(env(), os.dup(at.fileno()))  # it does not listen
    read, write = os.pipe()
    with pytest.raises(UsageError, match="no socket"):
        taken(env(), read)
    os.close(read)
    os.close(write)


class OverUnix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def asked(path: str) -> int:
    connection = OverUnix(path)
    connection.request("GET", "/api/v1/dags")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_b73_a_service_answers_at_the_socket_it_was_given_and_in_its_runtime_directory(
    folder: Path, bound: socket.socket
) -> None:
    port = socket.create_server(("127.0.0.1", 0))
    fds = [os.dup(bound.fileno()), os.dup(port.fileno())]
    run = folder / "run"
    service = subprocess.Popen(
        [sys.executable, "-c", PASSES, *map(str, fds)], cwd=folder, pass_fds=fds,
        env=environment(RUNTIME_DIRECTORY=str(run)), stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        # asked before it is there: the connection waits in the socket, and is answered
        assert asked(bound.getsockname()) == 200
        assert asked(str(run / "bide.sock")) == 200
        there = http.client.HTTPConnection("127.0.0.1", port.getsockname()[1], timeout=30)
        there.request("GET", "/api/v1/dags")
        assert there.getresponse().status == 401  # a port asks for a token, whoever has bound it
        there.close()
        assert (run / "bide.sock").stat().st_mode & 0o777 == 0o600
        service.terminate()
        _, err = service.communicate(timeout=30)
    finally:
        service.kill()
        service.wait()
        port.close()
        for fd in fds:
            os.close(fd)
    assert service.returncode == 0, err.decode()
    assert f"answering at {bound.getsockname()} too" in err.decode()
    assert Path(bound.getsockname()).exists()  # it is systemd's: the next service is given it again
    assert not (run / "bide.sock").exists()


def test_b73_a_port_beyond_this_machine_needs_a_token_whoever_has_bound_it(folder: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as port:
        fd = os.dup(port.fileno())
        done = subprocess.run(
            [sys.executable, "-c", PASSES, str(fd)], cwd=folder, pass_fds=[fd], env=environment(),
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        os.close(fd)
    assert done.returncode == 4
    assert "no token of scope run or admin lives" in done.stderr
