"""What DAG files say that can be run and will be regretted: warnings, each with its reason and a code.

Nothing here is an error: what can never run is refused when it is declared or loaded. Looks at the
declarations alone, and at the next firings of their schedules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

import msgspec

from bide.runtime.errors import BideError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.schedules import Firing, OnAssets, Schedule

LOOKED_AT: Final = 12
"""Firings of a schedule that are looked at: half a day of hours, most of a year of months."""
_DAY_US: Final = 86_400_000_000


class Warn(msgspec.Struct, frozen=True):
    """`code` is stable; `dag` and `task` are "" for what concerns no one DAG, or the whole of it; `file` then says where."""

    code: str
    dag: str
    task: str
    message: str
    level: str = "warning"
    file: str = ""


def lint(dags: Sequence[Dag], now_us: int, guarded: Collection[tuple[str, str]] = frozenset()) -> list[Warn]:
    """The warnings about these DAGs, in their order.

    `guarded`: (DAG, asset) of what a DAG reads under a contract that does not let it begin too early.
    """
    producers = {name: dag for dag in dags for task in dag.spec.tasks for name in task.outlets}
    by_name = {dag.name: dag for dag in dags}
    found: list[Warn] = []
    for dag in dags:
        firings = _firings(dag.schedule, now_us)
        found += _offsets(dag, firings, by_name, producers, now_us, guarded)
        found += _deadlines(dag, firings)
        found += _periods(dag, firings)
    from bide.runtime.graph.asset_lint import asset_warnings

    return [*found, *asset_warnings(dags)]


# --- a time offset between DAGs (S3-23) -----------------------------------------------------------


def _offsets(
    dag: Dag,
    firings: list[Firing],
    by_name: dict[str, Dag],
    producers: dict[str, Dag],
    now_us: int,
    guarded: Collection[tuple[str, str]],
) -> Iterator[Warn]:
    """A DAG that is timed to come some minutes after another one, whose data it reads."""
    waited = set()
    for task in dag.spec.tasks:
        if task.sensor is None or task.sensor.trigger != "external_task":
            continue
        other = by_name.get(str(task.sensor.params.get("dag")))
        if other is None:
            continue
        waited.add(other.name)
        offset, delta = _offset(firings, other.schedule, now_us), task.sensor.params.get("delta_us")
        if offset is not None and isinstance(delta, int) and delta and abs(delta) == offset:
            yield Warn(
                "time-offset", dag.name, task.name,
                f"its delta of {_span(delta)} is how long {dag.name!r} is timed after {other.name!r}: a change of "
                f"either schedule breaks it; give both the same interval and leave delta out, or {_instead(other)}",
            )  # fmt: skip
    for other, assets in _read(dag, producers, guarded).items():
        if other.name in waited or any(part.event for part in dag.schedule.parts()):
            continue
        told = ", ".join(assets[:3])
        if timer := _time_sensor(dag):
            yield Warn(
                "time-offset", dag.name, timer,
                f"it waits for a time, and {dag.name!r} reads {told}, which {other.name!r} makes: on a slow day it "
                f"reads what is not there yet; {_instead(other)}",
            )  # fmt: skip
        elif (offset := _offset(firings, other.schedule, now_us)) is not None:
            yield Warn(
                "time-offset", dag.name, "",
                f"it is timed {_span(offset)} after {other.name!r} and reads {told}, which that makes: on a slow day "
                f"it reads what is not there yet; {_instead(other)}",
            )  # fmt: skip


def _instead(other: Dag) -> str:
    return f"let it follow what {other.name!r} makes with OnAssets(...), or wait for it with an ExternalTaskSensor"


def _read(dag: Dag, producers: dict[str, Dag], guarded: Collection[tuple[str, str]]) -> dict[Dag, list[str]]:
    """The other DAGs that make what this one reads without a guard: DAG -> names."""
    found: dict[Dag, list[str]] = {}
    for task in dag.spec.tasks:
        for name in task.inlets:
            maker = producers.get(name)
            if maker is None or maker is dag or (dag.name, name) in guarded:
                continue
            if name not in found.setdefault(maker, []):
                found[maker].append(name)
    return found


def _time_sensor(dag: Dag) -> str:
    """The first task that waits for an instant, "" when none does."""
    return next((task.name for task in dag.spec.tasks if task.sensor and task.sensor.trigger == "time"), "")


def _offset(firings: list[Firing], other: Schedule, now_us: int) -> int | None:
    """By how much these firings always come after the other's last one; None when they do not."""
    found = set()
    for firing in firings:
        before = other.last_until(firing.fires_us, now_us)
        if before is None or firing.fires_us - before.fires_us >= _DAY_US:
            return None
        found.add(firing.fires_us - before.fires_us)
    offset = found.pop() if len(found) == 1 else 0
    return offset or None


# --- deadlines ------------------------------------------------------------------------------------


