"""Runs: made with their whole graph, queued for a place, started, ended."""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from bide.runtime.engine import alerting, backfills, control, covering, handling, life, past, plans
from bide.runtime.engine.messages import RunEnded, RunMeta, RunOpened
from bide.runtime.engine.states import OVER, RUN_OVER, RunState, State
from bide.runtime.engine.turn import LOOKS, Slices, Turn, at_once
from bide.runtime.engine.world import DagState, Due, Instance, Run, World
from bide.runtime.graph.compile import Compiled
from bide.runtime.graph.rules import Verdict, verdict
from bide.runtime.graph.spec import Role
from bide.runtime.schedules import Firing

CHUNK = 2_000
"""Instances written in one turn: more of them are created in the state `expanding`."""


def create_run(t: Turn, dag: DagState, *, kind: str, run_key: str, firing: Firing, params: dict[str, object],
               reason: str, graph: tuple[int, Compiled] | None = None) -> Run:  # fmt: skip
    """A new run on the newest version (or on `graph`, a version by id), with all its instances.

    The caller knows its key is free.
    """
    world = t.world
    assert dag.compiled is not None
    assert dag.version_id is not None
    version_id, compiled = graph if graph is not None else (dag.version_id, dag.compiled)
    run_id = world.take_id("run")
    encoded = msgspec.json.encode(params)
    meta = RunMeta(
        run_id, dag.name, firing.start_us, firing.start_us, firing.end_us, firing.fires_us, encoded, dag.tz
    )
    run = Run(run_id, dag, version_id, compiled, meta)
    run.kind = kind
    run.state = RunState.EXPANDING
    run.created = t.now
    run.open = len(compiled.tasks)
    run.reason = reason
    span: int | None = dag.options.get("deadline_us")
    if span is not None:
        run.deadline = t.now + span
        world.timer(run.deadline, Due.RUN, run_id)
    alerting.run_made(t, run)
    t.changes.runs_new.append(
        (run_id, dag.dag_id, version_id, run.state.value, kind, run_key, meta.logical_us, meta.start_us,
         meta.end_us, meta.scheduled_us, encoded.decode(), t.now, run.deadline, reason)
    )  # fmt: skip
    t.journal("run", run_id, run_id, "", run.state.value, reason)
    world.runs[run_id] = run
    dag.runs.add(run_id)
    if run.apart:
        dag.owned.add(run_id)
    if not run.unseen:
        world.run_at[dag.dag_id, meta.logical_us] = run_id
    t.effects.append(RunOpened(meta))
    expand(t, run)
    return run


def expand(t: Turn, run: Run) -> None:
    """Go on creating the instances of a run, over as many turns as it takes."""
    t.later(_Expand(run))


class _Expand:
    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run

    def __call__(self, t: Turn) -> bool:
        run, world = self.run, t.world
        if run.state is not RunState.EXPANDING:
            return True
        tasks = run.compiled.tasks
        first = len(run.instances)
        until = min(first + min(CHUNK, t.budget), len(tasks))
        t.budget -= until - first
        pending = State.PENDING.value
        rows = t.changes.instances_new
        instances, by_id = run.instances, world.instances
        instance_id = world.next_id["instance"]
        for ix in range(first, until):
            inst = Instance(instance_id, run, ix, t.now)
            instances.append(inst)
            by_id[instance_id] = inst
            rows.append((instance_id, run.run_id, tasks[ix].name, -1, pending, t.now))
            if tasks[ix].alert is not None:
                alerting.task_made(t, inst)
            instance_id += 1
        world.next_id["instance"] = instance_id
        if until < len(tasks):
            return False
        t.move_run(run, RunState.QUEUED, run.reason)
        queue(run)
        start_queued(t, run.dag)
        return True


def queue(run: Run) -> None:
    """A run waits for its place: a live one among those of its DAG, one of a backfill has its own."""
    if run.backfill is not None or run.apart:
        run.dag.backfilled[run.run_id] = run
    else:
        heappush(run.dag.queued, (run.meta.logical_us if run.dag.in_order else 0, run.run_id))


def queue_anew(world: World, dag: DagState) -> None:
    """A DAG has another graph: its queued runs go by their dates if one of its tasks depends on its past."""
    in_order = dag.compiled is not None and dag.compiled.in_order
    if in_order == dag.in_order:
        return
    dag.in_order = in_order
    left, dag.queued = dag.queued, []
    for _, run_id in left:
        if (run := world.runs.get(run_id)) is not None and run.state is RunState.QUEUED:
            queue(run)


def start_queued(t: Turn, dag: DagState) -> None:
    """Start queued runs in this slice: as many as the end of another makes room for."""
    at_once(starting(t, dag))


def starting(t: Turn, dag: DagState) -> Slices:
    """Start queued runs, oldest first (of a DAG that goes by its past: of the earliest date first).

    As many as the DAG has room for, and none while it is paused.
    """
    if t.world.dormant or t.world.slots.closed:
        return
    cap = dag.options.get("max_active_runs", 1)
    while dag.queued and dag.active_runs < cap and not dag.paused:
        run = t.world.runs.get(heappop(dag.queued)[1])
        if run is None or run.state is not RunState.QUEUED:
            continue
        dag.active_runs += 1
        _start(t, run)
        t.budget -= 1
        if t.budget <= 0:
            yield
    if dag.backfilled and not dag.paused:
        for run in [run for run in dag.backfilled.values() if backfills.may_start(run)]:
            del dag.backfilled[run.run_id]
            _start(t, run)


