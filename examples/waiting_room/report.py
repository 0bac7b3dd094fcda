"""What the demo measured, and whether that is what it claims."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import msgspec

from examples.waiting_room.process import DemoError


class Kind(msgspec.Struct, frozen=True):
    """From an event to the first line of the code that waited for it, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class Report(msgspec.Struct, kw_only=True):
    """Everything on the last panel. `*_s` are seconds, memory is bytes."""

    slots: int
    run: str = ""
    setup_s: float = 0.0
    took_s: float = 0.0
    waits_held: int = 0
    armed_s: float = 0.0
    slots_most: int = -1
    samples: int = 0
    bodies: int = -1
    memory_before: int = 0
    memory_waiting: int = 0
    kill_status: int = 0
    waits_kept: int = 0
    armed_again: int = 0
    again_s: float = 0.0
    down_s: float = 0.0
    epochs: int = 0
    run_state: str = ""
    tasks: int = 0
    succeeded: int = 0
    twice: int = -1
    doctor: list[str] = []
    kinds: dict[str, Kind] = {}
    why: dict[str, str] = {}

    def check(self) -> None:
        """`DemoError`, in one sentence, for the first claim that does not hold."""
        claims = (
            (self.slots_most == 0, f"{self.slots_most} slots were in use while everything waited, not 0"),
            (self.samples > 0, "the slots were never looked at while everything waited"),
            (self.bodies == 0, f"{self.bodies} bodies ran before anything had happened"),
            (
                self.kill_status == -signal.SIGKILL,
                f"the process ended with {self.kill_status}, not by kill -9",
            ),
            (
                self.waits_kept == self.waits_held,
                f"only {self.waits_kept:,} of {self.waits_held:,} waits survived",
            ),
            (self.epochs == 2, f"the database was opened {self.epochs} times, not twice"),
            (self.run_state == "success", f"the run ended as {self.run_state}, not as success"),
            (self.succeeded == self.tasks, f"{self.succeeded:,} of {self.tasks:,} tasks succeeded"),
            (self.twice == 0, f"{self.twice:,} tasks were started more than once"),
            (not self.doctor, f"the database is not well: {'; '.join(self.doctor)}"),
        )
        for holds, otherwise in claims:
            if not holds:
                raise DemoError(otherwise)


def spread(lags_us: Sequence[int]) -> Kind:
    """Percentiles of lags, by nearest rank.

    >>> spread([3000, 1000, 2000])
    Kind(count=3, p50_ms=2.0, p99_ms=3.0, most_ms=3.0)
    """
    ranked = sorted(lags_us)
    p50, p99 = (ranked[max(0, -(-len(ranked) * p // 100) - 1)] for p in (50, 99))
    return Kind(len(ranked), p50 / 1e3, p99 / 1e3, ranked[-1] / 1e3)
