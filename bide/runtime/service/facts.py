"""Gathers what `explain` wants to know of a run: from one reader, and from the live process if any."""

from __future__ import annotations

from collections import Counter
from functools import partial

import msgspec

from bide.runtime import typed
from bide.runtime.engine.admission import needs_no_slot
from bide.runtime.engine.explain import (
    Asked,
    Behind,
    InstanceFacts,
    Late,
    RunFacts,
    Upstream,
    WaitFacts,
    starts_when,
)
from bide.runtime.engine.past import BEFORE
from bide.runtime.engine.states import RUN_OVER, AttemptState, BackfillState, RunState, State
from bide.runtime.graph.handlers import waits_on
from bide.runtime.graph.spec import DagSpec, Role, TriggerRule
from bide.runtime.service.describe import error_words, trigger_words
from bide.runtime.service.doors import Live
from bide.runtime.service.shapes import iso
from bide.runtime.store.approval_reads import open_of_instance
from bide.runtime.store.backfill_reads import backfill_of_run, runs_of_backfills
from bide.runtime.store.facts import RunBefore, runs_before
from bide.runtime.store.reader import (
    AlertShown,
    AttemptShown,
    DagShown,
    Reader,
    RunDetail,
    RunShown,
    TaskShown,
    WaitShown,
)
from bide.runtime.store.schedules import cause_of_run


class Scene(msgspec.Struct, frozen=True):
    """A run and all that stands around it in the database."""

    run: RunDetail
    spec: DagSpec
    dag: DagShown | None
    tasks: list[TaskShown]
    attempts: dict[int, AttemptShown]
    waits: list[WaitShown]
    active: list[RunShown]
    alerts: list[AlertShown]
    items: dict[str, int]  # mapped task -> how many instances it has
    cause: str
    """What it was made for, where its schedule has several members or is of events; else empty."""
    before: dict[str, RunBefore]  # by task: the run before, where one waits for that
    asked: dict[int, Asked] = {}
    """What people are asked, by instance"""
    backfill: tuple[int, str] | None = None
    """(id, state) of the backfill whose interval it runs"""


def scene(reader: Reader, run_id: int) -> Scene:
    """Everything that `why` needs of a run; `NotFoundError` when there is none of that id."""
    run = reader.run(run_id)
    dag = next((dag for dag in reader.dags() if dag.name == run.dag), None)
    active = reader.runs(run.dag, "running", limit=1000) if run.state is RunState.QUEUED else []
    if active:  # those of backfills take no place of live runs
        owned = reader.read(runs_of_backfills)
        active = [other for other in active if other.run_id not in owned]
    tasks = reader.tasks(run_id)
    return Scene(
        run,
        typed.decode(run.spec, DagSpec),
        dag,
        tasks,
        {attempt.attempt_id: attempt for attempt in reader.attempts(run_id)},
        reader.waits(run_id),
        active,
        reader.alerts(run_id),
        reader.mapped(run_id),
        reader.read(lambda conn: cause_of_run(conn, run_id)),
        _before(reader, run, tasks),
        _asked(reader, tasks),
        reader.read(lambda conn: backfill_of_run(conn, run_id)) if run.kind == "backfill" else None,
    )


def _asked(reader: Reader, tasks: list[TaskShown]) -> dict[int, Asked]:
    """What people are asked before tasks go on."""
    waiting = [task.instance_id for task in tasks if task.state is State.AWAITING_APPROVAL]
    if not waiting:
        return {}
    found = reader.read(lambda conn: [open_of_instance(conn, instance_id) for instance_id in waiting])
    return {
        a.subject_id: Asked(a.approval_id, a.prompt, typed.decode(a.who, tuple[str, ...]), a.expires_us)
        for a in found
        if a is not None
    }


def _paused_with(scene: Scene) -> bool:
    """Whether the backfill whose run it is, is paused."""
    return scene.backfill is not None and scene.backfill[1] == BackfillState.PAUSED


def _before(reader: Reader, run: RunDetail, tasks: list[TaskShown]) -> dict[str, RunBefore]:
    """What the tasks wait for that wait for the run before, as it stands now."""
    behind = {task.task for task in tasks if task.state is State.PENDING and task.reason.startswith(BEFORE)}
    if not behind:
        return {}
    began = run.created_us if run.started_us is None else run.started_us
    known = partial(runs_before, dag=run.dag, logical_us=run.logical_us, began_us=began, tasks=sorted(behind))
    found = reader.read(known)
    return {name: before for name, before in found.items() if before is not None}


def _behind(scene: Scene, instance: TaskShown) -> Behind | None:
    """What holds it back by `depends_on_past`."""
    found = scene.before.get(instance.task)
    if found is None:
        return None
    bad = [state for state in found.states if state not in (State.SUCCESS, State.SKIPPED)]
    state = bad[0] if bad else State.SUCCESS if found.states else State.PENDING
    return Behind(str(found.run_id), iso(found.logical_us), state.value, found.state in RUN_OVER)


