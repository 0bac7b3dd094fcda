"""Outputs of unfinished runs, kept at hand for the tasks downstream; bounded, the disk has them all."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MOST_BYTES: Final = 64 * 1024 * 1024


class OutputCache:
    """(run, task) -> JSON, the least recently used leave first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._runs: OrderedDict[int, dict[str, bytes]] = OrderedDict()

    def keep(self, run_id: int, task: str, value: bytes) -> None:
        outputs = self._runs.setdefault(run_id, {})
        self._runs.move_to_end(run_id)
        self._bytes += len(value) - len(outputs.get(task, b""))
        outputs[task] = value
        while self._bytes > self._most and len(self._runs) > 1:
            self.forget(next(iter(self._runs)))

    def get(self, run_id: int, task: str) -> bytes | None:
        """None when it is not at hand: it may still be in the database."""
        return self._runs.get(run_id, {}).get(task)

    def drop(self, run_id: int, task: str) -> None:
        """One output is not to be used any more: it is read anew."""
        gone = self._runs.get(run_id, {}).pop(task, b"")
        self._bytes -= len(gone)

    def forget(self, run_id: int) -> None:
        for value in self._runs.pop(run_id, {}).values():
            self._bytes -= len(value)
