"""What must hold after every turn, and when a world restored from the database is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.states import LEGAL_VERSION
from bide.runtime.assets.words import VISIBLE
from bide.runtime.clock import HOUR
from bide.runtime.engine import covering
from bide.runtime.engine.admission import global_need, need_of
from bide.runtime.engine.approval_state import OF_INSTANCE, Approval
from bide.runtime.engine.assets.delivery_state import Delivery
from bide.runtime.engine.assets.state import Open, WaitedFor
from bide.runtime.engine.assets.waits import decode_asset
from bide.runtime.engine.backfill_state import Backfill
from bide.runtime.engine.backfills import held_back, outlets_of, room_of, spans_of, writing
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.control import as_seen
from bide.runtime.engine.fan import Fan
from bide.runtime.engine.life import is_summary
from bide.runtime.engine.plan_state import RunningPlan
from bide.runtime.engine.states import (
    LEGAL,
    LEGAL_APPROVAL,
    LEGAL_ATTEMPT,
    LEGAL_DELIVERY,
    LEGAL_PLAN,
    LEGAL_RUN,
    LEGAL_WAIT,
    OVER,
    ApprovalKind,
    RunState,
    State,
    StepState,
)
from bide.runtime.engine.waiting import (
    ASSET,
    EXTERNAL,
    decode_external,
    is_of_one_run,
    open_waits,
    watched_key,
)
from bide.runtime.engine.world import Due, Instance, Resource, Run, World
from bide.runtime.graph.spec import Lane
from bide.runtime.schedules.promise import Promise
from bide.runtime.spans import covers

if TYPE_CHECKING:
    from bide.triggers.asset import AssetTrigger
    from bide.triggers.external_task import ExternalTaskTrigger
    from tests.engine.scene import Scene

_BAD = (State.FAILED, State.UPSTREAM_FAILED)
_TABLES: dict[str, Any] = {
    "run": LEGAL_RUN,
    "instance": LEGAL,
    "attempt": LEGAL_ATTEMPT,
    "wait": LEGAL_WAIT,
    "version": LEGAL_VERSION,
    "plan": LEGAL_PLAN,
    "approval": LEGAL_APPROVAL,
    "delivery": LEGAL_DELIVERY,
}


_SEEN = {str(state) for state in VISIBLE}


class Journal:
    """The journal replayed as it grows: legal edges only, each beginning where the last one ended."""

    def __init__(self) -> None:
        self.state: dict[tuple[str, int], str] = {}
        self.seq = 0

    def take(self, changes: Changes) -> None:
        rows: dict[tuple[str, int], str] = {}
        for seq, _at, _epoch, subject, subject_id, _run, was, now, reason in changes.events:
            assert seq > self.seq, "the journal's numbers do not grow"
            self.seq = seq
            if subject not in _TABLES:
                continue
            table = {str(key): {str(to) for to in tos} for key, tos in _TABLES[subject].items()}
            last = self.state.get((subject, subject_id))
            said = f"{subject} {subject_id}: {was or 'nothing'} -> {now} ({reason})"
            if subject == "version" and last in _SEEN and was == "superseded":
                last = was  # a newer one took its place: one statement for all of them, without a line each
            if last is not None:
                assert was == last, f"{said}, and it was {last}"
            if was and was != now:
                assert now in table[was], f"{said} is no legal move"
            self.state[subject, subject_id] = now
        for attempt, row in changes.attempts_set.items():
            rows["attempt", attempt] = row[0]
        for inst, row in changes.instances_set.items():
            rows["instance", inst] = row[0]
        for run, row in changes.runs_set.items():
            rows["run", run] = row[0]
        for wait, row in changes.waits_set.items():
            rows["wait", wait] = row[1]
        for version, row in changes.asset_states.items():
            rows["version", version] = row[0]
        for plan, row in changes.plans_set.items():
            rows["plan", plan] = row[0]
        for approval, row in changes.approvals_set.items():
            rows["approval", approval] = row[0]
        for key, state in rows.items():
            assert self.state.get(key, state) == state, (
                f"{key} is written as {state}, the journal says otherwise"
            )


def hold(scene: Scene) -> None:
    """Assert everything that holds between two turns."""
    world = scene.world
    _slots(world)
    _bodies(scene, world)
    _waits(scene, world)
    _alarms(scene, world)
    _approvals(world)
    _ledger(scene, world)
    if not scene.asking:
        _expected(world)
    _stale(scene, world)
    for run in world.runs.values():
        _run(world, run)
        for inst in run.instances:
            if inst.fan is not None:
                _fan(scene, inst, inst.fan)
    everyone = sum(1 for run in world.runs.values() for _ in run.everyone())
    assert len(world.instances) == everyone, "an instance is of no run, or is over and kept"
    for dag in world.dags.values():
        live = [
            world.runs[run]
            for run in dag.runs
            if world.runs[run].backfill is None and not world.runs[run].apart
        ]
        running = sum(run.state is RunState.RUNNING for run in live)
        assert dag.active_runs == running, (
            f"{dag.name}: {dag.active_runs} active runs are counted, {running} are"
        )
    _backfills(world)
    _plans(scene, world)
    if not world.agenda:
        _nobody_sleeps(scene, world)


def _fan(scene: Scene, summary: Instance, fan: Fan) -> None:
    """A mapped task counts its instances as the database has them, and ends with the last one."""
    rows = scene._rows(
        "SELECT map_index, state FROM task_instance WHERE run_id = ? AND task = ? AND map_index >= 0 ORDER BY 1",
        summary.run.run_id,
        summary.task.name,
    )
    name = summary.task.name
    assert [index for index, _ in rows] == list(range(fan.rows)), f"{name}: its rows have gaps"
    ends = Counter(state for index, state in rows[: min(fan.made, fan.items)] if State(state) in OVER)
    bad = ends["failed"] + ends["upstream_failed"]
    counts = ends["success"], bad, ends["skipped"], ends["cancelled"]
    assert (fan.success, fan.failed, fan.skipped, fan.cancelled) == counts, f"{name}: counted wrong"
    living = {index for index, state in rows if State(state) not in OVER}
    assert set(fan.children) == living, f"{name}: {set(fan.children)} are kept, {living} are not over"
    for index, child in fan.children.items():
        assert (child.map_index, child.fan) == (index, fan)
        assert scene.world.instances.get(child.instance_id) is child
    assert not fan.ending
    if summary.state is not State.MAPPED:
        assert not fan.children, f"{name} is {summary.state} and has instances that are not over"
    elif not scene.world.agenda:
        assert fan.whole or 2 * fan.ready >= scene.world.window, f"{name} is left half made"
        assert fan.children, f"{name} is mapped and waits for nothing"
        assert not (fan.whole and fan.former)
    ready = sum(child.state is State.READY for child in fan.children.values())
    assert fan.ready == ready, f"{name}: {fan.ready} are counted as ready, {ready} are"


def _plans(scene: Scene, world: World) -> None:
    """Each run of a step is known to its plan, steps run in order, and no plan that could go on sleeps."""
    known = {run_id: plan.plan_id for plan in world.plans.values() for run_id in plan.runs}
    assert world.plan_runs == known, "whose runs those of rerun plans are, is not agreed upon"
    for plan in world.plans.values():
        said = (plan.open, plan.unstaged, plan.published, _ready(plan))
        waits = [step.waits for step in plan.steps if step.state is StepState.PENDING]
        counted = _counted(plan)
        assert said == (
            counted.open,
            counted.unstaged,
            counted.published,
            _ready(counted),
        )
        assert waits == [step.waits for step in counted.steps if step.state is StepState.PENDING]
        for step in plan.steps:
            going = plan.runs.get(step.run_id or 0) == step.place
            assert going == (step.state is StepState.RUNNING), (
                f"{plan.name}: {step.spec.name} is {step.state}"
            )
            for below in step.after:
                if (
                    plan.steps[below].state is not StepState.PENDING
                    and plan.steps[below].state is not StepState.SKIPPED
                ):
                    assert step.state in (StepState.STAGED, StepState.PUBLISHED), (
                        "a step ran before what it reads"
                    )
        assert plan.runs or plan.asked or any(
            approval.kind is ApprovalKind.PUBLICATION for approval in world.approvals.open.values()
        ), f"{plan.name} sleeps"  # fmt: skip
    if not scene.asking:
        for one in world.assets.open.values():
            assert one.plan_id is None or one.plan_id in world.plans, (
                "a version of a plan that is over is kept"
            )


def _ready(plan: RunningPlan) -> dict[str, list[int]]:
    return {name: sorted(places) for name, places in sorted(plan.ready.items())}


def _counted(plan: RunningPlan) -> RunningPlan:
    """The same plan, with its counts made anew."""
    other = RunningPlan(plan.plan_id, plan.spec, plan.started)
    for mine, step in zip(other.steps, plan.steps, strict=True):
        mine.state, mine.run_id = step.state, step.run_id
    other.count()
    return other


def _of_plan(plan: RunningPlan) -> tuple[Any, ...]:
    steps = [(step.state, step.run_id, step.start, step.end) for step in plan.steps]
    return (plan.state, plan.spec, plan.started, plan.runs, steps)


def _backfills(world: World) -> None:
    """Caps hold, each run of a backfill is known to it, and none that has room is forgotten."""
    owned = {run_id: b for b in world.backfills.values() for run_id in b.runs}
    for run in world.runs.values():
        assert run.backfill is owned.get(run.run_id), f"run {run.run_id}: whose it is, is not agreed upon"
        queued = (run.backfill is not None or run.apart) and run.state is RunState.QUEUED
        assert queued == (run.run_id in run.dag.backfilled)
        assert (run.backfill is not None or run.apart) == (run.run_id in run.dag.owned)
    newest = all(world.runs[run_id].version_id == b.dag.version_id for run_id, b in owned.items())
    for b in world.backfills.values():
        assert set(b.runs) <= set(world.runs), f"{b.name}: it counts runs that have left"
        assert len(b.runs) <= b.options.max_active, f"{b.name}: {len(b.runs)} runs are more than its cap"
        of_dag = b.dag.options.get("max_active_backfill_runs")
        both = sum(len(other.runs) for other in world.backfills.values() if other.dag is b.dag)
        assert of_dag is None or both <= of_dag, f"{b.dag.name}: {both} runs of backfills"
        for asset in outlets_of(b) if newest else ():  # a graph that writes more came after its runs
            cap = b.options.asset_caps.get(asset) or world.asset_caps.get(asset)
            assert not b.runs or cap is None or len(b.runs) <= cap, f"{asset}: its cap is passed"
            cap = world.asset_caps.get(asset)
            assert cap is None or writing(world, asset) <= cap, f"{asset}: its cap is passed"
        assert [span.place for span in b.pending] == sorted(span.place for span in b.pending)
        assert b.pending or b.runs, f"{b.name}: it is over and has not ended"
        if b.pending and not world.agenda and not held_back(world, b) and room_of(world, b):
            assert b.backfill_id in world.hungry or b.asked, f"{b.name}: it has room and sleeps"


def _slots(world: World) -> None:
    used: Counter[int] = Counter()
    slots = 0
    known: dict[int, Resource] = {id(r): r for r in world.resources.values()}
    for pool in world.pools.values():
        known |= {id(r): r for r in pool}
    for body in world.attempts.values():
        if body.active_from is None:
            continue
        task = body.inst.task
        slots += global_need(task)
        for resource in body.holds:
            used[id(resource)] += need_of(resource, task)
    for inst in world.instances.values():
        for resource in inst.held:
            used[id(resource)] += need_of(resource, inst.task)
    by_backfills = sum(
        global_need(body.inst.task)
        for body in world.attempts.values()
        if body.by_backfill and body.active_from is not None
    )
    assert world.slots.by_backfills == by_backfills, "slots that backfills hold are counted wrong"
    for resource in known.values():
        of = sum(
            need_of(resource, body.inst.task)
            for body in world.attempts.values()
            if body.by_backfill and resource in body.holds
        ) + sum(
            need_of(resource, inst.task)
            for inst in world.instances.values()
            if inst.by_backfill and resource in inst.held
        )
        assert resource.by_backfills == of, f"{resource.name}: what backfills hold is counted wrong"
    assert world.slots.used == slots, f"{world.slots.used} slots are counted, {slots} are taken"
    for resource in known.values():
        holders = {n for n, inst in world.instances.items() if resource in inst.held}
        assert resource.holders.keys() == holders, f"{resource.name}: who holds it is told wrong"
    for key, resource in known.items():
        assert resource.used == used[key], f"{resource.name}: {resource.used} counted, {used[key]} taken"


def _bodies(scene: Scene, world: World) -> None:
    for attempt_id, body in world.attempts.items():
        inst = body.inst
        if inst.task.lane is Lane.WAIT:
            assert body.active_from is not None, f"the sensor {inst.task.name} has a body and no slot"
        else:
            assert attempt_id in scene.bodies, f"{inst.task.name}: a body in the world, none outside"
        if inst.run.run_id in world.runs:
            assert inst.body is body, f"{inst.task.name} does not know its own body"
    for attempt_id, start in scene.bodies.items():
        assert attempt_id in world.attempts, f"{start.task.name}: a body outside that the world forgot"
    for inst in world.instances.values():
        assert not inst.queued or inst.state is State.READY, f"{inst.task.name} is queued and {inst.state}"
        if inst.state is State.RUNNING:
            assert inst.body is not None, f"{inst.task.name} is running and has no body"
            assert inst.body.active_from is not None, f"{inst.task.name} is running and has no slot"
        if inst.body is not None:
            assert world.attempts.get(inst.body.attempt_id) is inst.body


def _waits(scene: Scene, world: World) -> None:
    for wait_id, wait in world.waits.items():
        inst = wait.inst
        assert not wait.ended
        assert world.instances.get(inst.instance_id) is inst, (
            f"wait {wait_id} is of an instance that has left"
        )
        assert wait in open_waits(inst), f"{inst.task.name} does not know its wait {wait_id}"
        assert inst.state in (State.DEFERRED, State.READY, State.RUNNING), (
            f"an open wait of a {inst.state} instance"
        )
        if wait.kind == EXTERNAL and not is_of_one_run(wait):
            assert (wait_id in _covering(world, decode_external(wait.trigger))) == wait.armed
        elif wait.kind == EXTERNAL:
            key = watched_key(decode_external(wait.trigger))
            assert (wait_id in world.watched.get(key, {})) == wait.armed
        elif wait.kind == ASSET:
            assert (wait_id in _versions(world, decode_asset(wait.trigger))) == wait.armed
        else:
            assert (wait_id in scene.armed) == wait.armed, f"wait {wait_id}: armed is {wait.armed}"
    assert set(scene.armed) <= set(world.waits) | set(world.standing), "a wait is armed that is not open"
    for held_id, held in world.standing.items():
        assert held.dag.standing[held_id] is held
        assert (held_id in scene.armed) == held.armed, f"standing {held_id}: armed is {held.armed}"
        assert held.armed != (_idle(world, held.dag) or held.due is not None), "a standing wait sleeps"
    of_assets = [waiters for asset in world.assets.named.values() for waiters in asset.waiting.values()]
    of_runs = [waiters for of_dag in world.covering.values() for waiters in of_dag.values()]
    for waiters in (*world.watched.values(), *of_assets, *of_runs):
        assert waiters, "an empty set of waiters is kept"
        assert set(waiters) <= set(world.waits)
    for inst in world.instances.values():
        if inst.state is State.DEFERRED:
            assert open_waits(inst), f"{inst.task.name} is deferred and waits for nothing"


def _covering(world: World, trigger: ExternalTaskTrigger) -> Collection[int]:
    """Who is woken by the runs that cover this interval together."""
    assert trigger.until_us is not None
    return covering.waiters(
        world, trigger.dag, covering.Covered(trigger.task, trigger.logical_us, trigger.until_us)
    )


def _versions(world: World, trigger: AssetTrigger) -> Collection[int]:
    """Who is woken by versions of this interval of an asset."""
    asset = world.assets.named.get(trigger.asset)
    key = WaitedFor(trigger.start_us, trigger.end_us, trigger.cover)
    return asset.waiting.get(key, {}) if asset is not None else {}


def _expected(world: World) -> None:
    """The next interval of each asset that is promised has its timer."""
    timers = set(world.timers)
    for dag_id, of_dag in world.expected.items():
        assert of_dag, "an empty set of promises is kept"
        due = min(each.due for each in of_dag.values())
        assert (due, int(Due.ASSET_ALERT), dag_id) in timers, f"nobody judges {', '.join(of_dag)}"


def _stale(scene: Scene, world: World) -> None:
    """The stale versions are those that the world knows: who publishes the next asks nobody."""
    rows = {
        version
        for (version,) in scene._rows("SELECT asset_version_id FROM asset_version WHERE state = 'stale'")
    }
    known = {asset.stale.version_id for asset in world.assets.named.values() if asset.stale is not None}
    assert known == rows, f"stale are {rows}, known are {known}"


def _alarms(scene: Scene, world: World) -> None:
    """Alarms are of what is open, and none that is due is left to itself."""
    timers = set(world.timers)
    for (kind, subject_id), alarm in world.alarms.items():
        inst = world.instances.get(subject_id) if kind is Due.TASK_ALERT else None
        run = inst.run if inst is not None else world.runs.get(subject_id)
        assert run is not None, f"an alarm is left of {kind.name} {subject_id}"
        assert inst is None or inst.state not in OVER, f"an alarm of {inst.task.name}, which is over"
        still = bool(alarm.span) and run.dag.frozen
        assert still or (alarm.due, int(kind), subject_id) in timers, f"nothing rings for {run.run_id}"


def _approvals(world: World) -> None:
    """Each open approval has its timer and, of an instance, an instance that waits for it; none is forgotten."""
    timers = set(world.timers)
    approvals = world.approvals
    assert list(approvals.of.values()) == list(approvals.open.values())
    for approval_id, approval in approvals.open.items():
        assert (approval_id, (approval.kind, approval.subject_id)) == (
            approval.approval_id, next(key for key, each in approvals.of.items() if each is approval)
        )  # fmt: skip
        frozen = False
        if approval.kind in OF_INSTANCE:
            inst = world.instances[approval.subject_id]
            assert inst.state is State.AWAITING_APPROVAL, f"an open approval of a {inst.state} instance"
            frozen = inst.run.dag.frozen
        armed = approval.expires is None or (approval.expires, int(Due.APPROVAL), approval_id) in timers
        assert frozen or armed, f"approval {approval_id} never expires"
    for inst in world.instances.values():
        if inst.state is State.AWAITING_APPROVAL:
            of = [kind for kind in OF_INSTANCE if (kind, inst.instance_id) in approvals.of]
            assert of, f"{inst.task.name} waits for nobody"
            assert inst.body is None, f"{inst.task.name} waits for a person and has a body"
            assert inst.task.approval is None or of == [ApprovalKind.TASK]


def _ledger(scene: Scene, world: World) -> None:
    """What is pending is of an effect that has been let go, or whose body has not stopped; one at a time."""
    ledger = world.ledger
    assert list(ledger.of.values()) == list(ledger.pending.values())
    bodies = {body.inst.instance_id: body for body in world.attempts.values()}
    for instance_id, one in ledger.pending.items():
        inst = world.instances.get(instance_id)
        let_go = inst is not None and inst.state in _LET_GO
        again = inst is not None and inst.state in (State.PENDING, State.BLOCKED, State.AWAITING_APPROVAL)
        assert let_go or again or instance_id in bodies, f"delivery {one.delivery_id} is pending for nobody"
    for inst in world.instances.values():
        if inst.task.effect is not None and inst.state in _LET_GO:
            assert inst.instance_id in ledger.pending, (
                f"{inst.task.name} is {inst.state} and not in the ledger"
            )
    for attempt_id, start in scene.bodies.items():
        if start.task.effect is not None:
            assert start.delivery, f"attempt {attempt_id} of an effect was started without a delivery"


_LET_GO = (State.READY, State.RUNNING, State.DEFERRED, State.UP_FOR_RETRY, State.LOST)
_MADE_LATE = {"scheduled": 10**18, "asset": 24 * HOUR, "event": 24 * HOUR}
"""How long ago the time of a run that is made may be for it to be late at once."""


class Promised:
    """Which runs must have been found late, told by their ends alone: for promises on the wall.

    A run is watched from its making, or its reopening, if its time lies ahead. The first turn at or after
    that time finds it late if it was open when the turn began. A scheduled run that is made after its
    time is late at once.
    """

    def __init__(self) -> None:
        self.watched: dict[int, int] = {}
        self.late: set[int] = set()
        self.expected: dict[tuple[int, int], tuple[int, int, int]] = {}
        self.judged: dict[tuple[int, int, int, int], bool] = {}
        """(dag, asset, start, due) of what was expected when its time had come -> whether it was late"""

    def take(self, scene: Scene, changes: Changes) -> None:
        """A turn that is not committed yet: the database is as it was when the turn began."""
        world, now = scene.world, scene.now
        loaded = any(row[3] == "dag" and row[7] == "version" for row in changes.events)
        moved = {(row[0], row[1]) for row in changes.expected_set}
        for key, (start, end, due) in self.expected.items():
            if key in moved and due <= now and not loaded:
                spans = scene._rows(
                    "SELECT start_us, end_us FROM asset_version WHERE asset_id = ? AND created_us < ?"
                    " AND start_us < ? AND end_us > ?",
                    key[1], due, end, start,
                )  # fmt: skip
                self.judged[*key, start, due] = not covers((start, end), spans)
        self.expected |= {(row[0], row[1]): (row[2], row[3], row[5]) for row in changes.expected_set}
        for row in changes.expected_gone:
            self.expected.pop((row[0], row[1]), None)
        for run_id, due in list(self.watched.items()):
            if due <= now:
                self.late.add(run_id)
                del self.watched[run_id]
        for row in changes.events:
            _seq, _at, _epoch, subject, run_id, _run, was, state, _reason = row
            if subject != "run":
                continue
            if state in ("success", "failed", "cancelled"):
                self.watched.pop(run_id, None)
            elif was in ("", "success", "failed", "cancelled") and run_id in world.runs:
                self._watch(world.runs[run_id], now, made=not was)

    def _watch(self, run: Run, now: int, *, made: bool) -> None:
        written = run.dag.options.get("deadline_alert")
        if written is not None and "at" in written:
            due = msgspec.convert(written, Promise).instant(run.meta.end_us, run.meta.tz)
            if due > now:
                self.watched[run.run_id] = due
            elif made and due >= (run.dag.anchor or 0) and due > now - _MADE_LATE.get(run.kind, 0):
                self.late.add(run.run_id)


def _run(world: World, run: Run) -> None:
    over = sum(inst.state in OVER for inst in run.instances)
    left = len(run.compiled.tasks) - over
    assert run.open == left, f"run {run.run_id}: {run.open} open are counted, {left} are"
    bad = sum(inst.state in _BAD and inst.task.fails_run for inst in run.instances)
    assert run.bad == bad, f"run {run.run_id}: {run.bad} bad are counted, {bad} are"
    if world.agenda:
        return
    assert run.state is not RunState.EXPANDING, "a run is left half expanded"
    for inst in run.instances:
        assert world.instances.get(inst.instance_id) is inst
        if inst.state is State.PENDING:
            assert counted(inst) == standing(inst), f"{inst.task.name}: its upstreams are counted wrong"
    assert run.open or run.state is not RunState.RUNNING, f"run {run.run_id} is running and has nothing open"


def counted(inst: Instance) -> tuple[int, int, int]:
    return inst.n_success, inst.n_failed, inst.n_skipped


def standing(inst: Instance) -> tuple[int, int, int]:
    """(success, failed, skipped) of the upstreams as they stand."""
    run = inst.run
    states = [as_seen(run, up, inst.ix, run.instances[up].state) for up in run.compiled.upstream[inst.ix]]
    ends = [state for state in states if state in OVER]
    success, skipped = ends.count(State.SUCCESS), ends.count(State.SKIPPED)
    return success, len(ends) - success - skipped, skipped


def _nobody_sleeps(scene: Scene, world: World) -> None:
    """Whoever could start has started: no wake-up is lost."""
    ready = [*world.ready, *world.ready_too]
    valid = [inst for key, inst in ready if inst.queued == key[2] and inst.state is State.READY]
    waiting = {inst.instance_id for inst in valid}
    heads = [
        min(
            ((key, inst) for key, inst in queue if inst.queued == key[2] and inst.state is State.READY),
            key=lambda entry: entry[0],
            default=None,
        )
        for queue in (world.ready, world.ready_too)
    ]
    head = heads[0] or heads[1]
    could = [each[1] for each in heads if each and world.slots.has_room(global_need(each[1].task))]
    if head is not None and len(could) == len([each for each in heads if each]):
        raise AssertionError(
            f"{could[0].task.name} could start"
        )  # the other side's may want more than there is
    resources = {id(r): r for r in world.resources.values()}
    for pool in world.pools.values():
        resources |= {id(r): r for r in pool}
    assert not world.slotless, "a sensor that needs no slot waits in a queue"
    for resource in resources.values():
        both = [*resource.parked, *resource.parked_too]
        parked = [entry for entry in both if entry[1].queued == entry[0][2]]
        parked = [entry for entry in parked if entry[1].state is State.READY]
        waiting |= {inst.instance_id for _, inst in parked}
        if parked and head is None:
            sides = [
                min(side, key=lambda entry: entry[0])[1]
                for side in (
                    [entry for entry in parked if entry in resource.parked],
                    [entry for entry in parked if entry in resource.parked_too],
                )
                if side
            ]
            room = all(resource.has_room(need_of(resource, best.task)) for best in sides)
            assert not room, f"{sides[0].task.name} sleeps on {resource.name}, which has room"
    for budget in world.budgets.values():
        both = [*budget.parked, *budget.parked_too]
        assert not both or budget.wakes is not None, f"nobody wakes who waits for the budget {budget.name}"
        waiting |= {inst.instance_id for _, inst in both}
    for dag in world.dags.values():
        waiting |= set(dag.stuck)
    for inst in world.instances.values():
        if inst.state is State.READY and inst.instance_id not in waiting:
            building = inst.instance_id in scene.builds or inst.built is None
            building = building or (is_summary(inst) and bool(inst.queued))
            zombie = inst.body is not None and bool(inst.body.stopping)
            assert ((inst.task.sensor is not None or is_summary(inst)) and building) or zombie, (
                f"{inst.task.name} is ready and forgotten"
            )
        if inst.state is State.UP_FOR_RETRY:
            assert inst.due is not None


def same(one: World, other: World) -> None:
    """Assert that two worlds say the same of everything that must survive a crash."""
    assert _ids(one) == _ids(other)
    assert one.alarms == other.alarms
    assert one.expected == other.expected
    assert one.marks == other.marks
    assert _of_approvals(one) == _of_approvals(other)
    assert _of_ledger(one) == _of_ledger(other)
    spent = [
        {b.name: (b.since, b.spent, b.by_backfills) for b in world.budgets.values() if b.spent}
        for world in (one, other)
    ]
    assert spent[0].items() <= spent[1].items(), "what was spent of a budget is forgotten"
    assert set(one.runs) == set(other.runs)
    for run_id, run in one.runs.items():
        assert _of_run(run) == _of_run(other.runs[run_id])
    assert set(one.instances) == set(other.instances)
    for inst_id, inst in one.instances.items():
        assert _of_instance(inst) == _of_instance(other.instances[inst_id])
    assert {wait_id: _of_wait(wait) for wait_id, wait in one.waits.items()} == {
        wait_id: _of_wait(wait) for wait_id, wait in other.waits.items()
    }
    for name, dag in one.dags.items():
        assert _of_dag(dag) == _of_dag(other.dags[name])
    if not one.agenda:
        for inst_id, inst in one.instances.items():
            if inst.state is State.PENDING:
                assert counted(inst) == counted(other.instances[inst_id])
    assert _of_assets(one) == _of_assets(other)
    assert other.assets.expiring.items() <= one.assets.expiring.items(), "an expiry is forgotten"
    assert {i: _of_backfill(b) for i, b in one.backfills.items()} == {
        i: _of_backfill(b) for i, b in other.backfills.items()
    }
    assert {i: _of_plan(plan) for i, plan in one.plans.items()} == {
        i: _of_plan(plan) for i, plan in other.plans.items()
    }
    assert one.assets.plans == other.assets.plans
    for name, pool in one.pools.items():
        assert pool[1].used >= other.pools[name][1].used, f"pool {name}: more is in flight after a restart"
        left = sum(bool(inst.held) and inst.state is State.READY for inst in one.instances.values())
        assert pool[1].used - left <= other.pools[name][1].used, f"pool {name}: in flight is forgotten"


def _ids(world: World) -> dict[str, int]:
    return world.next_id


def _of_approvals(world: World) -> list[tuple[Any, ...]]:
    return [
        tuple(getattr(each, part) for part in Approval.__slots__) for each in world.approvals.open.values()
    ]


def _of_ledger(world: World) -> dict[int, tuple[Any, ...]]:
    return {
        each.delivery_id: tuple(getattr(each, part) for part in Delivery.__slots__)
        for each in world.ledger.pending.values()
    }


def _of_backfill(b: Backfill) -> tuple[Any, ...]:
    return (
        b.dag.name, b.state, b.reason, b.options, b.plan_hash, b.created,
        {state: n for state, n in b.counts.items() if n},
        [(s.place, s.fires, s.start, s.end, s.state, s.run_id) for s in sorted(spans_of(b), key=lambda s: s.place)],
    )  # fmt: skip


def _of_run(run: Run) -> tuple[Any, ...]:
    return (
        run.state, run.started, run.deadline, run.reason, run.kind, run.version_id, run.meta, run.open, run.bad,
        len(run.instances), run.choices, run.closing,
    )  # fmt: skip


def _of_instance(inst: Instance) -> tuple[Any, ...]:
    return (
        inst.run.run_id, inst.task, inst.state, inst.attempt, inst.failures, inst.lost, inst.attempt_id, inst.since,
        inst.due, inst.deadline, inst.reason, inst.map_index, _of_fan(inst.fan), sorted(wait.wait_id for wait in open_waits(inst)),
    )  # fmt: skip


def _of_fan(fan: Fan | None) -> tuple[Any, ...] | None:
    if fan is None:
        return None
    return (
        fan.items, fan.made, fan.rows, fan.keeps, fan.success, fan.failed, fan.skipped, fan.cancelled,
        fan.ready, sorted(fan.children), sorted(fan.former),
    )  # fmt: skip


def _of_wait(wait: Any) -> tuple[Any, ...]:
    return (
        wait.inst.instance_id,
        wait.attempt_id,
        wait.key,
        wait.kind,
        wait.trigger,
        wait.deadline,
        wait.poll,
    )


def _of_standing(held: Any) -> tuple[Any, ...]:
    return (
        held.dag.name, held.kind, held.trigger, held.poll, held.since, held.firings, held.fired, held.had,
    )  # fmt: skip


def _of_dag(dag: Any) -> tuple[Any, ...]:
    return (
        dag.dag_id, dag.version_id, dag.hash, dag.schedule_json, dag.options, dag.paused, dag.removed, dag.anchor,
        dag.watermark, dag.next_fires, dag.active_runs, dag.runs, dag.tz, dag.backlog, dag.file,
        dag.coded,
        {held_id: _of_standing(held) for held_id, held in dag.standing.items()},
    )  # fmt: skip


def _idle(world: World, dag: Any) -> bool:
    """Whether nothing of its schedule may happen now."""
    return bool(dag.code_error or dag.paused or dag.removed) or not world.scheduling


def _of_assets(world: World) -> dict[str, Any]:
    """What must be known of assets: the newest versions, the cursors, what is pending, what runs are open."""
    return {
        "last": {asset.name: (asset.asset_id, asset.last) for asset in world.assets.named.values()},
        "consumers": {
            dag_id: (
                consumer.schedule, consumer.cursors, consumer.pending.rule, sorted(each.key for each in consumer.pending),
                consumer.pending.groups, consumer.open_runs,
            )
            for dag_id, consumer in world.assets.consumers.items()
        },
        "catalog": [getattr(world.assets.catalog, part) for part in Catalog.__slots__],
        "open": {
            one.version_id: [getattr(one, part) for part in Open.__slots__] for one in world.assets.open.values()
        },
        "making": {attempt: sorted(of) for attempt, of in world.assets.making.items()},
        "of_interval": {span: sorted(of) for span, of in world.assets.of_interval.items()},
        "looks": {who: set(names) for who, names in world.assets.looks.items()},
        "looking": {name: set(who) for name, who in world.assets.looking.items()},
        "settled": dict(world.assets.settled),
        "spreading": sorted(world.assets.spreading),
        "bulks": sorted(world.bulks),
        "invalidated": world.assets.invalidated,
        "stale": {asset.name: asset.stale for asset in world.assets.named.values() if asset.stale is not None},
        "woken": {name: sorted(asset.consumers) for name, asset in world.assets.named.items() if asset.consumers},
    }  # fmt: skip
