"""DAGs: loaded, removed, paused; and the firings of their schedules, missed ones included."""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime.engine import life, runs, waiting
from bide.runtime.engine.messages import DagLoaded, DagRemoved
from bide.runtime.engine.turn import Turn, dag_options
from bide.runtime.engine.world import DagState, Due, Run
from bide.runtime.graph.compile import compile_spec
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import Firing, schedule_from_json

MOST_FIRINGS = 100_000
"""Missed firings that are looked at in one go; more than that is a clock that was wrong."""


def dag_loaded(t: Turn, e: DagLoaded) -> None:
    """A DAG's file has been loaded: a new version if its graph is new, and its code is here."""
    world = t.world
    dag = world.dags.get(e.dag)
    if dag is None:
        dag = DagState(world.take_id("dag"), e.dag)
        world.dags[e.dag] = dag
        t.journal("dag", dag.dag_id, None, "", "loaded", "first seen")
    known = dag.version_id
    if known is not None and dag.hash != e.hash:
        known = t.fact("version", dag.dag_id, e.hash)
    written = dag.version_id, dag.schedule_json, dag_options(dag), dag.removed
    spec = msgspec.json.decode(e.spec, type=DagSpec)
    if dag.hash != e.hash or dag.compiled is None:
        version_id = known if known is not None else _new_version(t, dag, e)
        dag.version_id = version_id
        dag.hash = e.hash
        dag.compiled = world.compiled.setdefault(version_id, compile_spec(spec))
        dag.resources.clear()
    dag.tz = spec.tz
    dag.removed = False
    dag.options = e.options
    schedule_json = e.schedule.decode()
    new_schedule = schedule_json != dag.schedule_json or dag.schedule is None
    dag.schedule_json = schedule_json
    dag.schedule = schedule_from_json(schedule_json)
    dag.code = frozenset(task.name for task in spec.tasks)
    dag.code_error = ""
    if dag.anchor is None:
        dag.anchor = t.now
    if new_schedule or dag.next_fires is None:
        _aim(t, dag)
    if written != (dag.version_id, dag.schedule_json, dag_options(dag), dag.removed):
        t.dirty_dags[dag.dag_id] = dag
    runs.start_queued(t, dag)
    _let_go(t, dag)


def _new_version(t: Turn, dag: DagState, e: DagLoaded) -> int:
    version_id = t.world.take_id("version")
    t.changes.versions_new.append((version_id, dag.dag_id, e.hash, e.spec.decode(), t.now))
    t.journal("dag", dag.dag_id, None, "", "version", e.hash[:12])
    t.dirty_dags[dag.dag_id] = dag
    return version_id


def dag_removed(t: Turn, e: DagRemoved) -> None:
    """Its file is gone or broken: it is not fired any more; unfinished runs wait for their code."""
    dag = t.world.dags.get(e.dag)
    if dag is None:
        return
    dag.code = frozenset()
    dag.code_error = e.reason
    if e.gone and not dag.removed:
        dag.removed = True
        dag.next_fires = None
        t.dirty_dags[dag.dag_id] = dag
        t.journal("dag", dag.dag_id, None, "loaded", "removed", e.reason)


def _let_go(t: Turn, dag: DagState) -> None:
    held, dag.stuck = list(dag.stuck.values()), {}
    life.unstick(t, held)


# --- pause ---------------------------------------------------------------------------------------


def pause(t: Turn, dag: DagState, reason: str) -> None:
    """Nothing of it starts; its waits are suspended, their deadlines stand still (`on_pause`)."""
    if dag.paused:
        return
    dag.paused = t.now
    t.dirty_dags[dag.dag_id] = dag
    t.journal("dag", dag.dag_id, None, "active", "paused", reason)
    if dag.frozen:
        for run in _runs(t, dag):
            for inst in run.instances:
                for wait in waiting.open_waits(inst):
                    waiting.disarm(t, wait, "paused")


def unpause(t: Turn, dag: DagState, reason: str) -> None:
    """Go on: deadlines move by the length of the pause, waits are looked at, missed firings judged."""
    if not dag.paused:
        return
    frozen, paused_for = dag.frozen, t.now - dag.paused
    dag.paused = 0
    t.dirty_dags[dag.dag_id] = dag
    t.journal("dag", dag.dag_id, None, "paused", "active", reason)
    if frozen:
        shift(t, _runs(t, dag), paused_for)
        for run in _runs(t, dag):
            for inst in run.instances:
                for wait in waiting.open_waits(inst):
                    if inst.due is None:
                        waiting.arm(t, wait)
    runs.start_queued(t, dag)
    _let_go(t, dag)
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)


