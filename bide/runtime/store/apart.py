"""The invariants of a large database, checked in a process of its own: `python -m bide.runtime.store.apart DATABASE LOGS`.

Tens of seconds of reading, much of it in Python: in a thread of a runtime every hand-off would pay for it. The
process has the lowest priority, ends with its question, and is killed when it takes too long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import GaveUpError, StoreError
from bide.runtime.store.invariants import check
from bide.runtime.store.reader import Reader
from bide.runtime.store.replay import Violation

LARGE: Final = 8 * 1024 * 1024
"""Bytes: what a database of this size and more takes is worth the start of a process."""
LIMIT_S: Final = 600.0


def check_apart(db: Path, logs: Path) -> list[Violation]:
    """What `check` finds. Waits for the process in the calling thread."""
    words = [sys.executable, "-P", "-m", "bide.runtime.store.apart", str(db), str(logs)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise GaveUpError(
            f"the check of {db} was not over within {LIMIT_S:g} s: `bide db check` takes its time"
        ) from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise StoreError(
            f"the process that checks {db} ended with {done.returncode}: {last or 'it said nothing'}"
        )
    return typed.decode(done.stdout, list[Violation])


def main() -> None:
    db, logs = map(Path, sys.argv[1:])
    with suppress(OSError):
        os.nice(19)
    with Reader(db) as reader:
        found = reader.read(lambda conn: check(conn, logs))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
