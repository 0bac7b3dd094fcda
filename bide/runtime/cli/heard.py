"""What tasks write while `bide run` shows them: kept, line by line, until a picture asks for it."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

KEPT: Final = 10_000


class Line(msgspec.Struct, frozen=True):
    """One line of an attempt's log, without its instant and level."""

    attempt_id: int
    at_us: int
    text: str


class Heard:
    """Called with what tasks write, from any thread; of a flood the newest lines are kept."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lines: deque[Line] = deque(maxlen=kept)
        self._told = 0
        self._taken = 0

    def __call__(self, attempt_id: int, at_us: int, text: str) -> None:
        for line in text.splitlines() or [""]:
            self._lines.append(Line(attempt_id, at_us, line))
            self._told += 1

    def take(self) -> tuple[list[Line], int]:
        """(the lines since the last question, how many of them were too many to be kept)."""
        told = self._told
        lines: list[Line] = []
        while self._lines and len(lines) < told - self._taken:
            lines.append(self._lines.popleft())
        missed = max(0, told - self._taken - len(lines))
        self._taken = told
        return lines, missed
