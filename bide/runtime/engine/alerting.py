"""Deadline alerts: who is late is said once, while it still goes on; nothing is stopped for it (S3-49).

An alarm stands for a run or an instance that is not over. It rings once, into the table of alerts, in
the transaction in which it goes; the end of its subject takes it away. What ends later than it was due
was late all the same, whether or not somebody looked in between. A time on the wall is moved by
nothing; a span stands still with its paused DAG and moves with the clock, as other deadlines do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from bide.runtime import typed
from bide.runtime.clock import DAY, from_us
from bide.runtime.engine import raising
from bide.runtime.engine.states import OVER
from bide.runtime.engine.turn import ALARMS, Turn
from bide.runtime.engine.world import Alarm, Due, Instance, Run
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.schedules.promise import Promise

BY_HAND = frozenset({"manual", "backfill", "plan", "hook"})
"""Runs that nobody was promised: a time that has passed when they are made is none of theirs."""
BY_CLOCK = "scheduled"
"""Runs that are made late are late. One that an event makes is, if its time was within the last day:
what comes later than that corrects what once was in time."""
MOST_TAKEN = 1_000

# --- arming --------------------------------------------------------------------------------------


def run_made(t: Turn, run: Run) -> None:
    promise = _of_run(run)
    if promise is not None:
        _arm_on_the_wall(t, run, Due.RUN_ALERT, run.run_id, promise)
        _arm_span(t, run, Due.RUN_ALERT, run.run_id, promise)


def run_again(t: Turn, run: Run) -> None:
    """A finished run goes on: what still lies ahead holds for it again, a span from now."""
    promise = _of_run(run)
    if promise is not None:
        _arm_on_the_wall(t, run, Due.RUN_ALERT, run.run_id, promise, again=True)
        _arm_span(t, run, Due.RUN_ALERT, run.run_id, promise)


def task_made(t: Turn, inst: Instance) -> None:
    """A time on the wall holds from the beginning of the run, whatever stands before the task."""
    assert inst.task.alert is not None
    _arm_on_the_wall(t, inst.run, Due.TASK_ALERT, inst.instance_id, inst.task.alert)


def task_ready(t: Turn, inst: Instance) -> None:
    """A span counts from its first ready."""
    assert inst.task.alert is not None
    _arm_span(t, inst.run, Due.TASK_ALERT, inst.instance_id, inst.task.alert)


def task_again(t: Turn, inst: Instance) -> None:
    """A rerun arms anew: what still lies ahead now, a span when it is ready."""
    assert inst.task.alert is not None
    _disarm(t, Due.TASK_ALERT, inst.instance_id)
    _arm_on_the_wall(t, inst.run, Due.TASK_ALERT, inst.instance_id, inst.task.alert, again=True)


def _of_run(run: Run) -> Promise | None:
    written = run.dag.options.get("deadline_alert")
    return None if written is None else typed.convert(written, Promise)


def _arm_on_the_wall(
    t: Turn, run: Run, kind: Due, subject_id: int, promise: Promise, *, again: bool = False
) -> None:
    if not promise.on_the_wall:
        return
    due = promise.instant(run.meta.end_us, run.meta.tz)
    if due <= t.now and (again or run.kind in BY_HAND or due < (run.dag.anchor or 0)):
        return  # nobody waits for it any more, or nobody ever did
    if due <= t.now - DAY and run.kind != BY_CLOCK:
        return
    _arm(t, kind, subject_id, Alarm(due, 0, promise.describe(run.meta.tz)))


def _arm_span(t: Turn, run: Run, kind: Due, subject_id: int, promise: Promise) -> None:
    if not promise.on_the_wall:
        said = promise.describe(run.meta.tz)
        _arm(t, kind, subject_id, Alarm(t.now + promise.after_us, promise.after_us, said))


def _arm(t: Turn, kind: Due, subject_id: int, alarm: Alarm) -> None:
    t.world.alarms[kind, subject_id] = alarm
    t.alarms[kind, subject_id] = None
    t.world.timer(alarm.due, kind, subject_id)


def _disarm(t: Turn, kind: Due, subject_id: int) -> None:
    if t.world.alarms.pop((kind, subject_id), None) is not None:
        t.alarms[kind, subject_id] = None


def shift(t: Turn, run: Run, by: Callable[[int], int]) -> None:
    """Move the spans of a run and its instances; `by` is asked with the instant each began."""
    for kind, subject_id in _subjects(run):
        alarm = t.world.alarms.get((kind, subject_id))
        if alarm is not None and alarm.span:
            _arm(t, kind, subject_id, alarm._replace(due=alarm.due + by(alarm.due - alarm.span)))


def _subjects(run: Run) -> Iterator[tuple[Due, int]]:
    yield Due.RUN_ALERT, run.run_id
    for inst in run.instances:
        if inst.task.alert is not None:
            yield Due.TASK_ALERT, inst.instance_id


# --- ringing -------------------------------------------------------------------------------------


def rung(t: Turn, kind: Due, subject_id: int, due: int) -> None:
    """The timer of an alarm; void when the alarm has gone or moved."""
    alarm = t.world.alarms.get((kind, subject_id))
    if alarm is None or alarm.due != due:
        return
    inst = t.world.instances.get(subject_id) if kind is Due.TASK_ALERT else None
    runs = t.world.runs if kind is Due.RUN_ALERT else {}
    run = inst.run if inst is not None else runs.get(subject_id)
    if run is None:  # a row that nobody owns: `doctor` names it
        return
    if not (alarm.span and run.dag.frozen):
        t.budget -= 1
        _ring(t, kind, subject_id, alarm, run, inst)


def run_over(t: Turn, run: Run) -> None:
    _over(t, Due.RUN_ALERT, run.run_id, run, None)


def task_over(t: Turn, inst: Instance) -> None:
    _over(t, Due.TASK_ALERT, inst.instance_id, inst.run, inst)


def _over(t: Turn, kind: Due, subject_id: int, run: Run, inst: Instance | None) -> None:
    """Its subject has ended: in time, or late before anybody had looked."""
    alarm = t.world.alarms.get((kind, subject_id))
    if alarm is None:
        return
    until = run.dag.paused if alarm.span and run.dag.frozen else t.now
    if alarm.due <= until:
        _ring(t, kind, subject_id, alarm, run, inst)
    else:
        _disarm(t, kind, subject_id)


class Payload(msgspec.Struct, frozen=True):
    """What programs read of an alert. Instants are ISO 8601, UTC."""

    dag: str
    run_id: str
    task: str | None
    map_index: int
    logical_date: str
    interval_start: str
    interval_end: str
    promise: str
    due: str
    fired: str
    state: str
    open: tuple[str, ...]


def _ring(t: Turn, kind: Due, subject_id: int, alarm: Alarm, run: Run, inst: Instance | None) -> None:
    _disarm(t, kind, subject_id)
    meta = run.meta
    name = run.dag.name if inst is None else f"{run.dag.name}.{_name(inst)}"
    still = tuple(islice((f"{_name(one)} ({one.state.value})" for one in _open(run, inst)), 4))
    state = run.state.value if inst is None else inst.state.value
    logical, due = _iso(meta.logical_us), _iso(alarm.due)
    what = f"run {run.run_id} of {name}" if inst is None else f"{name} in run {run.run_id}"
    more = ", ..." if len(still) > 3 else ""
    open_ = f", with {', '.join(still[:3])}{more}" if still else ""
    text = f"{what} ({logical}) is late: promised {alarm.said}, {due}, it is {state}{open_}"
    payload = Payload(
        dag=run.dag.name,
        run_id=str(run.run_id),
        task=None if inst is None else inst.task.name,
        map_index=-1 if inst is None else inst.map_index,
        logical_date=logical,
        interval_start=_iso(meta.start_us),
        interval_end=_iso(meta.end_us),
        promise=alarm.said,
        due=due,
        fired=_iso(t.now),
        state=state,
        open=still[:3],
    )
    owners, tags = raising.of_run(run, inst)
    raising.raise_alert(
        t, ALARMS[kind], f"{subject_id}:{alarm.due}", name, text, payload, run_id=run.run_id, promise=alarm.said,
        due=alarm.due, owners=owners, tags=tags,
    )  # fmt: skip


def _open(run: Run, inst: Instance | None) -> Iterator[Instance]:
    return iter(()) if inst is not None else (one for one in run.instances if one.state not in OVER)


def _name(inst: Instance) -> str:
    return inst.task.name if inst.map_index < 0 else f"{inst.task.name}[{inst.map_index}]"


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")


# --- what is done with alerts --------------------------------------------------------------------


def take(t: Turn, args: dict[str, Any]) -> Any:
    """{limit, by} -> {alerts: [...]}: the oldest new ones, which are `taken` from here on.

    Who takes them delivers them and acknowledges each: what was taken and never acknowledged still stands
    in the list.
    """
    limit = args.get("limit", 100)
    if type(limit) is not int or not 1 <= limit <= MOST_TAKEN:
        raise UsageError(f"a limit of {limit!r} cannot be: take 1 to {MOST_TAKEN} alerts at once")
    found = [each for each in t.fact("alerts_new", limit) if each["id"] not in t.changes.alerts_set]
    for each in found:
        _set(t, each["id"], "new", "taken", args.get("by") or "delivery")
    return {"alerts": [{**each, "id": str(each["id"]), "state": "taken"} for each in found]}


def acknowledge(t: Turn, args: dict[str, Any]) -> Any:
    """{alert_id, by} -> {alert_id, state}: somebody knows of it. A second time is refused."""
    alert_id = args["alert_id"]
    state = t.fact("alert", alert_id)
    if alert_id in t.changes.alerts_set:
        state = t.changes.alerts_set[alert_id][0]
    if state is None:
        raise NotFoundError(f"there is no alert {alert_id}: `bide alerts` lists them")
    if state == "acked":
        raise RefusedError(f"alert {alert_id} is acknowledged already")
    _set(t, alert_id, state, "acked", args.get("by") or "by hand")
    return {"alert_id": str(alert_id), "state": "acked"}


def _set(t: Turn, alert_id: int, was: str, now: str, reason: str) -> None:
    t.changes.alerts_set[alert_id] = (now, alert_id)
    t.journal("alert", alert_id, None, was, now, reason)
