"""The JSON of how assets stand: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.asset_shapes import LimitsLine
from bide.runtime.service.said_words import Id, Instant, VersionWord
from bide.runtime.service.shapes import Interval, _Shape


class PartLine(_Shape, frozen=True):
    """An interval of an asset. `version` is the one that counts: what consumers see, else what is known to be wrong of
    it, else the last that was made. `newest` is the last that was made; `versions` counts all. `limits`: what is known to be
    wrong with the one that counts, where it is degraded.
    """

    interval: Interval
    version: Id
    state: VersionWord
    reason: str
    created_at: Instant
    versions: int
    newest: Id
    newest_state: VersionWord
    place: str
    limits: LimitsLine | None = None


class StandingLine(_Shape, frozen=True):
    """How an asset stands: what is declared of it, its newest interval (`unknown`: it has none), and those before it.

    `due_at` is by when the version of `expected` is promised, `promise` says so in words; `late` when that has passed or the newest
    version is stale.
    """

    asset: str
    node: str
    owner: str
    criticality: str
    grain: str | None
    doc: str
    state: VersionWord
    version: Id | None
    interval: Interval | None
    created_at: Instant | None
    reason: str
    late: bool
    expected: Interval | None
    due_at: Instant | None
    promise: str
    parts: tuple[PartLine, ...]
