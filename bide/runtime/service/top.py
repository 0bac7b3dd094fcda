"""The operation behind `bide top`: how things stand at this moment, in one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bide.runtime.clock import Clock
from bide.runtime.service.event_shapes import KINDS, Top, TopRun
from bide.runtime.service.events import events
from bide.runtime.service.shapes import iso
from bide.runtime.store.reader import Reader
from bide.runtime.store.top import standing_now

if TYPE_CHECKING:
    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks

RUNS: Final = 20
EVENTS: Final = 20
TOLD: Final = ",".join(kind for kind in KINDS if kind != "attempt")
"""Of what moves all but attempts: their tasks say the same."""
_LOOKS: Final = 3
_LOOK_S: Final = 0.002


async def top(reader: Asks, clock: Clock, live: Live | None, held: bool) -> Top:
    """`live` is the process that holds the database, if it is this one."""
    found = await reader.ask(Reader.read, lambda conn: standing_now(conn, RUNS))
    last = await events(reader, clock, kind=TOLD, limit=EVENTS)
    return Top(
        at=iso(clock.now()),
        held=held,
        stopping=live is not None and live.stopping,
        slots=None if live is None else live.slots,
        slots_in_use=None if live is None else live.slots_in_use,
        loop_lag_ms=None if live is None else await _lag_ms(),
        dags=found.dags,
        paused=found.paused,
        alerts=found.alerts,
        runs=found.runs,
        tasks=found.tasks,
        waits=found.waits,
        newest=tuple(
            TopRun(
                run_id=str(run.run_id),
                dag=run.dag,
                state=run.state,
                kind=run.kind,
                logical_date=iso(run.logical_us),
                since=iso(run.since_us),
                tasks=run.tasks,
            )
            for run in found.newest
        ),
        events=tuple(last),
    )


async def _lag_ms() -> float:
    """How late the loop came to a timer, the worst of a few."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    for _ in range(_LOOKS):
        due = loop.time() + _LOOK_S
        await asyncio.sleep(_LOOK_S)
        worst = max(worst, loop.time() - due)
    return round(worst * 1000, 1)
