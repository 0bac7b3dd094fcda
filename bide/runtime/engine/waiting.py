"""Waits as the engine holds them: opened, armed with a source or watched by the engine, closed.

Waits of the kinds `external_task` and `asset` are seen by the engine itself: the commit that moves the
other instance, or publishes the version, wakes them. All others are armed with the triggerer.
"""

from __future__ import annotations

from bide.runtime import typed
from bide.runtime.clock import LAST_US
from bide.runtime.engine import covering
from bide.runtime.engine.assets import waits as assets
from bide.runtime.engine.messages import Arm, Disarm, LookOnce
from bide.runtime.engine.states import State, WaitState
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import DagState, Due, Instance, Wait, Watched
from bide.runtime.graph.spec import Mode
from bide.triggers.asset import AssetTrigger
from bide.triggers.external_task import ExternalTaskTrigger

EXTERNAL = "external_task"
ASSET = assets.ASSET
SEEN_HERE = frozenset({EXTERNAL, ASSET})
"""Kinds that the engine sees itself: no source holds them."""


def open_wait(t: Turn, inst: Instance, attempt_id: int, key: str, trigger: bytes, kind: str, deadline: int,
              poll: int) -> Wait:  # fmt: skip
    """A new row and its deadline. Nothing sees it yet: `arm` does that."""
    wait = Wait(t.world.take_id("wait"), inst, attempt_id, key, trigger, kind, t.now, deadline, poll)
    t.new_wait(wait)
    t.world.timer(deadline, Due.WAIT, wait.wait_id)
    return wait


def deadline_us(now: int, timeout_us: int, not_before_us: int | None) -> int:
    """When a wait that begins now gives up.

    A time-out that nobody asked for counts from when the wait can first be over, where that is
    known: a default must not end a wait for the day after tomorrow today.
    """
    since = now if not_before_us is None else max(now, not_before_us)
    return min(since + timeout_us, LAST_US)


def arm(t: Turn, wait: Wait) -> None:
    """Have it seen: by its source, or by the engine."""
    if wait.armed or wait.last_look or wait.inst.run.dag.frozen:
        return
    wait.armed = True
    if wait.kind == EXTERNAL:
        watch(t, wait)
        return
    if wait.kind == ASSET:
        assets.watch(t, wait)
        return
    inst = wait.inst
    sensor = inst.task.sensor
    backoff = sensor.backoff if sensor is not None else 1.0
    t.effects.append(
        Arm(wait.wait_id, wait.attempt_id, inst.run.dag.name, inst.task.name, wait.trigger, wait.poll, backoff,
            wait.deadline)
    )  # fmt: skip


def is_rescheduled(inst: Instance) -> bool:
    """Whether its waits are looked at one by one, with a slot for each look, and never armed."""
    return inst.task.sensor is not None and inst.task.sensor.mode is Mode.RESCHEDULE


def disarm(t: Turn, wait: Wait, reason: str) -> None:
    """Take it from whoever sees it; the row is not touched."""
    if not wait.armed:
        return
    wait.armed = False
    if wait.kind == ASSET:
        assets.unwatch(t.world, wait)
        return
    if wait.kind == EXTERNAL:
        trigger = decode_external(wait.trigger)
        if trigger.until_us is not None:
            covering.unwatch(t.world, wait, trigger)
            return
        key = watched_key(trigger)
        waiters = t.world.watched.get(key)
        if waiters is not None:
            waiters.pop(wait.wait_id, None)
            if not waiters:
                del t.world.watched[key]
        return
    t.effects.append(Disarm(wait.wait_id, reason))


def close_wait(t: Turn, wait: Wait, state: WaitState, reason: str) -> None:
    """End a wait and take it from its source."""
    if wait.ended:
        return
    disarm(t, wait, state.value)
    t.end_wait(wait, state, reason)


def close_waits(t: Turn, inst: Instance, state: WaitState, reason: str) -> None:
    """End every wait that the instance still has open."""
    if inst.wait is not None:
        close_wait(t, inst.wait, state, reason)
        inst.wait = None
    if inst.waits:
        for wait in inst.waits.values():
            close_wait(t, wait, state, reason)
        inst.waits = None