def _deadlines(dag: Dag, firings: list[Firing]) -> Iterator[Warn]:
    """A deadline that passes before what is waited for can be, or before its sensor gives up."""
    run_us = dag.spec.deadline_us
    tasks = {task.name: task for task in dag.spec.tasks}
    for task in dag.spec.tasks:
        sensor = task.sensor
        if sensor is None:
            continue
        if task.deadline_us is not None and sensor.timeout_given and task.deadline_us < sensor.timeout_us:
            yield Warn(
                "deadline-before-timeout", dag.name, task.name,
                f"its deadline of {_span(task.deadline_us)} ends it before its timeout of {_span(sensor.timeout_us)} "
                "can: leave one of them out",
            )  # fmt: skip
        if run_us is None:
            continue
        late = _not_before(dag, task, firings)
        if late is not None and late > run_us:
            yield Warn(
                "deadline-before-wait", dag.name, task.name,
                f"it waits for {_span(late)} from the firing, and the run's deadline of {_span(run_us)} is over before: "
                "every run fails; give it a longer deadline",
            )  # fmt: skip
        elif sensor.timeout_given and run_us < sensor.timeout_us:
            yield Warn(
                "deadline-before-timeout", dag.name, task.name,
                f"the run's deadline of {_span(run_us)} is over before its timeout of {_span(sensor.timeout_us)}: what "
                "on_timeout and soft_fail say never happens; make the timeout shorter, or the deadline longer",
            )  # fmt: skip
    for task in dag.spec.tasks:
        for name in task.upstream:
            yield from _promised(dag, task, tasks[name])
        if task.promises and not firings and not _gathers_periods(dag.schedule):
            told = ", ".join(task.promises)
            yield Warn(
                "promise-unjudged", dag.name, task.name,
                f"{told} is promised for each interval, and {dag.name!r} has no schedule that says which those are: "
                "nobody will ever be told that it is late; give the DAG times, or OnAssets(..., interval=...)",
            )  # fmt: skip


def _gathers_periods(schedule: Schedule) -> bool:
    return any(isinstance(part, OnAssets) and part.interval is not None for part in schedule.parts())


def _promised(dag: Dag, task: TaskSpec, up: TaskSpec) -> Iterator[Warn]:
    """A task that is said to be late before the one it stands after is."""
    mine, theirs = task.alert, up.alert
    if mine is None or theirs is None or not mine.is_before(dag.tz, theirs, dag.tz):
        return
    yield Warn(
        "deadline-before-upstream", dag.name, task.name,
        f"it is promised {mine.describe(dag.tz)}, and {up.name!r}, which it stands after, {theirs.describe(dag.tz)}: "
        "it will be late whenever that is in time",
    )  # fmt: skip


def _not_before(dag: Dag, task: TaskSpec, firings: list[Firing]) -> int | None:
    """How long after a firing the wait can be over at the earliest, the least of all; None: not known."""
    build = dag.code[task.name].build if task.name in dag.code else None
    if build is None or not firings or task.sensor is None or task.sensor.trigger != "time":
        return None
    found = []
    for firing in firings:
        facts = Facts(
            dag=dag.name, task=task.name, run_id=0, logical_us=firing.start_us, start_us=firing.start_us,
            end_us=firing.end_us, scheduled_us=firing.fires_us, tz=dag.tz, params=dict(dag.spec.params),
        )  # fmt: skip
        try:
            at_us = build(task.sensor.params, facts).not_before()
        except (BideError, KeyError, TypeError, ValueError, AttributeError):  # known to a run alone
            return None
        if at_us is None:
            return None
        found.append(at_us - firing.fires_us)
    return min(found)


# --- timeouts and periods --------------------------------------------------------------------------


def _periods(dag: Dag, firings: list[Firing]) -> Iterator[Warn]:
    """A sensor that may still wait when the next run, and the one after it, is due."""
    if len(firings) < 2:
        return
    period = min(after.fires_us - before.fires_us for before, after in pairwise(firings))
    for task in dag.spec.tasks:
        sensor = task.sensor
        if sensor is None or sensor.trigger == "time" or sensor.timeout_us <= period:
            continue
        given = "" if sensor.timeout_given else ", the default"
        overlap = dag.options.get("overlap", "queue_one")
        queued = {
            "queue_all": "runs pile up behind it",
            "queue_one": "all firings but one are not run meanwhile",
            "skip": "the firings meanwhile are not run",
            "cancel_running": "each firing cancels the one that waits",
        }.get(str(overlap), "runs pile up behind it")
        yield Warn(
            "timeout-over-period", dag.name, task.name,
            f"it may wait for {_span(sensor.timeout_us)}{given}, and {dag.name!r} is due every {_span(period)}: "
            f"{queued} (overlap={overlap}); give it a timeout below the period",
        )  # fmt: skip


def _firings(schedule: Schedule, now_us: int) -> list[Firing]:
    found: list[Firing] = []
    at = now_us
    while len(found) < LOOKED_AT:
        firing = schedule.next_after(at, now_us)
        if firing is None:
            break
        found.append(firing)
        at = firing.fires_us
    return found


def _span(us: int) -> str:
    return str(timedelta(microseconds=abs(us)))


def as_words(warn: Warn) -> str:
    """`orders.wait: ... [time-offset]`, for a log."""
    who = f"{warn.dag}{f'.{warn.task}' if warn.task else ''}" or warn.file
    return f"{f'{who}: ' if who else ''}{warn.message} [{warn.code}]"
