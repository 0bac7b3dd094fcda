"""Bytes of a file that SQLite has open in this process, read through the descriptor that SQLite holds.

Opening and closing the file once more would drop the locks that this process has on it.
"""

from __future__ import annotations

import os
from pathlib import Path


def peeked(path: Path, count: int) -> bytes:
    """The first `count` bytes; fewer of a shorter file, none where it is not open or that cannot be seen."""
    try:
        links = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return b""
    for link in links:
        try:
            if str(link.readlink()) == str(path):
                return os.pread(int(link.name), count, 0)
        except OSError:  # closed meanwhile
            continue
    return b""
