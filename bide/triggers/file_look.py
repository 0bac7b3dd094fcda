"""What is asked of the file system, in threads: stat, scan, read. Nothing here knows an event loop."""

# ruff: noqa: PTH100, PTH112, PTH120, PTH123
# Paths are text here: a Path costs microseconds, and there are 100,000 of them.

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Final, NamedTuple

from bide.triggers.file import FileFacts, FileTrigger

ENTRIES_LIMIT: Final = 2_000_000
"""Entries looked at in one scan; more are an error that says so."""
FOLDERS_LIMIT: Final = 4_096
"""Folders of one tree that are watched; those beyond are seen by the sweep."""
CHUNK: Final = 1 << 20
_NETWORK: Final = re.compile(
    r"nfs.*|cifs|smb.*|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|virtiofs|vboxsf|ncpfs|fuse\.(?!fuseiso).*"
)

Stat = Callable[[str], os.stat_result]


class Scan(NamedTuple):
    """One look at a tree: the files that match, the folders that were seen, what went wrong."""

    files: list[FileFacts]
    folders: list[str]
    trouble: str


def facts(path: str, look: Stat = os.stat) -> FileFacts | None:
    """What there is at `path`, links followed; None when there is nothing."""
    try:
        found = look(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return FileFacts(path, trouble=_trouble(error))
    return _facts(path, found)


def _facts(path: str, found: os.stat_result) -> FileFacts:
    trouble = ""
    if not stat.S_ISREG(found.st_mode):
        trouble = "a folder, not a file" if stat.S_ISDIR(found.st_mode) else "not a regular file"
    return FileFacts(
        path, found.st_size, found.st_mtime_ns // 1000, found.st_ctime_ns // 1000, found.st_ino, trouble
    )


def _trouble(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a loop of links"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission"
    return f"cannot be looked at ({error.strerror or error})"


def with_marker(file: FileFacts, trigger: FileTrigger, look: Stat = os.stat) -> FileFacts:
    """`file` with what there is of its marker."""
    marker = trigger.marker_of(file.path)
    if marker is None:
        return file
    return FileFacts(
        file.path, file.size, file.mtime_us, file.ctime_us, file.inode, file.trouble,
        marker=facts(marker, look) is not None, closed=file.closed,
    )  # fmt: skip


def scan(base: str, parts: tuple[str, ...], recursive: bool, look: Stat = os.stat) -> Scan:
    """All files below `base` whose relative path matches `parts`; links to folders not followed."""
    if recursive and "**" not in parts:
        parts = (*parts[:-1], "**", parts[-1])
    files: list[FileFacts] = []
    folders: list[str] = []
    trouble = ""
    entries = 0
    waiting = [(base, _start(parts))]
    while waiting:
        folder, at = waiting.pop()
        folders.append(folder)
        try:
            with os.scandir(folder) as listing:
                for entry in listing:
                    entries += 1
                    if entries > ENTRIES_LIMIT:
                        return Scan(files, folders, f"more than {ENTRIES_LIMIT:,} entries below {base}")
                    ends, deeper = _step(parts, at, entry.name)
                    if deeper and entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, deeper))
                    found = facts(entry.path, look) if ends else None
                    if found is not None and not found.trouble.startswith("a folder"):
                        files.append(found)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            trouble = trouble or f"{folder}: {_trouble(error)}"
    return Scan(files, folders, trouble)


def _start(parts: tuple[str, ...]) -> frozenset[int]:
    return frozenset({0, 1} if parts[0] == "**" else {0})


def _step(parts: tuple[str, ...], at: frozenset[int], name: str) -> tuple[bool, frozenset[int]]:
    """Whether a file of this name matches, and where the pattern stands within a folder of it."""
    ends, deeper = False, set()
    last = len(parts) - 1
    for place in at:
        part = parts[place]
        if part == "**":
            if not name.startswith("."):
                deeper |= {place, place + 1} if place < last else {place}
                ends = ends or place == last
        elif _matches(part, name):
            if place == last:
                ends = True
            else:
                deeper.add(place + 1)
                if parts[place + 1] == "**" and place + 2 <= last:
                    deeper.add(place + 2)
    return ends, frozenset(deeper)


def _matches(part: str, name: str) -> bool:
    if name.startswith(".") and not part.startswith("."):
        return False
    return _pattern(part).match(name) is not None


@lru_cache(maxsize=1024)
def _pattern(part: str) -> re.Pattern[str]:
    return re.compile(translate(part))


def content_is(file: FileFacts, sha256: str | None, contains: str | None) -> bool | None:
    """Whether the content is as asked; None when the file changed meanwhile or is gone.

    `OSError` when it cannot be read. Memory is bounded by a chunk.
    """
    needle = contains.encode() if contains is not None else b""
    digest = hashlib.sha256() if sha256 is not None else None
    found, tail = not needle, b""
    try:
        handle = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _facts(file.path, os.fstat(handle)).signature != file.signature:
            return None
        while chunk := os.read(handle, CHUNK):
            if digest is not None:
                digest.update(chunk)
            if not found:
                found = needle in tail + chunk
                tail = (tail + chunk)[-(len(needle) - 1) :] if len(needle) > 1 else b""
            if found and digest is None:
                break
        if _facts(file.path, os.fstat(handle)).signature != file.signature:
            return None
    finally:
        os.close(handle)
    return found and (digest is None or digest.hexdigest() == (sha256 or "").lower())


def nearest_folder(path: str) -> str:
    """`path` when it is a folder, else the nearest folder above it that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        above = os.path.dirname(path)
        if above == path:
            return path
        path = above
    return path


def network_mounts(table: str = "/proc/self/mountinfo") -> tuple[tuple[str, bool], ...]:
    """(mount point, whether of a network) of all mounts, longest first; empty where unknown."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as lines:
            mounts = [_mount(line) for line in lines]
    except OSError:
        return ()
    return tuple(sorted(mounts, key=lambda mount: len(mount[0]), reverse=True))


def _mount(line: str) -> tuple[str, bool]:
    before, _, after = line.partition(" - ")
    point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split(" ")[4])
    return point, _NETWORK.fullmatch(after.split(" ")[0]) is not None


def on_network(path: str, mounts: Iterable[tuple[str, bool]]) -> bool:
    """Whether `path` (absolute) lies on a network file system: its events cannot be trusted."""
    for point, network in mounts:
        if path == point or path.startswith(point.rstrip("/") + "/"):
            return network
    return False
