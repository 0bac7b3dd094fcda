"""The operation behind `bide top`: how things stand at this moment, in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime.clock import Clock
from bide.runtime.service.event_shapes import KINDS, Top, TopRun
from bide.runtime.service.events import events
from bide.runtime.service.pulse import lag_now_ms
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
        loop_lag_ms=None if live is None else await lag_now_ms(),
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
