"""What a body prints, or logs the way of the standard library, goes to the log of its attempt.

Streams and a handler that ask, at each line, whose body is running (by the context that an attempt
sets, so in its tasks and in its thread); what nobody's body writes goes where it always went.
Installed by the terminal's own runtimes and where it is asked for, never by itself.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from bide.runtime.executor.context import _current

if TYPE_CHECKING:
    from bide.runtime.executor.attempt import Attempt

_PART_LIMIT: Final = 16 * 1024
_LEVELS: Final = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARNING"), (logging.INFO, "INFO"))


def _attempt() -> Attempt | None:
    context = _current.get(None)
    return None if context is None else context._attempt


class Routed(io.TextIOBase):
    """A text stream: lines of a body go to its attempt's log at `level`, all else to `under`."""

    def __init__(self, under: TextIO, level: str) -> None:
        self.under = under
        self._level = level
        self._parts: dict[int, str] = {}
        self._lock = threading.Lock()

    def write(self, text: str, /) -> int:
        attempt = _attempt()
        if attempt is None:
            return self.under.write(text)
        with self._lock:
            whole, part = _split(self._parts.pop(attempt.id, "") + text)
            if part:
                self._parts[attempt.id] = part
                if attempt.unprinted is None:
                    attempt.unprinted = {}
                attempt.unprinted[self._level] = self._end_line
        if part and attempt.over:
            self._end_line(attempt)
        if whole is not None:
            attempt.log(whole, self._level)
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]  # of text, as documented
        for line in lines:
            self.write(line)

    def _end_line(self, attempt: Attempt) -> None:
        """The body is over: what it printed without a line break is a line, too."""
        with self._lock:
            part = self._parts.pop(attempt.id, "")
        if part:
            attempt.log(_last_drawn(part), self._level)

    def flush(self) -> None:
        self.under.flush()

    def isatty(self) -> bool:
        return _attempt() is None and self.under.isatty()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.under.fileno()

    def close(self) -> None:
        """Never closed by who prints: it is everybody's."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # as the stream below has it
        return self.under.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # as above
        return self.under.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self.under, name)


def _split(text: str) -> tuple[str | None, str]:
    r"""(whole lines, the part of one that is left). A bar drawn over itself counts as it ended.

    >>> _split("a\nb\rc"), _split("50 %\r100 %\n"), _split("a")
    (('a', 'c'), ('100 %', ''), (None, 'a'))
    """
    if "\r" in text:
        *lines, part = text.split("\n")
        end = "\r" if part.endswith("\r") else ""  # what comes next is drawn over it, or breaks the line
        text = "\n".join([*(_last_drawn(line) for line in lines), _last_drawn(part) + end])
    whole, broken, part = text.rpartition("\n")
    if len(part) > _PART_LIMIT:
        return text, ""
    return (whole if broken else None), part


def _last_drawn(line: str) -> str:
    return line.removesuffix("\r").rpartition("\r")[2]


@contextmanager
def routed() -> Iterator[None]:
    """`sys.stdout` and `sys.stderr` are routed within; where they are already, nothing changes."""
    own: list[tuple[str, TextIO, Routed]] = []
    for name, level in (("stdout", "INFO"), ("stderr", "STDERR")):
        under: TextIO | Routed | None = getattr(sys, name)
        if under is not None and not isinstance(under, Routed):
            own.append((name, under, Routed(under, level)))
    for name, _, mine in own:
        setattr(sys, name, mine)
    try:
        yield
    finally:
        for name, before, mine in own:
            if getattr(sys, name) is mine:  # else somebody has put another one there since
                setattr(sys, name, before)


class _Records(logging.Handler):
    """Records made within a body go to its attempt's log."""

    def emit(self, record: logging.LogRecord) -> None:
        attempt = _attempt()
        if attempt is not None:
            attempt.log(self.format(record), _level(record.levelno))
            return
        last = logging.lastResort if logging.root.handlers == [self] else None
        if last is not None and record.levelno >= last.level:  # there would be no handler but for this one
            last.handle(record)


def _level(number: int) -> str:
    return next((name for least, name in _LEVELS if number >= least), "DEBUG")


@contextmanager
def recorded() -> Iterator[None]:
    """Records of bodies, from INFO up, go to their logs within; other handlers get what they got."""
    root = logging.root
    handler, level = _Records(), root.level
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    others = [(other, other.level) for other in root.handlers]
    if level > logging.INFO:
        root.setLevel(logging.INFO)
        for other, at in others:
            other.setLevel(max(at, level))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for other, at in others:
            other.setLevel(at)
