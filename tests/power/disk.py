"""What is on a disk after a power cut: as the machine left it, or as it is when the disk's own cache is lost with it.

The second is put together from the log of writes (the dm-log-writes format, as qemu's blklogwrites has it): what was
written before the last flush that came to its end is there, each later write is there, is not, or is torn at a sector.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.power.machine import tool

SECTOR: Final = 512
FLUSH, FUA, DISCARD = 1, 2, 4
_ENTRY: Final = struct.Struct("<QQQQ")  # sector, sectors, flags, length of the data


@dataclass(frozen=True, slots=True)
class Written:
    """One request to the disk: of `sectors` at `sector`, its data at `offset` of the log."""

    sector: int
    sectors: int
    flags: int
    offset: int


def written(log: Path) -> list[Written]:
    """The requests that came to their end, in their order; the last may be half a one, and is then left out."""
    found: list[Written] = []
    size = log.stat().st_size
    at = SECTOR
    with log.open("rb") as file:
        while at + SECTOR <= size:
            file.seek(at)
            sector, sectors, flags, _length = _ENTRY.unpack(file.read(_ENTRY.size))
            if not sectors and not flags:
                break  # room that was taken and not written
            at += SECTOR
            data = 0 if flags & DISCARD else sectors * SECTOR
            if at + data > size:
                break
            found.append(Written(sector, sectors, flags, at))
            at += data
    return found


def without_cache(before: Path, log: Path, at: Path, dice: random.Random) -> tuple[int, int]:
    """Make the disk as it is when its cache is lost: `before` is the disk at the start. (later writes, those lost of them)."""
    shutil.copy(before, at)
    requests = written(log)
    safe = max((number for number, one in enumerate(requests) if one.flags & FLUSH), default=-1)
    keeps = dice.choice((0.0, 0.5, 0.9))
    later = lost = 0
    with log.open("rb") as source, at.open("r+b") as disk:
        for number, one in enumerate(requests):
            if one.flags & DISCARD or not one.sectors:
                continue
            source.seek(one.offset)
            data = source.read(one.sectors * SECTOR)
            disk.seek(one.sector * SECTOR)
            if number > safe and not one.flags & FUA:
                later += 1
                if dice.random() >= keeps:
                    lost += 1
                    torn = dice.randrange(one.sectors + 1) if dice.random() < 0.3 else 0
                    data = data[: torn * SECTOR]
            disk.write(data)
    return later, lost


def found_on(disk: Path, folder: Path) -> Path:
    """The database on a disk, after the file system's own recovery, copied into `folder`. No right to mount is needed."""
    fsck, debugfs = tool("e2fsck"), tool("debugfs")
    assert fsck is not None
    assert debugfs is not None
    done = subprocess.run([fsck, "-fy", str(disk)], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, f"e2fsck of {disk}: {done.returncode}\n{done.stdout}{done.stderr}"
    folder.mkdir()
    subprocess.run([debugfs, "-R", f"rdump / {folder}", str(disk)], capture_output=True, check=True)
    return folder / "bide.db"
