"""A log book that also tells somebody of each line as it is written: `bide run` shows them."""

from __future__ import annotations

import os
from collections.abc import Callable

from bide.runtime.clock import Clock
from bide.runtime.executor.logs import LogBook
from bide.runtime.values import redactor

Echo = Callable[[int, int, str], None]
"""(attempt, instant in microseconds, redacted text of one line or more); called from any thread."""


class EchoingLog(LogBook):
    """Tells `echo` of what bodies write, not of what their waits do."""

    def __init__(self, folder: str | os.PathLike[str], clock: Clock, echo: Echo) -> None:
        super().__init__(folder, clock)
        self._echo = echo

    def write(self, attempt_id: int, line: str, level: str = "INFO") -> None:
        super().write(attempt_id, line, level)
        self._echo(attempt_id, self._clock.now(), redactor(line))

    def write_waiting(self, attempt_id: int, line: str, level: str = "INFO") -> None:
        """As `write`, and nobody is told."""
        super().write(attempt_id, line, level)
