"""One log file per attempt, written lazily, in batches, redacted and bounded; no file without a line.

A line is `2026-11-21T11:20:12.123456Z INFO text`. Lines wait in memory until `flush` (the executor
calls it twice a second and when an attempt ends), until they are read, or until 64 KiB of one
attempt have come together. No file stays open between flushes. Nothing is fsynced: a log is a
record for people, not state.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bide.runtime.clock import Clock, from_us
from bide.runtime.errors import RefusedError
from bide.runtime.executor import log_files
from bide.runtime.values import redactor

LINE_LIMIT: Final = 16 * 1024
SIZE_LIMIT: Final = 10 * 1024 * 1024
_FLUSH_AT: Final = 64 * 1024
_NAMED: Final = re.compile(r"([1-9][0-9]{0,18})\.log", re.ASCII)


class _Pending:
    __slots__ = ("lines", "size", "written")

    def __init__(self, written: int) -> None:
        self.lines: list[bytes] = []
        self.size = 0
        self.written = written


class LogBook:
    """The logs of one database. Thread-safe; writing never raises for want of a disk.

    `problem` is the text of the last write that failed, "" while all is well.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        clock: Clock,
        *,
        line_limit: int = LINE_LIMIT,
        size_limit: int = SIZE_LIMIT,
    ) -> None:
        self.folder = Path(folder)
        self.problem = ""
        self.on_dirty: Callable[[], None] | None = None
        self._clock = clock
        self._line_limit = line_limit
        self._size_limit = size_limit
        self._pending: dict[int, _Pending] = {}
        self._full: set[int] = set()
        self._lock = threading.Lock()

    def path(self, attempt_id: int) -> Path:
        """Where the log of an attempt stands, whether or not it has one. Ids are integers: no name gets in."""
        return self.folder / log_files.name_of(attempt_id)

    def write(self, attempt_id: int, line: str, level: str = "INFO") -> None:
        """Add a line, or several when `line` has line breaks; each is cut at the line limit."""
        head = f"{_iso(self._clock.now())} {level} ".encode()
        text = redactor(line)
        parts = [head + self._cut(part) for part in (text.splitlines() if "\n" in text else (text,))]
        with self._lock:
            was_clean = not self._pending
            pending = self._pending.get(attempt_id)
            if pending is None:
                pending = self._pending[attempt_id] = _Pending(log_files.size(self.folder, attempt_id))
            for part in parts:
                if attempt_id in self._full:
                    break
                if pending.written + pending.size + len(part) > self._size_limit:
                    self._full.add(attempt_id)
                    end = b"[the log ends here: its limit is %d bytes]\n" % self._size_limit
                    pending.lines.append(head + end)
                    break
                pending.lines.append(part)
                pending.size += len(part)
            if pending.size >= _FLUSH_AT:
                self._flush_one(attempt_id)
        if was_clean and self.on_dirty is not None:
            self.on_dirty()

    def flush(self, attempt_id: int | None = None) -> None:
        """Write out what waits in memory: of one attempt, or of all."""
        if not self._pending:
            return
        with self._lock:
            for each in [attempt_id] if attempt_id is not None else list(self._pending):
                self._flush_one(each)

    def read(self, attempt_id: int) -> str:
        """The whole log, "" when the attempt wrote nothing."""
        return self.read_from(attempt_id, 0)[0]

    def read_from(self, attempt_id: int, offset: int) -> tuple[str, int]:
        """What stands after `offset` (bytes), in whole lines, and the offset to go on from."""
        self.flush(attempt_id)
        try:
            with log_files.reading(self.folder, attempt_id) as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return "", offset
        data = data[: data.rfind(b"\n") + 1]
        return data.decode(errors="replace"), offset + len(data)

    def tail(self, attempt_id: int, lines: int = 100) -> list[str]:
        """The last lines, oldest first, without reading more of the file than needed."""
        self.flush(attempt_id)
        try:
            with log_files.reading(self.folder, attempt_id) as file:
                at = file.seek(0, os.SEEK_END)
                data = b""
                while at > 0 and data.count(b"\n") <= lines:
                    step = min(at, 64 * 1024)
                    at = file.seek(at - step)
                    data = file.read(step) + data
        except FileNotFoundError:
            return []
        return [line.decode(errors="replace") for line in data.splitlines()[-lines:]] if lines > 0 else []

    def prune(self, attempt_ids: Iterable[int]) -> None:
        """Forget the logs of attempts that are gone."""
        with self._lock:
            for attempt_id in attempt_ids:
                self._pending.pop(attempt_id, None)
                self._full.discard(attempt_id)
                log_files.remove(self.folder, attempt_id)

    def forget_after(self, last_id: int) -> None:
        """Forget the logs of attempts after `last_id`, the newest that the database knows.

        They are of another database that stood here, or were written after the backup that was put
        back, and their ids are given out again. Nothing is touched but files named as `path` does.
        """
        try:
            with os.scandir(self.folder) as entries:
                found = [
                    int(named[1])
                    for entry in entries
                    if (named := _NAMED.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)
                ]
            self.prune(attempt_id for attempt_id in found if attempt_id > last_id)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.problem = f"the logs of another database in {self.folder} stay: {error.strerror}"

    def _cut(self, line: str) -> bytes:
        data = line.encode(errors="replace")
        if len(data) > self._line_limit:
            more = len(data) - self._line_limit
            kept = data[: self._line_limit].decode(errors="ignore").encode()
            return kept + b" [cut: %d more bytes]\n" % more
        return data + b"\n"

    def _flush_one(self, attempt_id: int) -> None:
        pending = self._pending.pop(attempt_id, None)
        if pending is None or not pending.lines:
            return
        try:
            log_files.append(self.folder, attempt_id, b"".join(pending.lines))
            self.problem = ""
        except OSError as error:
            self.problem = f"the log {self.path(attempt_id)} cannot be written: {error.strerror}"
        except RefusedError as error:
            self.problem = str(error)


def _iso(at_us: int) -> str:
    return from_us(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