def _runs(t: Turn, dag: DagState) -> list[Run]:
    return [t.world.runs[run_id] for run_id in sorted(dag.runs)]


def shift(t: Turn, of: list[Run], by: int) -> None:
    """Move every stored deadline and delay of these runs by `by` microseconds."""
    world = t.world
    for run in of:
        if run.deadline is not None:
            run.deadline += by
            t.dirty_runs[run.run_id] = run
            world.timer(run.deadline, Due.RUN, run.run_id)
        for inst in run.instances:
            if inst.deadline is not None:
                inst.deadline += by
                t.dirty[inst.instance_id] = inst
                world.timer(inst.deadline, Due.DEADLINE, inst.instance_id)
            if inst.due is not None:
                inst.due += by
                t.dirty[inst.instance_id] = inst
                world.timer(inst.due, Due.RETRY, inst.instance_id)
            for wait in waiting.open_waits(inst):
                wait.deadline += by
                t.write_wait(wait)
                world.timer(wait.deadline, Due.WAIT, wait.wait_id)
            if inst.body is not None and inst.body.limit is not None:
                inst.body.limit += by
                world.timer(inst.body.limit, Due.TIMEOUT, inst.body.attempt_id)


# --- schedules -----------------------------------------------------------------------------------


def _aim(t: Turn, dag: DagState) -> None:
    """Set the next firing of a schedule that is new: from the watermark, the start, or now."""
    if dag.watermark is None:
        start = dag.options.get("start_us")
        dag.watermark = (t.now if start is None else start) - 1
    dag.next_fires = _after(dag, dag.watermark)
    t.dirty_dags[dag.dag_id] = dag
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)


def _after(dag: DagState, us: int) -> int | None:
    firing = _firing_after(dag, us)
    return None if firing is None else firing.fires_us


def _firing_after(dag: DagState, us: int) -> Firing | None:
    assert dag.schedule is not None
    firing = dag.schedule.next_after(us, dag.anchor)
    end = dag.options.get("end_us")
    return None if firing is None or (end is not None and firing.fires_us >= end) else firing


def fire_schedule(t: Turn, dag: DagState) -> None:
    """Decide every firing up to now: run it, or skip it with a journalled reason (C58)."""
    if dag.paused or dag.removed or dag.schedule is None or dag.watermark is None or dag.compiled is None:
        return
    due: list[Firing] = []
    at = dag.watermark
    while (
        len(due) < MOST_FIRINGS
        and (firing := _firing_after(dag, at)) is not None
        and firing.fires_us <= t.now
    ):
        due.append(firing)
        at = firing.fires_us
    if not due:
        return
    catchup = dag.options.get("catchup", "latest")
    taken = due if catchup == "all" else due[-1:]
    if catchup == "none" and t.now - taken[-1].fires_us > MISSED_US:
        taken = []
    keys = {f.fires_us: ("run_by_key", dag.dag_id, f"scheduled:{f.start_us}") for f in taken}
    have: dict[int, Any] = {fires: t.fact(*key) for fires, key in keys.items()} if taken else {}
    dag.watermark = due[-1].fires_us
    dag.next_fires = _after(dag, dag.watermark)
    t.dirty_dags[dag.dag_id] = dag
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    skipped = len(due) - len(taken)
    if skipped:
        t.journal("dag", dag.dag_id, None, "", "skipped", f"{skipped} missed firings, catchup={catchup}, "
                  f"{due[0].fires_us} to {due[skipped - 1].fires_us}")  # fmt: skip
    for firing in taken:
        if have[firing.fires_us] is not None:
            t.journal("dag", dag.dag_id, None, "", "skipped", f"a run for {firing.start_us} is there already")
            continue
        runs.create_run(
            t, dag, kind="scheduled", run_key=f"scheduled:{firing.start_us}", firing=firing,
            params=dict(dag.compiled.spec.params), reason="schedule",
        )  # fmt: skip


MISSED_US = 60_000_000
"""With catchup "none", a firing that is decided later than this was missed."""
