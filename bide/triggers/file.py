"""Waiting for files: what must be true of them, judged on what was seen of them."""

# ruff: noqa: PTH118, PTH120
# Paths are text here: a Path costs microseconds, and there are 100,000 of them.

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar, Final

import msgspec

from bide.runtime.clock import SECOND, from_us
from bide.runtime.errors import UsageError
from bide.triggers.base import Fire, NotYet, Source, SourceWorld, Trigger, Verdict

SETTLE_US: Final = 2 * SECOND
"""How long a file must have been quiet, unless its author says otherwise."""
PATHS_LIMIT: Final = 1_000
"""Paths in one event; `count` says how many there were."""
_MAGIC: Final = re.compile(r"[*?\[]")

Signature = tuple[int, int, int, int]


class FileFacts(msgspec.Struct, frozen=True):
    """What was seen of one file; instants are epoch microseconds, UTC."""

    path: str
    size: int = 0
    mtime_us: int = 0
    ctime_us: int = 0
    inode: int = 0
    trouble: str = ""  # it cannot be used: no permission, a folder, a loop of links
    marker: bool = False
    closed: bool = True  # nothing speaks for it being open for writing
    good: bool | None = None  # its content was read and is as asked; None: not read

    @property
    def signature(self) -> Signature:
        """Changes whenever the file does."""
        return (self.size, self.mtime_us, self.ctime_us, self.inode)


class Seen(msgspec.Struct, frozen=True):
    """One look: the files that are there. `steady` is False where the file system's clock is another's."""

    files: tuple[FileFacts, ...] = ()
    steady: bool = True
    trouble: str = ""


class Memo(msgspec.Struct, frozen=True):
    """What is kept between looks: since when each file is as it is, and contents already read."""

    since: dict[str, tuple[Signature, int]] = {}
    read: dict[str, tuple[Signature, bool]] = {}


_NOTHING: Final = Memo()


