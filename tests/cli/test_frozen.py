"""A service that does not answer: what only asks reads the database, a command is told whose turn it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.service import client
from tests.cli.conftest import ROOT, Bide
from tests.store.rows import three_runs

FROZEN = """
import socket, sys
from pathlib import Path
from bide.runtime.clock import MINUTE, SystemClock
from bide.runtime.service.places import socket_of
from bide.runtime.store.lock import Lock

db = Path(sys.argv[1])
listening = socket.socket(socket.AF_UNIX)
listening.bind(str(socket_of(db)))
listening.listen(64)
with Lock(db) as lock:
    assert lock.take("runtime", SystemClock().now() - 5 * MINUTE) is None
    print("held", flush=True)
    input()
"""


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The process of a service that holds `.bide/bide.db`, takes connections, and says nothing."""
    monkeypatch.setattr(client, "_SIGN_OF_LIFE_S", 0.1)
    (tmp_path / ".bide").mkdir(mode=0o700)
    db = three_runs(tmp_path / ".bide" / "bide.db")
    with subprocess.Popen(
        [sys.executable, "-c", FROZEN, str(db)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.kill()


def test_a_service_that_does_not_answer_is_named_and_what_asks_goes_on(frozen: int, bide: Bide) -> None:
    assert bide("runs").code == 0
    told = bide("cancel", "1")
    assert told.code == 5
    assert f"the service of process {frozen} holds the database" in told.err
    assert "does not answer" in told.err
    assert f"kill -CONT {frozen}" in told.err
    said = bide("doctor")
    assert said.code == 1
    assert f"BAD  service: process {frozen} does not answer at its socket" in said.out
    assert f"kill -CONT {frozen}" in said.out
