"""Where tests keep their files: in memory, where there is room for them.

A suite that commits some hundred thousand times waits for the disk longer than it works, and nothing it
asserts is about that disk: a process that is killed leaves on a tmpfs what it leaves on a disk, and a power cut is
made on the disk of a virtual machine (tests/power). `TMPDIR` names another place.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")
ROOM: Final = 4 << 30
"""Free bytes asked for: a test's files go when it has passed, and those of a soak are the largest."""


def in_memory() -> Path | None:
    """A folder in memory with room, in which a file may be run; None on a machine that has none."""
    try:
        found = os.statvfs(MEMORY)
        held = MEMORY.stat().st_mode & 0o1777 == 0o1777
    except OSError:
        return None
    runs = not found.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    room = min(found.f_bavail * found.f_frsize, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return MEMORY if held and runs and room >= ROOM else None


def settle() -> None:
    """Take it for this process and for every one it starts, the other half of the suite among them."""
    if "TMPDIR" not in os.environ and (place := in_memory()):
        os.environ["TMPDIR"] = str(place)
        tempfile.tempdir = None  # asked once a process
