"""`why` of a DAG whose schedule looks at no asset: its facts, of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime.engine.explain.timed import Held, TimedFacts
from bide.runtime.schedules import schedule_from_json
from bide.runtime.service.describe import trigger_words
from bide.runtime.store import schedules as stored

if TYPE_CHECKING:
    import sqlite3


def timed_facts(
    conn: sqlite3.Connection, row: stored.Scheduled, code_error: str, now: int, *, live: bool
) -> TimedFacts:
    """What is known of its schedule."""
    schedule = schedule_from_json(row.schedule)
    fires_us, ends_us = next_firing(row, now)
    return TimedFacts(
        dag=row.name,
        schedule=schedule.describe(),
        fires_us=fires_us,
        ends_us=ends_us if fires_us is None else None,
        held=tuple(
            Held(
                trigger=trigger_words(one.kind, one.trigger)[0],
                since_us=one.since_us,
                firings=one.firings,
                fired_us=one.fired_us,
            )
            for one in stored.held(conn, row.dag_id)
        ),
        catching_up=bool(msgspec.json.decode(row.backlog)),
        open_runs=stored.open_runs(conn, row.dag_id),
        paused=bool(row.paused),
        removed=bool(row.removed),
        code_error=code_error,
        live=live,
    )


def next_firing(row: stored.Scheduled, now: int) -> tuple[int | None, int | None]:
    """(the first firing of the clock that is not decided, the end that leaves none)."""
    schedule, options = schedule_from_json(row.schedule), msgspec.json.decode(row.options)
    start, end = options.get("start_us"), options.get("end_us")
    after = row.watermark_us if row.watermark_us is not None else (now if start is None else start) - 1
    firing = schedule.next_after(after, row.anchor_us)
    if firing is None or (end is not None and firing.fires_us >= end):
        return None, None if firing is None else end
    return firing.fires_us, end
