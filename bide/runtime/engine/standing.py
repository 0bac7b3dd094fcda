"""Triggers of schedules: held without a run while the DAG is loaded and not paused; each event makes one.

Rows remember the last event by its key, and what events consisted of by its marks: these are no news
(the triggerer waits on). The key is the run's too: whatever dies between two commits, an event makes
one run.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bide.runtime.clock import LAST_US, SECOND, from_us, to_us
from bide.runtime.engine import runs, scheduling
from bide.runtime.engine.messages import Arm, Disarm, LookOnce
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import DagState, Due, Standing
from bide.runtime.errors import RefusedError
from bide.runtime.schedules import Firing, On
from bide.runtime.schedules.catchup import Skip
from bide.triggers import encode_trigger, kind_of
from bide.triggers.base import key_of

REST_US = 60 * SECOND
"""How long a trigger that broke is left alone."""


def keep(t: Turn, dag: DagState) -> None:
    """Hold the triggers of the schedule as it now is, and no others."""
    wanted = {encode_trigger(part.trigger): part for part in _parts(dag)}
    others: list[Standing] = []
    for held in dag.standing.values():
        part = wanted.pop(held.trigger, None)
        if part is None:
            others.append(held)
        else:
            _change(t, held, part)
    for held in others:  # only what no other one is: it must not take the place of one that stays
        part = next((one for one in wanted.values() if _goes_on(held, one)), None)
        if part is not None:
            del wanted[encode_trigger(part.trigger)]
            _change(t, held, part)
            continue
        _disarm(t, held, "cancelled")
        del dag.standing[held.standing_id], t.world.standing[held.standing_id]
        t.changes.standing_gone.append((t.now, held.standing_id))
    for trigger, part in wanted.items():
        held = Standing(t.world.take_id("wait"), dag, kind_of(part.trigger), trigger, part.poll_us, t.now)
        dag.standing[held.standing_id] = t.world.standing[held.standing_id] = held
        _write(t, held)
    arm_all(t, dag)


def _goes_on(held: Standing, part: On) -> bool:
    """Whether a trigger that was written anew is this one: what it has told of is no news to it."""
    return kind_of(part.trigger) == held.kind


def _change(t: Turn, held: Standing, part: On) -> None:
    trigger = encode_trigger(part.trigger)
    if (trigger, part.poll_us) != (held.trigger, held.poll):
        _disarm(t, held, "cancelled")
        held.trigger, held.poll = trigger, part.poll_us
        _write(t, held)


def shift(t: Turn, step_us: int) -> None:
    """The wall clock was stepped: a rest is a span of time."""
    for held in t.world.standing.values():
        if held.due is not None:
            held.due += step_us
            t.world.timer(held.due, Due.STANDING, held.standing_id)


def _parts(dag: DagState) -> list[On]:
    parts = () if dag.schedule is None else dag.schedule.parts()
    return [part for part in parts if isinstance(part, On) and part.standing() is not None]


def arm_all(t: Turn, dag: DagState) -> None:
    for held in dag.standing.values():
        arm(t, held)


def arm(t: Turn, held: Standing) -> None:
    """Have it seen, unless nothing of its schedule is to happen now."""
    held.due = None
    if held.armed or scheduling.idle(t, held.dag):
        return
    held.armed = True
    t.effects.append(
        Arm(held.standing_id, 0, held.dag.name, "", held.trigger, held.poll, 1.0, LAST_US, dict(held.had))
    )


def disarm_all(t: Turn, dag: DagState, reason: str) -> None:
    for held in dag.standing.values():
        _disarm(t, held, reason)


def _disarm(t: Turn, held: Standing, reason: str) -> None:
    held.due = None
    if held.armed:
        held.armed = False
        t.effects.append(Disarm(held.standing_id, reason))


def look(t: Turn, held: Standing) -> None:
    """Have it looked at now, if anything sees it."""
    dag = held.dag
    if held.armed:
        t.effects.append(LookOnce(held.standing_id, 0, dag.name, "", held.trigger))
        return
    if dag.paused:
        why = f"{dag.name} is paused: `bide unpause {dag.name}` looks at once"
    elif dag.code_error:
        why = f"the code of {dag.name} is not loaded: {dag.code_error}"
    elif held.due is not None:
        why = f"it broke a moment ago, and is tried again at {from_us(held.due):%Y-%m-%d %H:%M:%SZ}"
    else:
        why = f"nothing of the schedule of {dag.name} happens in this runtime"
    raise RefusedError(f"wait {held.standing_id} is not looked at now: {why}")


def of_no_run(standing_id: int, dag: str) -> RefusedError:
    """What is said of a verb that only a wait of a run can take."""
    return RefusedError(
        f"wait {standing_id} is of the schedule of {dag}, and of no run: it has no deadline, and nobody waits for "
        f"its end; `bide trigger {dag}` makes a run, `bide waits look {standing_id}` looks now"
    )


def broke(t: Turn, held: Standing, reason: str) -> None:
    """It cannot be waited for as it is: said, and tried again after a rest."""
    if not held.armed:
        return
    _disarm(t, held, "failed")
    held.due = t.now + REST_US
    t.world.timer(held.due, Due.STANDING, held.standing_id)
    t.journal("dag", held.dag.dag_id, None, "", "broke", f"{_words(held)}: {reason}; tried again in 60 s")


def fired(t: Turn, held: Standing, event: bytes, marks: dict[str, str]) -> None:
    """An event: its run, once; and on with waiting."""
    dag = held.dag
    part = next((one for one in _parts(dag) if encode_trigger(one.trigger) == held.trigger), None)
    if not held.armed or part is None or scheduling.idle(t, dag):
        return
    data = msgspec.json.decode(event)
    key = key_of(part.trigger, data)
    run_key = f"event:{key}"
    there = t.fact("run_by_key", dag.dag_id, run_key)
    new = not any(row[1] == dag.dag_id and row[5] == run_key for row in t.changes.runs_new)
    _disarm(t, held, "fired")
    held.had |= {"": key, **marks}
    t.changes.marks.extend((held.standing_id, name, mark) for name, mark in marks.items())
    held.firings += 1
    held.fired = t.now
    _write(t, held)
    if there is not None:
        _skip(t, dag, f"{_words(held)}: run {there.run_id} was made of the same event")
    elif new and (why := _outside(t, dag)):
        _skip(t, dag, f"{_words(held)}: {why}")
    elif new and scheduling.may_overlap(t, dag, t.now):
        _make(t, held, run_key, data)
    arm(t, held)


def _outside(t: Turn, dag: DagState) -> str:
    start, end = dag.options.get("start_us"), dag.options.get("end_us")
    if start is not None and t.now < start:
        return f"before the DAG's start, {from_us(start).isoformat()}"
    return f"after the DAG's end, {from_us(end).isoformat()}" if end is not None and t.now >= end else ""


def _make(t: Turn, held: Standing, run_key: str, event: Any) -> None:
    dag = held.dag
    assert dag.compiled is not None
    span = _interval(event)
    if span is None:
        at = t.now
        while (dag.dag_id, at) in t.world.run_at:  # two events of one microsecond are two runs
            at += 1
        span = (at, at)
    runs.create_run(
        t, dag, kind="event", run_key=run_key, firing=Firing(t.now, *span),
        params={**dag.compiled.spec.params, "event": event}, reason=f"event: {_words(held)}",
    )  # fmt: skip


def _interval(event: Any) -> tuple[int, int] | None:
    """The interval that an event is for: `{"interval": {"start": ..., "end": ...}}`, ISO 8601 with a zone."""
    named = event.get("interval") if isinstance(event, dict) else None
    if not isinstance(named, dict):
        return None
    try:
        start, end = (datetime.fromisoformat(named[key]) for key in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    if start.tzinfo is None or end.tzinfo is None or end < start:
        return None
    return to_us(start), to_us(end)


def _words(held: Standing) -> str:
    part = next((one for one in _parts(held.dag) if encode_trigger(one.trigger) == held.trigger), None)
    return held.kind if part is None else part.describe().removeprefix("on ")


def _skip(t: Turn, dag: DagState, reason: str) -> None:
    scheduling.skipped(t, dag, Skip(t.now, t.now, reason))


def _write(t: Turn, held: Standing) -> None:
    t.changes.standing_set[held.standing_id] = (
        held.standing_id, held.dag.dag_id, held.kind, held.trigger.decode(), held.poll, held.since, held.firings,
        held.fired, held.had.get("", ""),
    )  # fmt: skip
