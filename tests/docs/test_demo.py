"""The demo does what the README says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_waits_on_everything_with_no_slot_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.waiting_room"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    waiting, _, after = done.stdout.partition("1,004 waits, 0 of 16 slots in use")
    assert "1,000 deferred" in waiting
    assert "1,000 success" in after
    assert "0 waits, 0 of 16 slots in use" in after
    assert done.stderr == ""
