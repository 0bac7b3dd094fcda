"""A command line run in this process (quick) or in one of its own (true)."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest

from bide.runtime.cli.main import run

ROOT = Path(__file__).parents[2]


class Said(msgspec.Struct, frozen=True):
    """What a command line came to."""

    code: int
    out: str
    err: str


Bide = Callable[..., Said]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine, an empty folder, nothing left on the module path."""
    for name in [name for name in os.environ if name.startswith("BIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def bide(capsys: pytest.CaptureFixture[str]) -> Bide:
    """`bide("runs", "--json")` in this process."""

    def call(*words: str) -> Said:
        capsys.readouterr()
        code = run(list(words))
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@cache
def completion(shell: str) -> str:
    """What `bide completion SHELL` prints: a second of work, and always the same."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(["completion", shell]) == 0
    return out.getvalue()


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BIDE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def bide_process(tmp_path: Path) -> Bide:
    """`bide_process("version")` in a process of its own, standing in `tmp_path`."""

    def call(*words: str, **env: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "bide", *words],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=environment(**env),
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call