def look_once(t: Turn, wait: Wait) -> None:
    """One look at a wait that is not armed; the answer comes as an input."""
    inst = wait.inst
    t.effects.append(LookOnce(wait.wait_id, wait.attempt_id, inst.run.dag.name, inst.task.name, wait.trigger))


def open_waits(inst: Instance) -> list[Wait]:
    """What the instance waits for now."""
    found = [inst.wait] if inst.wait is not None and not inst.wait.ended else []
    if inst.waits:
        found += [wait for wait in inst.waits.values() if not wait.ended]
    return found


# --- external tasks: the engine is the source ----------------------------------------------------


def decode_seen(wait: Wait) -> ExternalTaskTrigger | AssetTrigger:
    """The trigger of a wait that the engine sees itself."""
    return decode_external(wait.trigger) if wait.kind == EXTERNAL else assets.decode_asset(wait.trigger)


def decode_external(trigger: bytes) -> ExternalTaskTrigger:
    return typed.decode(trigger, ExternalTaskTrigger)


def is_of_one_run(wait: Wait) -> bool:
    """Whether it waits for one run of another DAG, or a task of that."""
    return wait.kind == EXTERNAL and decode_external(wait.trigger).until_us is None


def watched_of(wait: Wait) -> Watched:
    return watched_key(decode_external(wait.trigger))


def watched_key(trigger: ExternalTaskTrigger) -> Watched:
    return (trigger.dag, trigger.task, trigger.logical_us)


def watch(t: Turn, wait: Wait) -> None:
    """Wake this wait at every end of what it looks at; an end that already is counts as well.

    A run that is not in the world is over or has not begun: the loop asks the database
    (`t.questions`) and offers the answer as `Found`.
    """
    trigger = decode_external(wait.trigger)
    if trigger.until_us is not None:
        covering.watch(t, wait, trigger)
        return
    key = watched_key(trigger)
    t.world.watched.setdefault(key, {})[wait.wait_id] = wait
    dag = t.world.dags.get(trigger.dag)
    if dag is None:
        return
    run_id = t.world.run_at.get((dag.dag_id, trigger.logical_us))
    run = t.world.runs.get(run_id) if run_id is not None else None
    if run is None:
        t.questions[key] = None
        return
    if trigger.task is None:
        return
    ix = run.compiled.index.get(trigger.task)
    if ix is None:
        t.questions[key] = None
    elif ix < len(run.instances):
        state = run.instances[ix].state
        if state in WATCHED_ENDS:
            t.announced.append((key, state.value))


def ask_again(t: Turn, dag: DagState) -> None:
    """The graph of a DAG is another one: have those judged that wait for a task it does not have."""
    index = dag.compiled.index if dag.compiled is not None else {}
    for key in t.world.watched:
        if key[0] == dag.name and key[1] is not None and key[1] not in index:
            t.questions[key] = None


def is_missing(t: Turn, dag: str, task: str | None, logical_us: int) -> bool:
    """Whether the graph of that date, of its run or else the newest, has no such task (C27)."""
    there = t.world.dags.get(dag)
    if there is None or there.compiled is None or task is None:
        return False
    run = t.world.runs.get(t.world.run_at.get((there.dag_id, logical_us), 0))
    return task not in (there.compiled if run is None else run.compiled).index


WATCHED_ENDS = frozenset(
    {State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED, State.LOST}
)


def announce(t: Turn, inst: Instance) -> None:
    """Say that an instance has come to an end (or is lost), if anybody waits for that."""
    if inst.run.unseen:
        return
    if t.world.covering and inst.map_index < 0:
        covering.ended(t, inst.run, inst.task.name)
    watched = t.world.watched
    if watched and inst.map_index < 0:  # of a mapped task: the whole of it
        key = (inst.run.dag.name, inst.task.name, inst.run.meta.logical_us)
        if key in watched:
            t.announced.append((key, inst.state.value))
