"""The world built again from rows: at a start, after a batch that was refused, for an old run.

Restoring decides nothing. What died with the former process is settled by `recovery.py`, in a turn
like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from bide.runtime import typed
from bide.runtime.engine import approving, budgets, control
from bide.runtime.engine.admission import hold_life, hold_slot
from bide.runtime.engine.assets import deliveries
from bide.runtime.engine.assets.restoring import restore_assets, restore_open
from bide.runtime.engine.backfill_state import Backfill, BackfillOptions, Span
from bide.runtime.engine.fan import Fan
from bide.runtime.engine.life import count_end
from bide.runtime.engine.messages import RunMeta
from bide.runtime.engine.plan_state import restore_plans
from bide.runtime.engine.runs import queue
from bide.runtime.engine.states import OVER, RUN_OVER, AttemptState, IntervalState, RunState, State, WaitState
from bide.runtime.engine.turn import ALARMS
from bide.runtime.engine.world import (
    Alarm,
    Attempt,
    DagState,
    Due,
    Expected,
    Instance,
    Run,
    Standing,
    Wait,
    World,
)
from bide.runtime.graph.compile import Compiled, compile_spec
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import schedule_from_json

if TYPE_CHECKING:
    from bide.runtime.store.facts import EndedWaitRow
    from bide.runtime.store.world_rows import (
        AttemptRow,
        DagRow,
        ExpansionRow,
        InstanceRow,
        RunRow,
        RunRows,
        StandingRow,
        VersionRow,
        WaitRow,
        WorldRows,
    )

AT_ONCE = 2_000
"""Instances of one run that one slice brings back."""
_BAD = frozenset({State.FAILED, State.UPSTREAM_FAILED})
_IN_FLIGHT = frozenset({State.RUNNING, State.DEFERRED, State.UP_FOR_RETRY})
"""Begun and not over: these keep their whole-life resources; a ready one asks for them again."""


def restore(world: World, rows: WorldRows, graphs: Mapping[str, DagSpec] | None = None) -> None:
    """Fill an empty world. Timers are set for everything that has an instant.

    `graphs` are the graphs that are loaded, by hash: a version that is one of them is not decoded.
    """
    last = rows.last
    world.bulks = dict.fromkeys(rows.bulks)
    world.next_id = {kind: getattr(last, kind) + 1 for kind in world.next_id}
    for version in rows.versions:
        graph = graphs.get(version.hash) if graphs else None
        if graph is not None:
            world.compiled[version.version_id] = compile_spec(graph)
        else:
            _version(world, version)
    hashes = {version.version_id: version.hash for version in rows.versions}
    for row in rows.dags:
        world.add_dag(_dag(world, row, hashes))
    by_id = world.dag_of
    for code in rows.coded:
        by_id[code.dag_id].coded = code.version_id, code.source, code.file
    restore_assets(world, rows, by_id)
    owners = _backfills(world, rows, by_id)
    budgets.restore(world, [(row.name, row.since_us, row.spent, row.by_backfills) for row in rows.budgets])
    for run_row in rows.runs:
        run = _run(world, run_row, by_id[run_row.dag_id])
        run.backfill = owners.get(run.run_id)
        enter(world, run)
    expansions = {row.instance_id: row for row in rows.expansions}
    for inst_row in rows.instances:
        _instance(world, world.runs[inst_row.run_id], inst_row, expansions)
    for closing in rows.closing:
        world.runs[closing.run_id].closing = closing.reason
    for choice in rows.choices:
        control.remember(world.runs[choice.run_id], choice.task, choice.chosen)
    attempts = {row.attempt_id: row for row in rows.attempts}
    for run in world.runs.values():
        count(run)
        for inst in run.everyone():
            world.instances[inst.instance_id] = inst
            _note_attempt(inst, attempts)
            if inst.state in _IN_FLIGHT:
                hold_life(world, inst)
    for wait_row in rows.waits:
        _wait(world, wait_row)
    kinds = {stored: kind for kind, stored in ALARMS.items()}
    for alarm in rows.alarms:
        kind = kinds[alarm.kind]
        world.alarms[kind, alarm.subject_id] = Alarm(alarm.due_us, alarm.span_us, alarm.said)
        world.timer(alarm.due_us, kind, alarm.subject_id)
    for each in rows.expected:
        world.expected.setdefault(each.dag_id, {})[each.asset] = Expected(
            each.start_us, each.end_us, each.fires_us, each.due_us, each.said
        )
        world.timer(each.due_us, Due.ASSET_ALERT, each.dag_id)
    approving.restore(world, rows)
    restore_plans(world, rows)
    restore_open(world, rows)
    deliveries.restore(world, rows)
    world.marks.update({(mark.dag_id, mark.task): mark.end_us for mark in rows.marks})
    for held_row in rows.standing:
        _standing(world, held_row)
    for mark in rows.standing_marks:
        world.standing[mark.standing_id].had[mark.name] = mark.mark


def _backfills(world: World, rows: WorldRows, dags: Mapping[int, DagState]) -> dict[int, Backfill]:
    """Unfinished backfills with what is left of their intervals; run id -> whose run it is."""
    for row in rows.backfills:
        options = typed.decode(row.options, BackfillOptions)
        b = Backfill(row.backfill_id, dags[row.dag_id], options, row.plan_hash, row.created_us)
        b.state = row.state
        b.reason = row.reason
        world.backfills[b.backfill_id] = b
    for count in rows.interval_counts:
        world.backfills[count.backfill_id].counts[count.state.value] = count.n
    owners: dict[int, Backfill] = {}
    for each in rows.intervals:
        b = world.backfills[each.backfill_id]
        span = Span(each.place, each.fires_us, each.start_us, each.end_us, each.state, each.run_id)
        if each.state is IntervalState.RUNNING and each.run_id is not None:
            b.runs[each.run_id] = span
            owners[each.run_id] = b
        else:
            b.pending.append(span)
    return owners


def run_of(world: World, rows: RunRows) -> Generator[None, None, Run]:
    """One run brought back, only to be looked at: `take_up` makes it a part of the world."""
    dag = world.dag_of[rows.run.dag_id]
    _version(world, rows.version)
    run = _run(world, rows.run, dag)
    expansions = {row.instance_id: row for row in rows.expansions}
    for at, row in enumerate(rows.instances, 1):
        _instance(world, run, row, expansions)
        if not at % AT_ONCE:
            yield
    for choice in rows.choices:
        control.remember(run, choice.task, choice.chosen)
    count(run)
    return run


def take_up(world: World, run: Run) -> None:
    """A run that was brought back goes on."""
    enter(world, run)
    for inst in run.everyone():
        world.instances[inst.instance_id] = inst
    _find_bodies(world, run)


def _find_bodies(world: World, run: Run) -> None:
    """A body that did not stop when its run ended still is the body of its instance."""
    for body in world.attempts.values():
        if body.inst.run.run_id == run.run_id and body.inst.instance_id in world.instances:
            body.inst = world.instances[body.inst.instance_id]
            body.inst.body = body


def enter(world: World, run: Run) -> None:
    """Make a run a part of the world. A newer run keeps the place of its logical date."""
    world.runs[run.run_id] = run
    run.dag.runs.add(run.run_id)
    if run.backfill is not None or run.apart:
        run.dag.owned.add(run.run_id)
    if not run.unseen:
        where = (run.dag.dag_id, run.meta.logical_us)
        world.run_at[where] = max(run.run_id, world.run_at.get(where, 0))
    world.assets.opened(run.dag.dag_id, run.kind, run.run_id)
    if run.state is RunState.QUEUED:
        queue(run)
    elif run.state is RunState.RUNNING and run.backfill is None and not run.apart:
        run.dag.active_runs += 1
    if run.deadline is not None and run.state not in RUN_OVER:
        world.timer(run.deadline, Due.RUN, run.run_id)


def count(run: Run) -> None:
    """Counters of a run and of its instances, from the states of all."""
    run.open = len(run.compiled.tasks) - sum(inst.state in OVER for inst in run.instances)
    run.bad = sum(inst.state in _BAD and inst.task.fails_run for inst in run.instances)
    downstream = run.compiled.downstream
    for inst in run.instances:
        if inst.state in OVER:
            for below in downstream[inst.ix]:
                if below < len(run.instances):
                    count_end(run.instances[below], control.as_seen(run, inst.ix, below, inst.state))


def _version(world: World, row: VersionRow) -> Compiled:
    compiled = world.compiled.get(row.version_id)
    if compiled is None:
        compiled = compile_spec(typed.decode(row.spec, DagSpec))
        world.compiled[row.version_id] = compiled
    return compiled


def _dag(world: World, row: DagRow, hashes: dict[int, str]) -> DagState:
    dag = DagState(row.dag_id, row.name)
    dag.file = row.file
    dag.version_id = row.version_id
    if row.version_id is not None:
        dag.compiled = world.compiled[row.version_id]
        dag.in_order = dag.compiled.in_order
        dag.hash = hashes[row.version_id]
        dag.tz = dag.compiled.spec.tz
    dag.schedule_json = row.schedule
    dag.schedule = schedule_from_json(row.schedule)
    dag.options = msgspec.json.decode(row.options)
    dag.paused = row.paused
    dag.removed = bool(row.removed)
    dag.anchor = row.anchor_us
    dag.watermark = row.watermark_us
    dag.next_fires = row.next_fires_us
    dag.backlog = typed.decode(row.backlog, list[tuple[int, int, int]])
    if dag.next_fires is not None:
        world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    return dag


def _run(world: World, row: RunRow, dag: DagState) -> Run:
    meta = RunMeta(
        row.run_id,
        dag.name,
        row.logical_us,
        row.start_us,
        row.end_us,
        row.scheduled_us,
        row.params.encode(),
        dag.tz,
    )
    run = Run(row.run_id, dag, row.version_id, world.compiled[row.version_id], meta)
    run.kind = row.kind
    run.state = row.state
    run.created = row.created_us
    run.started = (
        row.ended_us if row.started_us is None else row.started_us
    )  # ended in the queue, and opened again
    run.deadline = row.deadline_us
    run.reason = row.reason
    return run


def _instance(world: World, run: Run, row: InstanceRow, expansions: Mapping[int, ExpansionRow]) -> None:
    if row.map_index >= 0:
        child = _child(run, row)
        if child is None:
            return
        inst = child
    else:
        inst = instance_of(run, row)
        run.instances.append(inst)
        expansion = expansions.get(row.instance_id)
        if expansion is not None:
            inst.fan = Fan(inst)
            inst.fan.begin(expansion.items, keeps=bool(expansion.keeps))
            inst.fan.made = expansion.made
    if row.state not in OVER:
        if inst.deadline is not None:
            world.timer(inst.deadline, Due.DEADLINE, inst.instance_id)
        if inst.due is not None:
            world.timer(inst.due, Due.RETRY, inst.instance_id)


def _child(run: Run, row: InstanceRow) -> Instance | None:
    """One instance of a mapped task; None for one that is over, of which only the end is counted."""
    summary = run.instances[run.compiled.index[row.task]]
    fan = summary.fan
    if fan is None:
        fan = summary.fan = Fan(summary)
    fan.rows = max(fan.rows, row.map_index + 1)
    if row.state not in OVER:
        fan.ready += row.state is State.READY
        fan.children[row.map_index] = child = instance_of(run, row)
        child.fan = fan
        return child
    if row.map_index < fan.made:
        if row.map_index < fan.items:
            fan.count(row.state)
    elif summary.state is State.MAPPED:
        fan.former[row.map_index] = former = instance_of(run, row)
        former.fan = fan
    return None


def instance_of(run: Run, row: InstanceRow) -> Instance:
    """The instance of a row, not yet a part of the world."""
    inst = Instance(row.instance_id, run, run.compiled.index[row.task], row.since_us)
    inst.map_index = row.map_index
    inst.state = row.state
    inst.attempt = row.attempt
    inst.failures = row.failures
    inst.lost = row.lost
    inst.attempt_id = row.attempt_id
    inst.due = row.due_us
    inst.deadline = row.deadline_us
    inst.reason = row.reason
    return inst


def _note_attempt(inst: Instance, attempts: dict[int, AttemptRow]) -> None:
    if inst.attempt_id is not None and inst.state not in OVER:
        row = attempts.get(inst.attempt_id)
        inst.inherits = row is not None and row.state is AttemptState.LOST
        inst.going = row is not None and row.state is AttemptState.RUNNING


def _wait(world: World, row: WaitRow) -> None:
    inst = world.instances[row.instance_id]
    wait = Wait(
        row.wait_id,
        inst,
        row.attempt_id,
        row.key,
        row.trigger.encode(),
        row.kind,
        row.created_us,
        row.deadline_us,
        row.poll_us,
    )
    world.waits[row.wait_id] = wait
    world.timer(wait.deadline, Due.WAIT, wait.wait_id)
    if row.key == "":
        inst.wait = wait
    else:
        inst.waits = {**(inst.waits or {}), row.key: wait}


def _standing(world: World, row: StandingRow) -> None:
    dag = world.dag_of[row.dag_id]
    held = Standing(row.standing_id, dag, row.kind, row.trigger.encode(), row.poll_us, row.since_us)
    held.firings = row.firings
    held.fired = row.fired_us
    if row.event_key:
        held.had[""] = row.event_key
    world.standing[row.standing_id] = dag.standing[row.standing_id] = held


def adopt(world: World, former: World, bodies: frozenset[int], armed: frozenset[int], now: int) -> None:
    """After a batch was refused: link the bodies that still go, and the waits that are still armed.

    What no row tells, how long a body has been active, is taken over from the `former` world. Of
    that only the bodies are looked at: the rest is as the refused batch left it.
    """
    for inst in world.instances.values():
        attempt_id = inst.attempt_id
        if attempt_id is not None and attempt_id in bodies and attempt_id not in world.attempts:
            _adopt(world, inst, attempt_id, former.attempts.get(attempt_id), now)
    for was in former.attempts.values():
        if was.attempt_id in bodies and was.inst.instance_id not in world.instances:
            _adopt(world, _outlived(world, was), was.attempt_id, was, now)
    for wait_id in armed:
        wait = world.waits.get(wait_id) or world.standing.get(wait_id)
        if wait is not None:
            wait.armed = True


def _adopt(world: World, inst: Instance, attempt_id: int, was: Attempt | None, now: int) -> None:
    body = Attempt(attempt_id, inst, inst.attempt, now)
    if was is not None:
        body.started = was.started
        body.active = was.active + (now - was.active_from if was.active_from is not None else 0)
    inst.body = body
    world.attempts[attempt_id] = body
    if not inst.going:  # it was told to stop and has not: it keeps its slot until it has
        body.stopping = "its attempt has ended"
        if was is None or was.active_from is not None:
            hold_slot(world, body, now)
    elif inst.state is State.RUNNING:
        hold_slot(world, body, now)
        if inst.task.timeout_us is not None:
            body.limit = now + max(inst.task.timeout_us - body.active, 0)
            world.timer(body.limit, Due.TIMEOUT, body.attempt_id)


def _outlived(world: World, was: Attempt) -> Instance:
    """The instance of a body whose run is over: no part of the world, but what its slot is counted for."""
    old = was.inst.run
    compiled = world.compiled.setdefault(old.version_id, old.compiled)
    run = Run(old.run_id, world.dags[old.dag.name], old.version_id, compiled, old.meta)
    run.state = RunState.CANCELLED
    inst = Instance(was.inst.instance_id, run, was.inst.ix, was.inst.since)
    inst.map_index = was.inst.map_index
    inst.state = State.CANCELLED
    inst.attempt = was.number
    inst.attempt_id = was.attempt_id
    return inst


def undelivered(world: World, awaited: Mapping[int, Collection[str]]) -> dict[int, Collection[str]]:
    """Of what bodies wait for, by attempt: what may have ended while the body had no slot to hear of it."""
    return {
        attempt_id: awaited[attempt_id]
        for attempt_id, body in world.attempts.items()
        if body.inst.state is State.READY and not body.stopping and awaited.get(attempt_id)
    }


def refill(world: World, ended: Iterable[EndedWaitRow]) -> None:
    """Give bodies that want a slot the answers that they get with it."""
    for row in ended:
        body = world.attempts[row.attempt_id]
        inst = body.inst
        wait = Wait(
            row.wait_id,
            inst,
            row.attempt_id,
            row.key,
            b"",
            row.kind,
            row.created_us,
            row.deadline_us,
            row.poll_us,
        )
        wait.ended = True
        wait.event = row.event.encode() if row.event is not None else None
        wait.error = row.reason if row.event is None else ""
        wait.timed_out = row.state is WaitState.TIMED_OUT
        inst.waits = {**(inst.waits or {}), row.key: wait}
        body.answers = [*(body.answers or ()), wait]
