"""The plan of a backfill: which intervals, what becomes of what is there, what it would write and cost.

A dry run. It asks a connection that may be read-only, writes nothing, and says the same each time it
is asked of the same database: its hash is of the graph, of what was asked for and of every interval.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND
from bide.runtime.engine.backfill_commands import MOST, check_request
from bide.runtime.engine.backfill_state import BackfillOptions
from bide.runtime.engine.backfills import is_kept, restricted
from bide.runtime.engine.states import RunState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.binding import references
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import render
from bide.runtime.graph.spec import DagSpec, Lane, TaskSpec
from bide.runtime.schedules import Firing, schedule_from_json
from bide.runtime.schedules.grid import PERIODS, firings_between, has_grid, periods_between
from bide.runtime.service.addresses import read_date, read_span
from bide.runtime.service.backfill_shapes import (
    BackfillPlan,
    BackfillRequest,
    PlannedInterval,
    PlannedPath,
    PlannedTask,
)
from bide.runtime.service.shapes import iso
from bide.runtime.store import backfill_reads as store
from bide.runtime.store.facts import runs_between

if TYPE_CHECKING:
    import sqlite3

_PATH_KEYS: Final = frozenset({"path", "paths", "uri", "url", "file", "files"})
_WHAT: Final = ("run", "overwrite", "skip", "refuse")


class Planned(msgspec.Struct, frozen=True):
    """A plan, and what the command that starts it is given."""

    plan: BackfillPlan
    options: BackfillOptions
    firings: list[Firing]


def plan(conn: sqlite3.Connection, request: BackfillRequest, now: int) -> Planned:
    """Plan a backfill. `UsageError` or `NotFoundError` for what cannot be meant."""
    dag = store.planned_dag(conn, request.dag)
    if dag is None:
        raise NotFoundError(f"there is no DAG {request.dag!r} in this database: `bide dags` lists them")
    if dag.removed:
        raise RefusedError(
            f"the DAG {request.dag!r} was removed: load its file again, then plan its backfill"
        )
    spec = typed.decode(dag.spec, DagSpec)
    notes: list[str] = []
    options = _options(request, dag, spec)
    firings = _firings(request, dag, spec, options, now, notes)
    graph = restricted(spec, options.tasks) if options.tasks else spec
    intervals = list(_judged(conn, dag, firings, options))
    counts = Counter(each.what for each in intervals)
    runs = counts["run"] + counts["overwrite"]
    params = {**spec.params, **options.params}
    took = store.durations(conn, dag.dag_id)
    if not took:
        notes.append("no run of it has succeeded yet: how long it takes is not known")
    return Planned(
        BackfillPlan(
            hash=_digest(dag.hash, options, intervals),
            request=request,
            max_active=options.max_active,
            runs=runs,
            counts={what: counts[what] for what in _WHAT},
            tasks=tuple(_task(task, _facts(spec, task, firings[0], params)) for task in graph.tasks),
            task_instances=runs * len(graph.tasks),
            assets=tuple(dict.fromkeys(name for task in graph.tasks for name in task.outlets)),
            overwrites=tuple(_paths(conn, dag, spec, graph, firings, intervals, params)),
            cost=_cost(graph, runs),
            seconds=None if not took else sum(took) / len(took) * -(-runs // options.max_active) / SECOND,
            notes=tuple(notes),
            intervals=tuple(intervals),
        ),
        options,
        firings,
    )


# --- what was asked for --------------------------------------------------------------------------


def _options(request: BackfillRequest, dag: store.PlannedDag, spec: DagSpec) -> BackfillOptions:
    for option, value, allowed in (
        ("order", request.order, ("oldest", "newest")),
        ("overwrite", request.overwrite, ("skip", "overwrite", "fail")),
    ):
        if value not in allowed:
            raise UsageError(f"{option} is {value!r}, and must be one of {', '.join(allowed)}")
    if request.max_active is not None and request.max_active < 1:
        raise UsageError(f"max_active is {request.max_active}, and must be 1 or more")
    if not 1 <= request.weight <= 100:
        raise UsageError(f"weight is {request.weight}, and must be 1 to 100")
    for asset, cap in request.asset_caps.items():
        if cap < 1:
            raise UsageError(f"the cap of the asset {asset!r} is {cap}, and must be 1 or more")
    _check_tasks(spec, request.tasks)
    check_request(spec, request.params, request.asset_caps)
    default = msgspec.json.decode(dag.options).get("max_active_runs", 1)
    return BackfillOptions(
        order=request.order,
        max_active=request.max_active or default,
        overwrite=request.overwrite,
        weight=request.weight,
        tasks=tuple(sorted(set(request.tasks))),
        params=request.params,
        asset_caps=request.asset_caps,
        every=request.every,
        from_us=read_date(request.from_, spec.tz),
        to_us=read_date(request.to, spec.tz),
    )


def _check_tasks(spec: DagSpec, chosen: tuple[str, ...]) -> None:
    """A part of a graph must have what it reads."""
    known = {task.name: task for task in spec.tasks}
    for name in chosen:
        if name not in known:
            raise NotFoundError(
                f"the DAG {spec.name!r} has no task {name!r}; it has: {', '.join(list(known)[:8])}"
            )
        missing = [up for up in references(known[name]) if up not in chosen]
        if missing:
            raise UsageError(
                f"the task {name!r} takes the output of {missing[0]!r}, which would not run: add {missing[0]} to its tasks"
            )


def _firings(
    request: BackfillRequest,
    dag: store.PlannedDag,
    spec: DagSpec,
    options: BackfillOptions,
    now: int,
    notes: list[str],
) -> list[Firing]:
    """The intervals in the order of the backfill; those that are not over yet are left out, and said."""
    lo, hi = options.from_us, options.to_us
    if hi <= lo:
        raise UsageError(f"`to`, {request.to}, is not after `from`, {request.from_}")
    schedule = schedule_from_json(dag.schedule)
    own = has_grid(schedule, dag.anchor_us)
    if request.every is None and not own:
        raise UsageError(
            f"the schedule of {spec.name!r} has no intervals of its own ({schedule.describe()}): say which with `every`, such as day"
        )
    if request.every is not None and own:
        raise UsageError(
            f"the schedule of {spec.name!r} has its own intervals ({schedule.describe()}): leave `every` out"
        )
    if request.every is None:
        found = firings_between(schedule, lo, hi, dag.anchor_us, MOST)
    else:
        every = request.every if request.every in PERIODS else read_span(request.every)
        if isinstance(every, int) and every < SECOND:
            raise UsageError("`every` is shorter than a second: a second is the least")
        found = periods_between(every, lo, hi, spec.tz, MOST)
    if len(found) > MOST:
        raise UsageError(
            f"that is more than the {MOST} intervals of one backfill: give a shorter span, start several"
        )
    over = [firing for firing in found if firing.fires_us <= now]
    if len(over) < len(found):
        notes.append(f"{len(found) - len(over)} intervals are not over yet: they are left to the schedule")
    if not over:
        raise UsageError(
            f"no interval of {spec.name!r} that is over begins from {request.from_} to {request.to}"
        )
    return over if options.order == "oldest" else over[::-1]


# --- what would come of it -----------------------------------------------------------------------


def _judged(
    conn: sqlite3.Connection, dag: store.PlannedDag, firings: list[Firing], options: BackfillOptions
) -> Iterator[PlannedInterval]:
    starts = [firing.start_us for firing in firings]
    there = runs_between(conn, dag.dag_id, min(starts), max(starts))
    for firing in firings:
        run_id, state = there.get(firing.start_us, (None, None))
        yield PlannedInterval(
            start=iso(firing.start_us),
            end=iso(firing.end_us),
            what=_what(state, options.overwrite),
            run_id=None if run_id is None else str(run_id),
            state=None if state is None else state.value,
        )


def _what(state: RunState | None, overwrite: str) -> str:
    if state is None:
        return "run"
    if is_kept(state, overwrite):
        return "refuse" if overwrite == "fail" else "skip"
    return "overwrite" if state is RunState.SUCCESS else "run"


def _facts(spec: DagSpec, task: TaskSpec, firing: Firing, params: dict[str, Any]) -> Facts:
    return Facts(
        dag=spec.name, task=task.name, run_id=0, logical_us=firing.start_us, start_us=firing.start_us,
        end_us=firing.end_us, scheduled_us=firing.fires_us, params=params, tz=spec.tz,
    )  # fmt: skip


def _rendered(template: str, facts: Facts) -> str:
    """A template over this interval; one that needs what only a run has stays as it was written."""
    if "{run_id" in template:
        return template
    try:
        return render(template, facts)
    except UsageError:
        return template


def _task(task: TaskSpec, facts: Facts) -> PlannedTask:
    waits = None
    if task.sensor is not None:
        waits = {
            key: _rendered(value, facts)
            for key, value in task.sensor.params.items()
            if isinstance(value, str) and value
        }
    return PlannedTask(
        task=task.name,
        lane=task.lane.value,
        outlets=tuple(_rendered(name, facts) for name in task.outlets),
        cost=dict(task.cost or {}),
        command=_rendered(task.shell.command, facts) if task.shell is not None else None,
        waits_for=waits,
    )


def _paths(
    conn: sqlite3.Connection,
    dag: store.PlannedDag,
    spec: DagSpec,
    graph: DagSpec,
    firings: list[Firing],
    intervals: list[PlannedInterval],
    params: dict[str, Any],
) -> Iterator[PlannedPath]:
    """What is written over: outlets that are templates of a path, and what former runs say they wrote."""
    going = {
        f.start_us: each
        for f, each in zip(firings, intervals, strict=True)
        if each.what in ("run", "overwrite")
    }
    templates = [(task, name) for task in graph.tasks for name in task.outlets if "{" in name]
    seen: set[tuple[int, str]] = set()
    for firing in firings if templates else ():
        if (each := going.get(firing.start_us)) is None:
            continue
        for task, name in templates:
            path = _rendered(name, _facts(spec, task, firing, params))
            seen.add((firing.start_us, path))
            yield PlannedPath(path=path, task=task.name, interval=each.start, run_id=each.run_id)
    if not any(each.what == "overwrite" for each in going.values()):
        return
    writers = {task.name for task in graph.tasks if task.lane is not Lane.WAIT}
    for output in store.recorded_outputs(conn, dag.dag_id, min(going), max(going)):
        each = going.get(output.logical_us)
        if each is None or output.task not in writers:
            continue
        for path in _paths_in(msgspec.json.decode(output.value)):
            if (output.logical_us, path) not in seen:
                yield PlannedPath(path=path, task=output.task, interval=each.start, run_id=str(output.run_id))


def _paths_in(value: Any, named: bool = False) -> Iterator[str]:
    """The paths that an output tells of: a text that looks like one, and what stands under a path's key."""
    if isinstance(value, str):
        if value and (named or (("/" in value or "://" in value) and not any(c.isspace() for c in value))):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _paths_in(each, named)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _PATH_KEYS:
                yield from _paths_in(each, named=True)


def _cost(graph: DagSpec, runs: int) -> dict[str, float]:
    cost: dict[str, float] = {}
    for task in graph.tasks:
        for budget, units in (task.cost or {}).items():
            cost[budget] = cost.get(budget, 0) + units
    return {budget: units * runs for budget, units in sorted(cost.items())}


def _digest(graph: str, options: BackfillOptions, intervals: list[PlannedInterval]) -> str:
    content = [
        graph,
        msgspec.structs.asdict(options),
        [(each.start, each.end, each.what, each.run_id) for each in intervals],
    ]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
