"""DAGs: loaded and removed; and the firings of their schedules, missed ones included."""

from __future__ import annotations

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.engine import pausing, runs, waiting
from bide.runtime.engine.messages import DagLoaded, DagRemoved
from bide.runtime.engine.states import RunState
from bide.runtime.engine.turn import FactKey, NeedFacts, Turn, dag_options
from bide.runtime.engine.world import DagState, Due
from bide.runtime.graph.compile import compile_spec
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import Firing, schedule_from_json

MOST_FIRINGS = 100
"""Missed firings that are run in one go; the others follow in the next turns."""


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
    spec = e.graph if e.graph is not None else msgspec.json.decode(e.spec, type=DagSpec)
    if dag.hash != e.hash or dag.compiled is None:
        version_id = known if known is not None else _new_version(t, dag, e)
        dag.version_id = version_id
        dag.hash = e.hash
        if version_id not in world.compiled:
            world.compiled[version_id] = compile_spec(spec)
        dag.compiled = world.compiled[version_id]
        dag.resources.clear()
        waiting.ask_again(t, dag)
    dag.tz = spec.tz
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
        _aim(t, dag)
    elif was_out:  # its timer may have rung in vain
        world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    if written != (dag.version_id, dag.schedule_json, dag_options(dag), dag.removed):
        t.dirty_dags[dag.dag_id] = dag
    pausing.on_pause_changed(t, dag, frozen=frozen)
    runs.start_queued(t, dag)
    pausing.let_go(t, dag)


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


# --- schedules -----------------------------------------------------------------------------------


def _aim(t: Turn, dag: DagState) -> None:
    """Set the next firing of a schedule that is new: from the watermark, the start, or now."""
    if dag.watermark is None:
        start: int | None = dag.options.get("start_us")
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
    """Decide every firing up to now: run it, or skip it with a journalled reason (C58).

    Only with catchup "all" are missed firings stepped through, some of them a turn; otherwise the
    last one is found at once, however long nobody looked. Without its code a DAG is not fired: what
    is due stays due until it is loaded, and is judged by catchup then.
    """
    if dag.code_error:
        return
    if dag.paused or dag.removed or dag.schedule is None or dag.watermark is None or dag.compiled is None:
        return
    first = _firing_after(dag, dag.watermark)
    if first is None or first.fires_us > t.now:
        return
    taken, last = _taken(t, dag, first)
    keys = [_fact_of(dag, firing) for firing in taken]
    missing = [key for key in keys if key not in t.facts]
    if missing:
        raise NeedFacts(*missing)
    dag.watermark = last.fires_us
    dag.next_fires = _after(dag, dag.watermark)
    t.dirty_dags[dag.dag_id] = dag
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    if not taken or taken[0] != first:
        until = f"before {from_us(taken[0].fires_us).isoformat()}" if taken else "up to now"
        _skipped(t, dag, f"missed firings from {from_us(first.fires_us).isoformat()} {until}, by catchup")
    for firing in taken:
        t.budget -= 1
        if t.facts[_fact_of(dag, firing)] is not None:
            _skipped(t, dag, f"a run for {from_us(firing.start_us).isoformat()} is there already")
        elif _may_overlap(t, dag, firing):
            runs.create_run(
                t, dag, kind="scheduled", run_key=_key_of(firing), firing=firing,
                params=dict(dag.compiled.spec.params), reason="schedule",
            )  # fmt: skip


def _key_of(firing: Firing) -> str:
    return f"scheduled:{firing.start_us}"


def _fact_of(dag: DagState, firing: Firing) -> FactKey:
    return ("run_by_key", dag.dag_id, _key_of(firing))


def _taken(t: Turn, dag: DagState, first: Firing) -> tuple[list[Firing], Firing]:
    """What catchup makes of the firings due since the last one decided, and the last one decided now."""
    assert dag.schedule is not None
    catchup, window = dag.options.get("catchup", "latest"), dag.options.get("backfill_window_us")
    if catchup == "all":
        if window is not None and first.fires_us < t.now - window:
            at = _firing_after(dag, t.now - window - 1)
            if at is None or at.fires_us > t.now:
                return [], first
            first = at
        due = [first]
        while len(due) < MOST_FIRINGS:
            after = _firing_after(dag, due[-1].fires_us)
            if after is None or after.fires_us > t.now:
                break
            due.append(after)
        return due, due[-1]
    end = dag.options.get("end_us")
    last = dag.schedule.last_until(t.now if end is None else min(t.now, end - 1), dag.anchor)
    if last is None or last.fires_us < first.fires_us:
        last = first
    missed = catchup == "none" and t.now - last.fires_us > MISSED_US
    too_old = window is not None and last.fires_us < t.now - window
    return ([] if missed or too_old else [last]), last


def _may_overlap(t: Turn, dag: DagState, firing: Firing) -> bool:
    """Whether a run may be made beside those that are not over, by the DAG's `overlap`."""
    overlap = dag.options.get("overlap", "queue_all")
    if overlap == "queue_all" or not dag.runs:
        return True
    if overlap == "cancel_running":
        for run in pausing.runs_of(t, dag):
            runs.cancel_run(t, run, "its DAG is due again (overlap=cancel_running)")
        return True
    waiting = sum(run.state in (RunState.QUEUED, RunState.EXPANDING) for run in pausing.runs_of(t, dag))
    room = max(dag.options.get("max_active_runs", 1) - dag.active_runs, 0)
    if overlap == "queue_one" and waiting <= room:
        return True
    _skipped(t, dag, f"{from_us(firing.start_us).isoformat()}: another run is not over (overlap={overlap})")
    return False


def _skipped(t: Turn, dag: DagState, reason: str) -> None:
    t.journal("dag", dag.dag_id, None, "", "skipped", reason)


MISSED_US = 60_000_000
"""With catchup "none", a firing that is decided later than this was missed."""
