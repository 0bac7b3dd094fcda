"""The operation behind the first page: what needs a person, most urgent first, and how things stand, in one answer."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from bide.runtime.clock import DAY, HOUR, Clock
from bide.runtime.schedules import schedule_from_json
from bide.runtime.service.event_shapes import TopRun
from bide.runtime.service.needs import Found, found_in, needs_of
from bide.runtime.service.overview_shapes import HomeShown, Hour, PoolUse, Soon
from bide.runtime.service.pulse import lag_now_ms
from bide.runtime.service.shapes import iso
from bide.runtime.store import home_reads as reads
from bide.runtime.store.reader import Reader
from bide.runtime.store.top import OpenRun, Standing, standing_now

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks

_RUNNING: Final = 12
_DUE: Final = 200
"""DAGs of which it is said when they fire next."""
_FIRINGS: Final = 400
"""Firings of all of them that are looked up, and of one of them at most a day's hours."""
_A_DAG: Final = 24
_Lately: TypeAlias = tuple[list[tuple[int, str, int]], bool]


class Overview:
    """The operations on how all of it stands. It keeps no state."""

    def __init__(self, db: Path, reader: Asks, clock: Clock, live: Live | None, held: bool) -> None:
        self._db, self._reader, self._clock, self._live, self._held = db, reader, clock, live, held

    async def home(self) -> HomeShown:
        now, live = self._clock.now(), self._live
        standing, found, (hours, whole), soon = await self._reader.ask(_seen, now)
        pulse = None if live is None else live.pulse
        return HomeShown(
            at=iso(now),
            held=self._held,
            stopping=live is not None and live.stopping,
            needs=tuple(needs_of(found, live)),
            runs=standing.runs,
            tasks=standing.tasks,
            waits=standing.waits,
            dags=standing.dags,
            paused=standing.paused,
            running=tuple(_run(run) for run in standing.newest),
            next=tuple(soon),
            hours=tuple(_hours(hours, now)),
            hours_whole=whole,
            slots=None if live is None else live.slots,
            slots_in_use=None if live is None else live.slots_in_use,
            loop_lag_ms=None if live is None else await lag_now_ms(),
            pools=()
            if pulse is None
            else tuple(PoolUse(pool=n, slots=of, in_use=u) for n, of, u in pulse.pools),
            database_bytes=size_of(self._db),
            log_bytes=size_of(Path(f"{self._db}-wal")),
        )


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _run(run: OpenRun) -> TopRun:
    return TopRun(
        run_id=str(run.run_id),
        dag=run.dag,
        state=run.state,
        kind=run.kind,
        logical_date=iso(run.logical_us),
        since=iso(run.since_us),
        tasks=run.tasks,
    )


def _seen(reader: Reader, now: int) -> tuple[Standing, Found, _Lately, list[Soon]]:
    def read(conn: sqlite3.Connection) -> tuple[Standing, Found, _Lately, list[reads.DueDag]]:
        standing = standing_now(conn, _RUNNING)
        found = found_in(conn, bool(standing.tasks.get("lost")), bool(standing.paused))
        lately = reads.lately(conn, (now // HOUR - 23) * HOUR, HOUR)
        return standing, found, lately, reads.due_dags(conn, now + DAY, _DUE)

    standing, found, lately, due = reader.read(read)
    return standing, found, lately, firings_of(due, now + DAY)


def _hours(lately: list[tuple[int, str, int]], now: int) -> list[Hour]:
    """Each of the last 24 hours, the one that goes included, the oldest first."""
    of: dict[int, dict[str, int]] = {number: {} for number in range(now // HOUR - 23, now // HOUR + 1)}
    for number, state, count in lately:
        of.setdefault(number, {})[state] = count
    return [Hour(at=iso(number * HOUR), runs=runs) for number, runs in sorted(of.items())]


def firings_of(due: list[reads.DueDag], until_us: int) -> list[Soon]:
    """The firings before an instant, in the order of time over all DAGs, as many as may be looked up."""
    schedules = [schedule_from_json(each.schedule) for each in due]
    ends = [msgspec.json.decode(each.options).get("end_us") for each in due]
    firings: list[list[int]] = [[] for _ in due]
    more = [False] * len(due)
    heap = [(each.next_fires_us, at) for at, each in enumerate(due)]
    left = _FIRINGS
    while heap:
        fires_us, at = heapq.heappop(heap)
        if len(firings[at]) == _A_DAG or (left <= 0 and firings[at]):
            more[at] = True
            continue
        firings[at].append(fires_us)
        left -= 1
        then = schedules[at].next_after(fires_us, due[at].anchor_us)
        end = until_us if ends[at] is None else min(until_us, ends[at])
        if then is not None and then.fires_us < end:
            heapq.heappush(heap, (then.fires_us, at))
    return [
        Soon(
            dag=each.dag,
            schedule=schedules[at].describe(),
            firings=tuple(iso(one) for one in firings[at]),
            more=more[at],
        )
        for at, each in enumerate(due)
    ]