def of_run(scene: Scene, live: Live | None, held: bool) -> RunFacts:
    """The facts of the run."""
    run = scene.run
    bad = [t for t in scene.tasks if t.state in (State.FAILED, State.LOST)] or [
        t for t in scene.tasks if t.state in (State.UPSTREAM_FAILED, State.CANCELLED)
    ]
    return RunFacts(
        run=str(run.run_id),
        dag=run.dag,
        state=run.state,
        created_us=run.created_us,
        started_us=run.started_us,
        ended_us=run.ended_us,
        deadline_us=run.deadline_us,
        reason=run.reason,
        counts=dict(Counter(task.state.value for task in scene.tasks)),
        failed=tuple(_upstream(scene, task) for task in bad),
        waits=tuple((_name(wait.task, wait.map_index), _wait(wait, live)) for wait in scene.waits),
        retry_us=min(
            (t.due_us for t in scene.tasks if t.state is State.UP_FOR_RETRY and t.due_us is not None),
            default=None,
        ),
        max_active_runs=scene.spec.max_active_runs,
        backfill=str(scene.backfill[0]) if scene.backfill else "",
        backfill_paused=_paused_with(scene),
        code_error=live.code_error(run.dag) if live else "",
        active=tuple(str(other.run_id) for other in reversed(scene.active)),
        paused=bool(scene.dag and scene.dag.paused),
        frozen=bool(scene.dag and scene.dag.paused) and scene.spec.on_pause == "freeze",
        live=held,
        stopping=live is not None and live.stopping,
        late=tuple(
            (alert.subject.removeprefix(run.dag).removeprefix("."), Late(alert.promise, alert.due_us))
            for alert in scene.alerts
            if alert.kind in ("run", "task")
        ),
    )


def of_instance(scene: Scene, instance: TaskShown, live: Live | None, held: bool) -> InstanceFacts:
    """The facts of one of its task instances."""
    spec = next((t for t in scene.spec.tasks if t.name == instance.task), None)
    paused = bool(scene.dag and scene.dag.paused)
    role = spec.role if spec else Role.TASK
    names = set(spec.upstream if spec else ())
    own = [t for t in scene.tasks if t.task == instance.task and t.map_index >= 0 > instance.map_index]
    if spec is not None and role is not Role.TASK:
        names = set(waits_on(scene.spec.tasks)[spec.name])
    handlers = {task.name for task in scene.spec.tasks if instance.task in task.handles}
    return InstanceFacts(
        run=str(scene.run.run_id),
        task=_name(instance.task, instance.map_index),
        state=instance.state,
        run_state=scene.run.state,
        rule=spec.rule if spec else TriggerRule.ALL_SUCCESS,
        attempt=instance.attempts,
        failures=instance.failures,
        retries=spec.retries if spec else 0,
        idempotent=spec.idempotent if spec else True,
        since_us=instance.since_us,
        due_us=instance.due_us,
        deadline_us=instance.deadline_us,
        reason=(live.budget(instance.instance_id) if live else "") or instance.reason,
        error=_error(scene, instance),
        upstreams=tuple(
            _upstream(scene, task) for task in scene.tasks if task.task in names and task.map_index < 0
        ),
        behind=_behind(scene, instance),
        role=role,
        starts_when=starts_when(spec) if spec is not None and role is not Role.TASK else "",
        handlers=tuple(_upstream(scene, task) for task in scene.tasks if task.task in handlers),
        waits=tuple(
            _wait(wait, live)
            for wait in scene.waits
            if (wait.task, wait.map_index) == (instance.task, instance.map_index)
        ),
        refusal=live.refusal(instance.instance_id) if live else None,
        asked=scene.asked.get(instance.instance_id),
        backfill=str(scene.backfill[0]) if scene.backfill else "",
        backfill_paused=_paused_with(scene),
        code_error=live.code_error(scene.run.dag) if live and instance.state is State.READY else "",
        paused=paused,
        dag=scene.run.dag,
        frozen=paused and scene.spec.on_pause == "freeze",
        live=held,
        within=live is not None or not held,
        stopping=live is not None and live.stopping and not (spec is not None and needs_no_slot(spec)),
        progress=live.progress(instance.attempt_id) if live and instance.attempt_id is not None else None,
        late=tuple(
            Late(alert.promise, alert.due_us)
            for alert in scene.alerts
            if alert.kind == "task"
            and alert.subject == f"{scene.run.dag}.{_name(instance.task, instance.map_index)}"
        ),
        instances=dict(Counter(task.state.value for task in own)),
        items=scene.items.get(instance.task, 0),
        bad=tuple(_upstream(scene, task) for task in own if task.state in (State.FAILED, State.LOST)),
    )


def made_for(scene: Scene) -> tuple[tuple[str, str], ...]:
    """Which member of its schedule was due first: a detail of `why`."""
    return (("made for", scene.cause),) if scene.cause else ()


def held_words(instance_id: int, live: Live | None) -> tuple[tuple[str, str], ...]:
    """That the task has held the loop, the last time it did: a detail of `why`."""
    found = [held for held in live.held if held.instance_id == instance_id] if live is not None else []
    if not found:
        return ()
    last = found[-1]
    times = f"{len(found)} times, last " if len(found) > 1 else ""
    return (("held the loop", f"{times}{last.for_s:.1f} s and more at {iso(last.at_us)}: {last.where}"),)


def _name(task: str, map_index: int) -> str:
    return task if map_index < 0 else f"{task}[{map_index}]"


def _error(scene: Scene, task: TaskShown) -> str:
    """What the last attempt said; "" where something else has failed the task: a deadline, a person."""
    last = scene.attempts.get(task.attempt_id) if task.attempt_id is not None else None
    if last is None:
        return ""
    if task.state is State.FAILED and (last.state is AttemptState.LOST or last.ended_us != task.since_us):
        return ""
    return error_words(last.error)


def _upstream(scene: Scene, task: TaskShown) -> Upstream:
    return Upstream(_name(task.task, task.map_index), task.state.value, _error(scene, task) or task.reason)


def _wait(wait: WaitShown, live: Live | None) -> WaitFacts:
    return WaitFacts(
        wait_id=wait.wait_id,
        what=trigger_words(wait.kind, wait.trigger)[0],
        since_us=wait.since_us,
        deadline_us=wait.deadline_us,
        look=live.look(wait.wait_id) if live else None,
    )
