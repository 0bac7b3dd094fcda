"""How assets stand: each with its newest intervals, and the intervals of one asset. Nothing is changed by asking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bide.runtime import typed
from bide.runtime.assets.asset import Asset, AssetSpec
from bide.runtime.assets.limits import Limits
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import asset_name, bounded
from bide.runtime.service.asset_shapes import LimitsLine
from bide.runtime.service.shapes import Interval, iso, iso_or_none
from bide.runtime.service.standing_shapes import PartLine, StandingLine
from bide.runtime.store import asset_reads
from bide.runtime.store import standing_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.clock import Clock
    from bide.runtime.service.operations import Asks

SHOWN: Final = 14
"""Intervals of each asset in the listing of all."""


class Standings:
    """The part of the operations on assets that says how they stand."""

    _reader: Asks
    _clock: Clock

    async def standings(self, limit: int = 100, before: str | None = None) -> list[StandingLine]:
        """By name, each with its newest intervals."""
        bounded(limit)
        now = self._clock.now()
        return await self._reader.ask(
            Reader.read,
            lambda conn: [
                _line(each, now) for each in reads.standings(conn, PartLine, SHOWN, limit, before or "")
            ],
        )

    async def intervals(
        self, asset: Asset | str, limit: int = 100, before: str | None = None
    ) -> list[PartLine]:
        """Of one asset, the newest first."""
        bounded(limit)
        name, last = asset_name(asset), _place(before)
        return await self._reader.ask(Reader.read, lambda conn: _intervals(conn, name, limit, last))


def _intervals(
    conn: sqlite3.Connection, name: str, limit: int, last: tuple[int, int] | None
) -> list[PartLine]:
    number = reads.asset_id(conn, name)
    if number is None:
        near = suggestion(name, asset_reads.names(conn))
        raise NotFoundError(
            f"there is no asset {name!r}{near or ': `bide assets list` lists those there are'}"
        )
    return reads.parts(conn, PartLine, number, limit, last)


def _line(row: reads.StandingRead, now_us: int) -> StandingLine:
    spec = typed.decode(row.spec, AssetSpec) if row.spec != "{}" else AssetSpec(row.name)
    parts = typed.decode(row.parts, tuple[PartLine, ...])
    newest = parts[0] if parts else None
    return StandingLine(
        asset=row.name,
        node=spec.node.value,
        owner=spec.owner,
        criticality=spec.criticality.value,
        grain=spec.grain,
        doc=spec.doc,
        state="unknown" if newest is None else newest.state,
        version=None if newest is None else newest.version,
        interval=None if newest is None else newest.interval,
        created_at=None if newest is None else newest.created_at,
        reason="" if newest is None else newest.reason,
        late=(row.due_us is not None and row.due_us <= now_us)
        or (newest is not None and newest.state == "stale"),
        expected=_interval(row.start_us, row.end_us),
        due_at=iso_or_none(row.due_us),
        promise=row.said,
        parts=parts,
    )


def _interval(start_us: int | None, end_us: int | None) -> Interval | None:
    return None if start_us is None or end_us is None else Interval(start=iso(start_us), end=iso(end_us))


def limits_line(text: str | None) -> LimitsLine | None:
    """What is known to be wrong with a version, as it is stored with it."""
    if text is None:
        return None
    limits = typed.decode(text, Limits)
    return LimitsLine(
        reason=limits.reason,
        known_limitations=limits.known_limitations,
        approved_by=limits.approved_by,
        expires_at=iso_or_none(limits.expires_us),
    )


def _place(text: str | None) -> tuple[int, int] | None:
    """Behind which interval a page begins."""
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}\.-?[0-9]{1,18}", text):
        raise UsageError(f"{text!r} names no item: it is the `place` of the last one of the page before")
    start, end = map(int, text.split("."))
    return start, end
