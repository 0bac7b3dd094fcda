"""What the crash sweeps share: reference runs in forks of warm processes, and the verdict on their stores."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CANNOT
from tests.recovery.calls import Held, cannot
from tests.recovery.reference import ended

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("BIDE_SEED", "20261121"))
SOAK = int(os.environ.get("BIDE_SOAK", "1"))
AT_ONCE = 2


class Bench:
    """Some warm processes; `run` borrows one of them. May be called from threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "truth").write_text("x")
        os.utime(folder / "truth", (1_700_000_000, 1_700_000_000))
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._all = [self._start() for _ in range(AT_ONCE)]
        for process in self._all:
            self._free.put(process)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.reference", "serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def world(self, name: str, database: bytes = b"") -> Path:
        """A fresh folder with an empty ledger; the database to be in it, or that is there already."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "ledger").touch()
        db = folder / "bide.db"
        if database:
            db.touch(mode=0o600)
            db.write_bytes(database)
        return db

    def run(self, db: Path, failpoint: str = "", held: Held | None = None) -> int:
        """One reference run to its end, or to its failure: the exit code, negative for a signal.

        `held`: its calls that are held; `calls_of(db)` tells them.
        """
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{db}\t{failpoint}\t{held or ''}\n")
            process.stdin.flush()
            return int(process.stdout.readline())
        finally:
            self._free.put(process)

    def close(self) -> None:
        for process in self._all:
            process.communicate()


def calls_of(db: Path) -> list[tuple[str, str]]:
    """(thread, call) of the last run on a database whose calls were held, in their order."""
    lines = Path(f"{db}.calls").read_text().splitlines()
    return [(thread, call) for thread, _, call in (line.partition(" ") for line in lines)]


def needs_held() -> None:
    """Skip, loudly, where no call can be held."""
    if why := cannot():
        pytest.skip(f"{CANNOT}no system call can be held: {why}")


def needs_strace() -> None:
    """Skip, loudly, where system calls cannot be tampered with."""
    if shutil.which("strace") is None:
        pytest.skip(
            "no strace: install the package of that name to write down the system calls, and fail some"
        )


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    made = Bench(folder)
    try:
        yield made
    finally:
        made.close()


def said(db: Path) -> str:
    """What the runs on a database have said, the end of it."""
    file = Path(f"{db}.said")
    return file.read_text(errors="replace")[-3000:] if file.exists() else ""


def verdict(db: Path, reference: dict[str, Any]) -> list[str]:
    """What is wrong with a store after recovery: empty when it is as if nothing had happened."""
    found = ended(db)
    wrong = [
        f"{key}: {found[key]} instead of {reference[key]}"
        for key in reference
        if found[key] != reference[key]
    ]
    ledger = db.with_name("ledger").read_text().split()
    if ledger.count("failing") != 1:
        wrong.append(f"flaky failed {ledger.count('failing')} times")
    if ledger.count("only") > 1:
        wrong.append(f"a body that may not run twice ran {ledger.count('only')} times")
    return wrong


def swept(cases: Iterable[Any], judge: Callable[[Any], list[str]], replay: Callable[[Any], str]) -> list[str]:
    """Judge all cases, some at once: what is wrong, each with the line that replays it."""
    took: dict[str, float] = {}

    def judged(case: Any) -> list[str]:
        begun = time.monotonic()
        wrong = judge(case)
        took[replay(case)] = time.monotonic() - begun
        return [f"{replay(case)}\n    " + "\n    ".join(wrong)] if wrong else []

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [line for lines in pool.map(judged, cases) for line in lines]
    slowest = sorted(took, key=lambda line: -took[line])[:10]
    print(len(took), "cases; the slowest:", *(f"{took[line]:.2f} s {line}" for line in slowest), sep="\n")
    return found


def forget(db: Path) -> None:
    """Remove the world of a case that went well."""
    shutil.rmtree(db.parent)
