"""What died with the former process, settled by policy: the first turn of an epoch.

That an attempt is lost is a fact, not a guess: it bears an older epoch, and the lock says that its
process is gone (D13). Deadlines keep their original instants.
"""

from __future__ import annotations

from bide.runtime.engine import admission, backfills, bulk, life, mapping, plans, runs, standing, waiting
from bide.runtime.engine.assets import consuming, deliveries, guarding, invalidating, releasing, versions
from bide.runtime.engine.messages import OrphansKilled, Recover
from bide.runtime.engine.states import OVER, AttemptState, RunState, State, WaitState
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance
from bide.runtime.graph.spec import Lane

LOST = "its process died"


def orphans_killed(t: Turn, e: OrphansKilled) -> None:
    """Forget the processes of all earlier runtimes, of attempts that were over as well (I12)."""
    t.changes.processes_gone.extend((attempt_id,) for attempt_id in e.attempts)


def recover(t: Turn, e: Recover) -> None:
    running = frozenset(e.running)
    for run in list(t.world.runs.values()):
        if run.state is RunState.EXPANDING:
            runs.expand(t, run)
            continue
        if run.state is not RunState.RUNNING:
            continue
        for inst in list(run.everyone()):
            if inst.state not in OVER:
                _settle(t, inst, inst.attempt_id in running)
        if run.open == 0:
            t.ended_runs.append(run)
    for dag in t.world.dags.values():
        runs.start_queued(t, dag)
        t.catch_up(dag)
        standing.arm_all(t, dag)
    consuming.recover(t)
    deliveries.recover(t)
    releasing.recover(t)
    guarding.recover(t)
    invalidating.recover(t)
    bulk.recover(t)
    backfills.wake_all(t)
    plans.recover(t)


def _settle(t: Turn, inst: Instance, attempt_open: bool) -> None:
    if inst.state is State.MAPPED and inst.fan is not None:
        mapping.resume(t, inst.fan)
    elif life.is_sensor(inst.task):
        _settle_sensor(t, inst)
    elif inst.state is State.PENDING:
        life.judge(t, inst)
    elif attempt_open:
        _lose(t, inst)
    elif inst.state is State.READY:
        life.offer(t, inst, resumed=inst.inherits or inst.body is not None)
    elif inst.state is State.DEFERRED:  # parked when an earlier process died; still nobody's body
        for wait in waiting.open_waits(inst):
            waiting.arm(t, wait)


def _settle_sensor(t: Turn, inst: Instance) -> None:
    """A sensor has no body: nothing of it is lost, its wait goes on where it stands."""
    if inst.state is State.PENDING:
        life.judge(t, inst)
    elif inst.state is State.READY:
        life.offer(t, inst, resumed=inst.wait is not None)
    elif inst.state is State.RUNNING:
        life.make_ready(t, inst, "goes on after a restart", resumed=True)
    elif inst.state is State.DEFERRED and inst.wait is not None and inst.due is None:
        waiting.arm(t, inst.wait)


def _lose(t: Turn, inst: Instance) -> None:
    """A body has died: started again if it may be, else left for a person (P5)."""
    assert inst.attempt_id is not None
    t.end_attempt(inst, inst.attempt_id, AttemptState.LOST, error=LOST)
    if inst.task.outlets:
        versions.attempt_over(t, inst.attempt_id, LOST)
    if inst.task.lane in (Lane.PROCESS, Lane.SHELL):  # killed before this turn, should it have lived on
        t.changes.processes_gone.append((inst.attempt_id,))
    if deliveries.is_wrong(t.world, inst):
        return _give_up(t, inst, f"{LOST}, and what it delivers was found wrong: rerun, mark or cancel it")
    if not inst.task.idempotent:
        return _give_up(t, inst, f"{LOST}, and it is not idempotent: rerun, mark or cancel it")
    if inst.state is State.RUNNING:
        inst.lost += 1
        if inst.lost > inst.task.max_lost:
            return _give_up(t, inst, f"{LOST} {inst.lost} times in a row: rerun, mark or cancel it")
    inst.inherits = True
    for wait in waiting.open_waits(inst):
        waiting.arm(t, wait)
    if inst.state is State.RUNNING:
        life.make_ready(t, inst, LOST, resumed=True)
    elif inst.state is State.READY:
        life.offer(t, inst, resumed=True)
    return None


def _give_up(t: Turn, inst: Instance, reason: str) -> None:
    waiting.close_waits(t, inst, WaitState.CANCELLED, reason)
    t.move(inst, State.LOST, reason)
    admission.give_life(t, inst)
    waiting.announce(t, inst)
