"""The operations on the process that holds a database, and on the database itself. Settings are shown with secrets masked."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import bide
from bide.runtime.clock import Clock
from bide.runtime.service.config_shown import settings_shown
from bide.runtime.service.overview import size_of
from bide.runtime.service.overview_shapes import PoolUse
from bide.runtime.service.pulse import lag_now_ms
from bide.runtime.service.shapes import iso
from bide.runtime.service.system_shapes import Holding, PulseShown, SourceUse, SystemShown
from bide.runtime.store.home_reads import ground
from bide.runtime.store.migrate import newest_number
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks


class System:
    """The operations. It keeps no state."""

    def __init__(self, db: Path, reader: Asks, clock: Clock, live: Live | None) -> None:
        self._db, self._reader, self._clock, self._live = db, reader, clock, live

    async def show(self) -> SystemShown:
        live = self._live
        schema, journal, waits = await self._reader.ask(Reader.read, ground)
        pulse = None if live is None else live.pulse
        config = None if live is None else live.config
        return SystemShown(
            database=str(self._db),
            held_by=None if live is None else os.getpid(),
            versions=await self._reader.ask(_versions, schema, journal),
            epoch=None if pulse is None else pulse.epoch,
            settings=() if config is None else tuple(settings_shown(config)),
            waits=waits,
            armed=None if pulse is None else pulse.armed,
            sources=()
            if pulse is None
            else tuple(SourceUse(source=each, waits=count) for each, count in sorted(pulse.sources.items())),
            held=()
            if live is None
            else tuple(
                Holding(at=iso(each.at_us), seconds=each.for_s, name=each.name, where=each.where)
                for each in reversed(live.held)
            ),
            blocked=None if pulse is None else pulse.blocked,
            notes=() if pulse is None else pulse.notes,
            left_out={} if live is None else dict(live.left_out),
            pools=()
            if pulse is None
            else tuple(PoolUse(pool=name, slots=slots, in_use=used) for name, slots, used in pulse.pools),
        )

    async def pulse(self) -> PulseShown:
        live = self._live
        newest = await self._reader.ask(Reader.last_event)
        pulse = None if live is None else live.pulse
        return PulseShown(
            at=iso(self._clock.now()),
            loop_lag_ms=None if pulse is None else round(pulse.lag_s * 1000, 1),
            loop_now_ms=None if pulse is None else await lag_now_ms(),
            turns=None if pulse is None else pulse.turns,
            inbox=None if pulse is None else pulse.inbox,
            bodies=None if pulse is None else pulse.bodies,
            slots=None if live is None else live.slots,
            slots_in_use=None if live is None else live.slots_in_use,
            readers=None if pulse is None else pulse.readers,
            newest=str(newest),
            database_bytes=size_of(self._db),
            log_bytes=size_of(Path(f"{self._db}-wal")),
            full="" if live is None else live.full,
        )


def _versions(reader: Reader, schema: int, journal: str) -> dict[str, str]:
    sqlite = ".".join(map(str, reader.sqlite_version()))
    return {
        "bide": bide.__version__,
        "Python": platform.python_version(),
        "SQLite": f"{sqlite}, journal {journal}",
        "schema": f"{schema} of {newest_number()}",
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