def _start(t: Turn, run: Run) -> None:
    run.started = t.now
    t.move_run(run, RunState.RUNNING, run.reason)
    t.later(_Roots(run))
    if run.open == 0:
        t.ended_runs.append(run)


class _Roots:
    """Makes ready what waits for nothing, a few at a time."""

    __slots__ = ("at", "run")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.at = 0

    def __call__(self, t: Turn) -> bool:
        run = self.run
        instances, waiting = run.instances, run.compiled.waiting
        while self.at < len(instances):
            if t.budget <= 0:
                return False
            inst = instances[self.at]
            self.at += 1
            if not self.at % LOOKS:
                t.budget -= 1
            if inst.state is not State.PENDING:
                continue
            if inst.task.role is not Role.TASK:
                continue
            if not waiting[inst.ix] or verdict(inst.task.rule, waiting[inst.ix], 0, 0, 0) is Verdict.RUN:
                t.budget -= 1
                life.let_start(t, inst)
        return True


def end_run(t: Turn, run: Run) -> None:
    """Every instance has ended: so has the run. Failed when one failed, however others ended."""
    if run.open or run.state in RUN_OVER:
        return
    _free_place(run)
    if run.closing:
        t.changes.closing_gone.append((run.run_id,))
        reason, run.closing = run.closing, ""
        t.move_run(run, RunState.CANCELLED, reason)
    elif run.bad:
        t.move_run(run, RunState.FAILED, handling.ended_words(run))
    elif run.instances and handling.all_cancelled(run):
        t.move_run(run, RunState.CANCELLED, "every task was cancelled")
    else:
        t.move_run(run, RunState.SUCCESS, "")
    leave(t, run)


def _free_place(run: Run) -> None:
    if run.state is RunState.RUNNING and run.backfill is None and not run.apart:
        run.dag.active_runs -= 1


def leave(t: Turn, run: Run) -> None:
    """A run that is over leaves the world; who waits for it hears of it."""
    world, dag = t.world, run.dag
    if world.alarms:
        alerting.run_over(t, run)
    del world.runs[run.run_id]
    dag.runs.discard(run.run_id)
    dag.backfilled.pop(run.run_id, None)
    where = (dag.dag_id, run.meta.logical_us)
    if world.run_at.get(where) == run.run_id:
        del world.run_at[where]
    for inst in run.instances:
        world.instances.pop(inst.instance_id, None)
    if (consumer := world.assets.consumers.get(dag.dag_id)) is not None:
        consumer.open_runs.discard(run.run_id)
        t.due_consumers.append(consumer)
    if world.past:
        past.left(t, run)
    t.effects.append(RunEnded(run.run_id, run.state.value))
    if world.covering and not run.unseen:
        covering.ended(t, run, None)
    key = (dag.name, None, run.meta.logical_us)
    if key in world.watched and not run.unseen:
        t.announced.append((key, run.state.value))
    if run.backfill is not None:
        backfills.run_ended(t, run)
    if run.apart:
        dag.owned.discard(run.run_id)
        plans.run_ended(t, run)
    start_queued(t, dag)
    t.catch_up(dag)


def overdue(t: Turn, run: Run) -> Slices:
    """Its deadline passed: what has not ended fails with that reason, and so does the run.

    Handlers and callbacks of a run that has begun are there for that: they start, or go on.
    """
    reason = "the deadline of the run passed"
    owed = {inst.ix for inst in control.owed(run)}
    for inst in run.instances:
        if (
            inst.state not in OVER
            and inst.ix not in owed
            and (run.state is not RunState.RUNNING or inst.task.role is Role.TASK)
        ):
            yield from life.ending(t, inst, State.FAILED, reason)
    if run.state is RunState.EXPANDING:
        yield from cancel_run(t, run, reason)
    elif run.state is RunState.QUEUED:
        t.ended_runs = [ended for ended in t.ended_runs if ended is not run]
        t.move_run(run, RunState.FAILED, reason)
        leave(t, run)


def cancel_run(t: Turn, run: Run, reason: str) -> Slices:
    """Cancel all of it in one transaction: nothing of it starts from here on (P12), but tear-downs.

    Those whose set-up has succeeded go on, and the run is cancelled when they have ended; a second
    cancel ends them as well.
    """
    owed = [] if run.closing else control.owed(run)
    if not owed:
        _free_place(run)
    spared = {inst.ix for inst in owed}
    for inst in run.instances:
        if inst.state not in OVER and inst.ix not in spared:
            yield from life.ending(t, inst, State.CANCELLED, reason)
    if owed:
        run.closing = reason
        t.changes.closing.append((run.run_id, reason))
        t.move_on(run, f"{control.CLOSING}: {reason}")
        if run.backfill is not None:
            backfills.let_go(t, run, reason)
        return
    if run.closing:
        run.closing = ""
        t.changes.closing_gone.append((run.run_id,))
    run.open = 0
    t.ended_runs = [ended for ended in t.ended_runs if ended is not run]
    if run.state not in RUN_OVER:
        t.move_run(run, RunState.CANCELLED, reason)
        leave(t, run)
