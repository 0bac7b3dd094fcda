"""What is on a disk after a power cut: as the machine left it, or as it is when the disk's own cache is lost with it.

The second is put together from the log of writes (the dm-log-writes format, as qemu's blklogwrites has it): what was
written before the last flush that came to its end is there, each later write is there, is not, or is torn at a sector. As the
log is in the order of the requests, that disk can be made for any instant before the cut as well.
"""

from __future__ import annotations

import random
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


def written(log: Path) -> tuple[list[Written], int]:
    """(the requests in their order, where of the log they end). What was under way at the cut ends it."""
    found: list[Written] = []
    size = log.stat().st_size
    at = SECTOR
    with log.open("rb") as file:
        while at + SECTOR <= size:
            file.seek(at)
            sector, sectors, flags, _length = _ENTRY.unpack(file.read(_ENTRY.size))
            data = 0 if flags & DISCARD else sectors * SECTOR
            if not (sectors or flags) or at + SECTOR + data > size:
                break
            found.append(Written(sector, sectors, flags, at + SECTOR))
            at += SECTOR + data
    return found, at


def copied(disk: Path, at: Path) -> Path:
    subprocess.run(["cp", "--sparse=always", str(disk), str(at)], check=True)
    return at


def without_cache(
    before: Path, log: Path, until: int, at: Path, dice: random.Random, lies: int = 0
) -> tuple[Path, int]:
    """The disk of an instant of which the log had `until` bytes, its cache lost: (it, the writes that are lost or torn).

    `before` is the disk at the start. What was to be written before the next flush is at stake as well: that is later
    than the instant, and what was acknowledged at it must still stand. With `lies` the disk's last so many flushes had only
    been said to be done, and nothing since is there.
    """
    copied(before, at)
    requests, _ = written(log)
    flushes = [number for number, one in enumerate(requests) if one.flags & FLUSH]
    done = [-1] * (lies + 1) + [number for number in flushes if requests[number].offset <= until]
    safe = done[-1 - lies]
    end = min((number for number in flushes if number > safe), default=len(requests))
    keeps = 0.0 if lies else dice.choice((0.0, 0.5, 0.9))
    lost = 0
    with log.open("rb") as source, at.open("r+b") as disk:
        for number, one in enumerate(requests[:end]):
            if one.flags & DISCARD or not one.sectors:
                continue
            source.seek(one.offset)
            data = source.read(one.sectors * SECTOR)
            if number > safe and not one.flags & FUA and dice.random() >= keeps:
                lost += 1
                data = data[: SECTOR * (dice.randrange(one.sectors) if dice.random() < 0.3 else 0)]
            disk.seek(one.sector * SECTOR)
            disk.write(data)
    return at, lost


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
