"""Pauses: nothing of a DAG starts, and with `on_pause="freeze"` what it waits for stands still.

`DagState.paused` is the instant from which its time stands still. What began during the pause has
lost less than the whole of it, and is moved by that much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bide.runtime.engine import alerting, approving, backfills, life, runs, standing, waiting
from bide.runtime.engine.states import State
from bide.runtime.engine.turn import LOOKS, Slices, Turn
from bide.runtime.engine.world import DagState, Due, Instance, Run


def pause(t: Turn, dag: DagState, reason: str) -> Slices:
    """Nothing of it starts; its waits are suspended, their deadlines stand still (`on_pause`)."""
    if dag.paused:
        return
    dag.paused = t.now
    t.dirty_dags[dag.dag_id] = dag
    t.journal("dag", dag.dag_id, None, "active", "paused", reason)
    standing.disarm_all(t, dag, "paused")
    if dag.frozen:
        yield from _suspend(t, dag)


def unpause(t: Turn, dag: DagState, reason: str) -> Slices:
    """Go on: deadlines move by the length of the pause, waits are looked at, missed firings judged."""
    if not dag.paused:
        return
    frozen, paused = dag.frozen, dag.paused
    dag.paused = 0
    t.dirty_dags[dag.dag_id] = dag
    t.journal("dag", dag.dag_id, None, "paused", "active", reason)
    if frozen:
        yield from _thaw(t, dag, paused)
    backfills.wake_dag(t, dag)
    yield from runs.starting(t, dag)
    yield from let_go(t, dag)
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    t.catch_up(dag)
    standing.arm_all(t, dag)
    if (consumer := t.world.assets.consumers.get(dag.dag_id)) is not None:
        t.due_consumers.append(consumer)


def on_pause_changed(t: Turn, dag: DagState, *, frozen: bool) -> Slices:
    """Another `on_pause` was loaded; `frozen` is whether its time stood still before."""
    if dag.frozen == frozen:
        return
    if frozen:
        t.journal("dag", dag.dag_id, None, "paused", "paused", 'its waits go on (on_pause="run")')
        yield from _thaw(t, dag, dag.paused)
        return
    t.journal("dag", dag.dag_id, None, "paused", "paused", 'its waits stand still (on_pause="freeze")')
    dag.paused = t.now
    t.dirty_dags[dag.dag_id] = dag
    yield from _suspend(t, dag)


def let_go(t: Turn, dag: DagState) -> Slices:
    """Offer again what a pause or missing code held back."""
    held, dag.stuck = list(dag.stuck.values()), {}
    yield from life.unstick(t, held)


def runs_of(t: Turn, dag: DagState) -> list[Run]:
    """Its unfinished runs, oldest first."""
    return [t.world.runs[run_id] for run_id in sorted(dag.runs)]


def _suspend(t: Turn, dag: DagState) -> Slices:
    for inst in everyone(t, runs_of(t, dag)):
        for wait in waiting.open_waits(inst):
            t.budget -= 1
            waiting.disarm(t, wait, "paused")
        if t.budget <= 0:
            yield


def everyone(t: Turn, of: list[Run]) -> Iterator[Instance]:
    """The instances of these runs; merely looking at them has its price too."""
    for run in of:
        t.budget -= 1
        for seen, inst in enumerate(run.everyone(), 1):
            if not seen % LOOKS:
                t.budget -= 1
            yield inst


def _thaw(t: Turn, dag: DagState, paused: int) -> Slices:
    """Time goes on that has stood still since `paused`: deadlines move, waits are looked at."""

    def lost(begun: int) -> int:
        # an instant ahead of now was noted before the clock was put back: long before the pause
        return t.now - begun if paused < begun <= t.now else t.now - paused

    of = runs_of(t, dag)
    yield from shift(t, of, lost)
    for inst in everyone(t, of):
        if waiting.is_rescheduled(inst):
            if inst.state is State.DEFERRED:
                t.budget -= 1
                life.make_ready(t, inst, "looked at after the pause", resumed=True)
        elif inst.due is None:
            for wait in waiting.open_waits(inst):
                t.budget -= 1
                waiting.arm(t, wait)
        if t.budget <= 0:
            yield


def shift(t: Turn, of: list[Run], by: Callable[[int], int]) -> Slices:
    """Move every stored deadline and delay of these runs; `by` is asked with the instant it began."""
    world = t.world
    asked = approving.by_run(world)
    for run in of:
        if run.deadline is not None:
            run.deadline += by(run.created)
            t.dirty_runs[run.run_id] = run
            world.timer(run.deadline, Due.RUN, run.run_id)
        for inst in everyone(t, [run]):
            if inst.deadline is not None:
                inst.deadline += by(_deadline_begun(inst, inst.deadline))
                t.dirty[inst.instance_id] = inst
                world.timer(inst.deadline, Due.DEADLINE, inst.instance_id)
            if inst.due is not None:
                inst.due += by(inst.since)
                t.dirty[inst.instance_id] = inst
                world.timer(inst.due, Due.RETRY, inst.instance_id)
            for wait in waiting.open_waits(inst):
                t.budget -= 1
                wait.deadline += by(wait.created)
                t.write_wait(wait)
                world.timer(wait.deadline, Due.WAIT, wait.wait_id)
            if t.budget <= 0:
                yield
        if world.alarms:
            alerting.shift(t, run, by)
        approving.shift(t, asked.get(run.run_id, ()), by)


def _deadline_begun(inst: Instance, deadline: int) -> int:
    """When its total time began; earlier pauses have moved that on, never beyond a later one's start.

    A sensor that has begun to wait goes by its wait, which never begins during a pause.
    """
    if inst.task.deadline_us is None or (life.is_sensor(inst.task) and inst.attempt):
        return 0
    return deadline - inst.task.deadline_us
