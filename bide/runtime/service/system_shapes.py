"""The shapes of what a service is made of, and how it is at this moment. Keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.overview_shapes import PoolUse
from bide.runtime.service.said_words import Id, Instant
from bide.runtime.service.shapes import Setting, _Shape


class SourceUse(_Shape, frozen=True):
    """A source, and how many waits it watches."""

    source: str
    waits: int


class Holding(_Shape, frozen=True):
    """What has held the loop: for so many seconds at least, and where it stood."""

    at: Instant
    seconds: float
    name: str
    where: str


class PulseShown(_Shape, frozen=True):
    """What changes all the time. `loop_lag_ms` is the worst of the last ten seconds, `loop_now_ms` that of now.

    `turns` of the engine are counted since the runtime was opened; `newest` is the journal's last line. `inbox`: inputs that are still to be
    decided; `bodies` of tasks run or are parked; `readers` follow the live feed. What no runtime can be asked is null.
    """

    at: Instant
    loop_lag_ms: float | None
    loop_now_ms: float | None
    turns: int | None
    inbox: int | None
    bodies: int | None
    slots: int | None
    slots_in_use: int | None
    readers: int | None
    newest: Id
    database_bytes: int
    log_bytes: int
    full: str


class SystemShown(_Shape, frozen=True):
    """What a service is made of and rests on: `versions` of what runs, `settings` with where each comes from.

    `epoch`: how often a runtime was started on the database. `waits` are open, by kind of trigger; `sources` watch `armed` of them. `held`:
    what has held the loop, the last one first, of `blocked` times in all. `notes`: what went wrong outside of any wait; `left_out`: what was
    not loaded, and why.
    """

    database: str
    held_by: int | None
    versions: dict[str, str]
    epoch: int | None
    settings: tuple[Setting, ...]
    waits: dict[str, int]
    armed: int | None
    sources: tuple[SourceUse, ...]
    held: tuple[Holding, ...]
    blocked: int | None
    notes: tuple[str, ...]
    left_out: dict[str, str]
    pools: tuple[PoolUse, ...]
