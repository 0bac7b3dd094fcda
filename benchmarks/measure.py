"""What the rows measure with: percentiles, resident memory, processor time, lag of the loop."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie: the nearest rank, no interpolation.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered)) - 1))]


def rss() -> int:
    """Resident bytes of this process, now, after the garbage and the allocator's slack are gone."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a real disk: $BIDE_BENCH_DIR, else the system's temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bide-bench-", dir=os.environ.get("BIDE_BENCH_DIR")) as folder:
        yield Path(folder)


class LoopLag:
    """How late the loop gets to a timer, sampled every 5 ms while the block runs."""

    def __init__(self, every_s: float = 0.005) -> None:
        self.every_s = every_s
        self.late_ms: list[float] = []

    async def _sample(self) -> None:
        while True:
            due = time.perf_counter() + self.every_s
            await asyncio.sleep(self.every_s)
            self.late_ms.append((time.perf_counter() - due) * 1e3)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample(), name="loop-lag")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def p99(self) -> float:
        return quantile(self.late_ms, 0.99) if self.late_ms else 0.0

    @property
    def worst(self) -> float:
        return max(self.late_ms, default=0.0)