class FileTrigger(Trigger, frozen=True, kw_only=True, tag="file", gc=False):
    """A file at `path`, or `count` files that match `glob`, each fit to be used.

    Fit is a file of at least `min_size` bytes (default 1) that has been quiet for `settle_us`
    (default 2 s; 0: closed by its writer, or there when first looked at), was modified after
    `newer_than_us`, stands beside its `marker` (a name in its folder, or, from a dot on, a suffix
    of its own name), and whose content has the `sha256` and `contains` the text asked for. With
    `recursive` the last part of `glob` is looked for in all folders below. Links to files are
    followed, links to folders are not.

    Fires with `{"path", "size", "mtime", "paths", "count"}`: of the first file by name, and all.
    """

    source_modules: ClassVar = ("bide.triggers.file_source", "asyncinotify")

    path: str | None = None
    glob: str | None = None
    min_size: int = 1
    settle_us: int = SETTLE_US
    newer_than_us: int | None = None
    marker: str | None = None
    sha256: str | None = None
    contains: str | None = None
    recursive: bool = False
    count: int = 1

    def __post_init__(self) -> None:
        if (self.path is None) == (self.glob is None):
            raise UsageError("a file wait takes either path or glob: name one of them")
        if not (self.path or self.glob) or "\0" in f"{self.path}{self.glob}{self.marker}":
            raise UsageError(f"the path {self.path or self.glob!r} of a file wait names no file")
        if self.path is not None and (self.recursive or self.count != 1):
            raise UsageError("recursive and count belong to glob: a path names one file")
        if self.min_size < 0 or self.settle_us < 0 or self.count < 1:
            raise UsageError("min_size and settle cannot be negative, and count is at least 1")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise UsageError(f"sha256 {self.sha256!r} is no digest: write its 64 hexadecimal digits")
        if self.marker is not None and self.marker in ("", ".", ".."):
            raise UsageError(
                f'marker {self.marker!r} names no file: write a name ("_DONE") or a suffix (".ok")'
            )
        if self.contains == "":
            raise UsageError("contains is empty: leave it out, or write the text to look for")

    def source_key(self) -> Hashable:
        return _KEY

    def describe(self) -> str:
        many = f"{self.count} files " if self.count > 1 else "file "
        return f"{many}{self.path or self.glob}{' (recursive)' if self.recursive else ''}"

    @property
    def reads(self) -> bool:
        """Whether the content matters."""
        return self.sha256 is not None or self.contains is not None

    def marker_of(self, path: str) -> str | None:
        """The path of the marker of the file at `path`."""
        if self.marker is None:
            return None
        if self.marker.startswith(".") and "/" not in self.marker:
            return path + self.marker
        return os.path.join(os.path.dirname(path), self.marker)

    def ripe(self, seen: Seen, memo: Memo | None, now: int) -> Iterator[FileFacts]:
        """The files whose content must be read now: fit in all else, and not read as they are."""
        for file in seen.files:
            known = (memo or _NOTHING).read.get(file.path)
            if (known is None or known[0] != file.signature) and not self._unfit(file, seen, memo, now)[0]:
                yield file

    def judge(self, seen: Seen, memo: Memo | None, now: int) -> Verdict:
        memo = memo or _NOTHING
        fit: list[FileFacts] = []
        reason, again_us = "", None
        since: dict[str, tuple[Signature, int]] = {}
        read: dict[str, tuple[Signature, bool]] = {}
        for file in seen.files:
            why, at_us, quiet_us = self._unfit(file, seen, memo, now)
            if quiet_us is not None and not (seen.steady and file.ctime_us <= now):
                since[file.path] = (file.signature, quiet_us)
            if not why and self.reads:
                good = self._content(file, memo)
                if good is not None:
                    read[file.path] = (file.signature, good)
                why = {None: "its content is being read", False: "its content is not as asked"}.get(good, "")
            if not why:
                fit.append(file)
            else:
                reason = reason or f"{file.path}: {why}"
                if at_us is not None:
                    again_us = at_us if again_us is None else min(again_us, at_us)
        if len(fit) >= self.count:
            return Fire(self._event(fit), self._marks(fit))
        if not seen.files:
            reason = seen.trouble or "not there yet"
        elif self.count > 1:
            reason = f"{len(fit)} of {self.count} files are fit; {reason}" if reason else f"{len(fit)} files"
        return NotYet(reason, again_us, memo=Memo(since, read) if since or read else None)

    def _unfit(
        self, file: FileFacts, seen: Seen, memo: Memo | None, now: int
    ) -> tuple[str, int | None, int | None]:
        """(why not, look again at, as it is since) of one file, its content left aside."""
        if file.trouble:
            return file.trouble, None, None
        if file.size < self.min_size:
            return f"{file.size} bytes, and {self.min_size} are the least", None, None
        if self.newer_than_us is not None and file.mtime_us <= self.newer_than_us:
            newer = from_us(self.newer_than_us).isoformat(timespec="seconds")
            return f"not modified since {newer}", None, None
        if self.marker is not None and not file.marker:
            return f"its marker {self.marker} is not there", None, None
        settle_us = self.settle_us if self.settle_us or file.closed else SETTLE_US
        if not settle_us:
            return "", None, None
        quiet_us = self._quiet_since(file, seen, memo or _NOTHING, now)
        if now - quiet_us >= settle_us:
            return "", None, quiet_us
        return f"still settling ({settle_us / SECOND:g} s without a change)", quiet_us + settle_us, quiet_us

    @staticmethod
    def _quiet_since(file: FileFacts, seen: Seen, memo: Memo, now: int) -> int:
        """The last change. A time stamp nobody can set tells it, where its clock is ours."""
        if seen.steady and file.ctime_us <= now:
            return max(file.ctime_us, file.mtime_us if file.mtime_us <= now else 0)
        known = memo.since.get(file.path)
        return min(known[1], now) if known is not None and known[0] == file.signature else now

    @staticmethod
    def _content(file: FileFacts, memo: Memo) -> bool | None:
        if file.good is not None:
            return file.good
        known = memo.read.get(file.path)
        return known[1] if known is not None and known[0] == file.signature else None

    @staticmethod
    def _event(fit: list[FileFacts]) -> dict[str, Any]:
        fit = sorted(fit, key=lambda file: file.path)
        first = fit[0]
        return {
            "path": first.path,
            "size": first.size,
            "mtime": from_us(first.mtime_us).isoformat(),
            "paths": [file.path for file in fit[:PATHS_LIMIT]],
            "count": len(fit),
        }

    def _marks(self, fit: list[FileFacts]) -> dict[str, str]:
        """Of a pattern, where further files may come; as many as the event has paths."""
        if self.glob is None:
            return {}
        fit = sorted(fit, key=lambda file: file.path)[:PATHS_LIMIT]
        return {file.path: f"{file.size}@{file.mtime_us}" for file in fit}

    def only(self, event: Any, marks: dict[str, str]) -> Any:
        paths = sorted(marks)
        if len(paths) < self.count:
            return None
        size, _, mtime_us = marks[paths[0]].partition("@")
        return {
            "path": paths[0],
            "size": int(size),
            "mtime": from_us(int(mtime_us)).isoformat(),
            "paths": paths,
            "count": len(paths),
        }

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        from bide.triggers.file_source import FileSource

        return FileSource(world)


_KEY: Final = ("file",)


def split_glob(pattern: str) -> tuple[str, tuple[str, ...]]:
    """The folder that holds all matches, and the rest of the pattern, part by part.

    >>> split_glob("/data/in/2026-*/x.csv")
    ('/data/in', ('2026-*', 'x.csv'))
    """
    parts = pattern.split("/")
    first = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    base = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")
    return base, tuple(part for part in parts[first:] if part)
