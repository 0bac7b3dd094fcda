"""DAGs: their files are loaded, anew, or gone."""

from __future__ import annotations

from bide.runtime import typed
from bide.runtime.engine import backfills, coding, pausing, runs, scheduling, standing, waiting
from bide.runtime.engine.assets import declaring, promising
from bide.runtime.engine.messages import DagLoaded, DagRemoved
from bide.runtime.engine.turn import Slices, Turn, dag_options
from bide.runtime.engine.world import DagState, Due
from bide.runtime.graph.compile import compile_spec
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import schedule_from_json


def dag_loaded(t: Turn, e: DagLoaded) -> Slices:
    """A DAG's file has been loaded: a new version if its graph is new, and its code is here."""
    world = t.world
    dag = world.dags.get(e.dag)
    if dag is None:
        dag = DagState(world.take_id("dag"), e.dag)
        world.add_dag(dag)
        t.journal("dag", dag.dag_id, None, "", "loaded", "first seen")
    known = dag.version_id
    if known is not None and dag.hash != e.hash:
        known = t.fact("version", dag.dag_id, e.hash)
    written = dag.version_id, dag.schedule_json, dag_options(dag), dag.removed, dag.file
    spec = e.graph if e.graph is not None else typed.decode(e.spec, DagSpec)
    if dag.hash != e.hash or dag.compiled is None:
        version_id = known if known is not None else _new_version(t, dag, e)
        dag.version_id = version_id
        dag.hash = e.hash
        if version_id not in world.compiled:
            world.compiled[version_id] = compile_spec(spec)
        dag.compiled = world.compiled[version_id]
        dag.resources.clear()
        runs.queue_anew(world, dag)
        waiting.ask_again(t, dag)
    coding.keep_text(t, dag, e)
    dag.tz = spec.tz
    dag.file = e.file
    dag.removed = False
    frozen = dag.frozen
    dag.options = e.options
    schedule_json = e.schedule.decode()
    new_schedule = schedule_json != dag.schedule_json or dag.schedule is None
    dag.schedule_json = schedule_json
    dag.schedule = schedule_from_json(schedule_json)
    dag.code = frozenset(task.name for task in spec.tasks)
    was_out, dag.code_error = bool(dag.code_error), ""
    if dag.anchor is None:
        dag.anchor = t.now
    if new_schedule or dag.next_fires is None:
        scheduling.aim(t, dag, new=new_schedule)
    elif was_out:  # its timer may have rung in vain
        world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    if written != (dag.version_id, dag.schedule_json, dag_options(dag), dag.removed, dag.file):
        t.dirty_dags[dag.dag_id] = dag
    yield from pausing.on_pause_changed(t, dag, frozen=frozen)
    backfills.wake_all(t)  # it may write less by now, and assets have caps
    runs.start_queued(t, dag)
    yield from pausing.let_go(t, dag)
    t.catch_up(dag)
    standing.keep(t, dag)
    declaring.declared(t, dag, spec)
    promising.declared(t, dag, spec)


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
    standing.disarm_all(t, dag, "cancelled")
    if e.gone and not dag.removed:
        dag.removed = True
        dag.next_fires = None
        promising.forget(t, dag)
        t.dirty_dags[dag.dag_id] = dag
        t.journal("dag", dag.dag_id, None, "loaded", "removed", e.reason)
