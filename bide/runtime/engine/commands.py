"""What a person or a program may ask of the engine, verb by verb.

A handler raises a `BideError` before it has changed anything, or changes all of it; its answer is
handed out after the commit. The arguments of each verb stand beside its handler.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.clock import LAST_US, from_us
from bide.runtime.engine import (
    alerting,
    answering,
    approval_commands,
    backfill_commands,
    bulk,
    control,
    firing,
    hooking,
    life,
    mapping,
    matching,
    noticing,
    pausing,
    plan_commands,
    retention,
    runs,
    standing,
    tokens,
    triggering,
    waiting,
)
from bide.runtime.engine.assets import accepting, incidents
from bide.runtime.engine.assets.commands import asset_drop, asset_replay
from bide.runtime.engine.assets.invalidating import asset_invalidate
from bide.runtime.engine.assets.using import asset_use
from bide.runtime.engine.messages import RunOpened
from bide.runtime.engine.restore import run_of, take_up
from bide.runtime.engine.states import OVER, RUN_OVER, RunState, State, WaitState
from bide.runtime.engine.turn import Slices, Turn, Whole
from bide.runtime.engine.world import Due, Instance, Run, Wait
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.spec import Role, TriggerRule

if TYPE_CHECKING:
    from bide.runtime.store.world_rows import InstanceRow

Args = dict[str, Any]


# --- cancel, pause -------------------------------------------------------------------------------


def cancel(t: Turn, args: Args) -> Whole:
    """{run_id, reason} -> {run_id, state}. One of a run that is over: refused.

    The state is `running` while tear-downs go on; a second cancel ends those.
    """
    run = t.world.runs.get(args["run_id"])
    if run is None:
        rows = t.fact("run", args["run_id"])
        if rows is None:
            raise NotFoundError(f"there is no run {args['run_id']}: `bide runs` lists them")
        raise RefusedError(f"run {args['run_id']} is over already: it is {rows.run.state}")
    yield from runs.cancel_run(t, run, args.get("reason") or "cancelled by hand")
    return {"run_id": run.run_id, "state": run.state.value}


def pause(t: Turn, args: Args) -> Whole:
    """{dag} -> {dag, paused}."""
    dag = triggering.known_dag(t, args)
    yield from pausing.pause(t, dag, args.get("reason") or "by hand")
    return {"dag": dag.name, "paused": True}


def unpause(t: Turn, args: Args) -> Whole:
    """{dag} -> {dag, paused}."""
    dag = triggering.known_dag(t, args)
    yield from pausing.unpause(t, dag, args.get("reason") or "by hand")
    return {"dag": dag.name, "paused": False}


# --- rerun, mark ---------------------------------------------------------------------------------


def _take_up(t: Turn, run: Run) -> None:
    """Bring the run into the world again if it had left it. Leaves the database as it is."""
    if run.run_id not in t.world.runs:
        take_up(t.world, run)


_BEGUN = frozenset(State) - OVER - {State.PENDING, State.LOST}
_EARLY = frozenset({TriggerRule.ONE_SUCCESS, TriggerRule.ONE_FAILED, TriggerRule.ALWAYS})
_AGAIN = frozenset({State.FAILED, State.UPSTREAM_FAILED, State.CANCELLED, State.LOST})


def rerun(t: Turn, args: Args) -> Whole:
    """{run_id, task | None, downstream, whole, map_index | None} -> {run_id, tasks}.

    Without a task: what failed, was cancelled or lost, and what could not start for it; successes
    keep their state. With one: that task (or each that matches, `group.*`), and downstream what could
    not start (all of it, when `downstream` is said). `whole`: every task. Of a mapped task those instances that did not succeed,
    or the one of `map_index`; all of them, when what it is mapped over is rerun as well.
    """
    run = yield from _peek(t, args["run_id"])
    plan_commands.refuse_steps(run)
    if run.closing:
        raise RefusedError(f"run {run.run_id} is {control.CLOSING}: wait for them, or cancel it once more")
    if len(run.instances) < len(run.compiled.tasks):
        raise RefusedError(f"run {run.run_id} was never made whole: trigger it anew, and say new")
    task, index = args.get("task"), args.get("map_index")
    if args.get("whole"):
        chosen = set(range(len(run.instances)))
    elif task is not None:
        chosen = {inst.ix for inst in matching.named(run, task, index)}
        below = _below(run, *chosen)
        cut_off = _below(run, *(chosen & run.choices.keys()))  # a branch that runs again may choose otherwise
        chosen |= {d for d in below if args.get("downstream") or run.instances[d].state in _AGAIN}
        chosen |= {d for d in cut_off if run.instances[d].state is State.SKIPPED}
    else:
        chosen = {
            inst.ix
            for inst in run.instances
            if inst.state in _AGAIN
            or (inst.state is State.MAPPED and mapping.opens_in_part(run, inst.ix, set()))
        }
        chosen |= {d for d in _below(run, *chosen) if run.instances[d].state in OVER}
    chosen |= control.made_again(run, chosen)
    chosen |= _beside(run, chosen)
    parts = {ix for ix in chosen if not args.get("whole") and mapping.opens_in_part(run, ix, chosen)}
    one: InstanceRow | None = None
    if task is not None and index is not None:
        parts.add(ix := matching.one(run, task).ix)
        one = _one(t, run, ix, index)
    busy = [
        run.instances[ix]
        for ix in sorted(chosen - parts)
        if run.instances[ix].state not in OVER | {State.LOST}
    ]
    if busy:
        still = ", ".join(inst.task.name for inst in busy[:5])
        raise RefusedError(
            f"in run {run.run_id} these have not ended: {still}; cancel the run, or wait for them"
        )
    _refuse_begun(run, chosen, "rerun")
    if not chosen:
        raise RefusedError(f"run {run.run_id} has nothing to rerun: say which task, or rerun it as a whole")
    rows = {ix: mapping.rows_of(t, run, ix) for ix in sorted(parts)} if index is None else {}
    _take_up(t, run)
    names = [run.instances[ix].task.name for ix in sorted(chosen)]
    reopen(t, run, args.get("reason") or "rerun by hand")
    for ix in sorted(chosen):
        if ix not in parts:
            yield from _reset(t, run.instances[ix])
        elif index is not None:
            mapping.open_one(t, run.instances[ix], index, one)
        else:
            yield from mapping.open_in_part(t, run.instances[ix], rows[ix])
    yield from _judge_anew(t, run, chosen)
    return {"run_id": run.run_id, "tasks": names}


def _refuse_begun(run: Run, again: set[int], what: str, roles: frozenset[Role] = frozenset(Role)) -> None:
    """Refuse to open again what others go on from that have begun and not ended."""
    below = sorted({d for ix in again for d in run.compiled.downstream[ix]} - again)
    begun = [inst for d in below if (inst := run.instances[d]).state in _BEGUN]
    begun = [inst for inst in begun if inst.task.rule not in _EARLY and inst.task.role in roles]
    if begun:
        raise RefusedError(
            f"in run {run.run_id} {', '.join(inst.task.name for inst in begun[:5])} goes on from what is to be "
            f"{what}, and has not ended: wait for it, or cancel the run"
        )


def _rearmed(those: list[Instance]) -> set[int]:
    """What a mark of instances opens again: what did not start for how those of them that are over had ended."""
    run = those[0].run
    over = [inst.ix for inst in those if inst.state in OVER]
    below = _below(run, *over) - {inst.ix for inst in those}
    return {d for d in below if run.instances[d].state in _NOT_STARTED}


def _one(t: Turn, run: Run, ix: int, index: int) -> InstanceRow | None:
    """The row of one instance of a mapped task that may be rerun; None when it is lost, and no row needed."""
    child = mapping.child_at(run, ix, index)
    if child is None:
        return mapping.row_of(t, run, ix, index)
    if child.state is not State.LOST:
        raise RefusedError(
            f"in run {run.run_id} {child.task.name}[{index}] has not ended: it is {child.state.value}"
        )
    return None


def _peek(t: Turn, run_id: int) -> Generator[None, None, Run]:
    """The run to look at, before anything is changed; not yet a part of the world."""
    run = t.world.runs.get(run_id)
    if run is not None:
        life.spread_now(t, run)
        return run
    rows = t.fact("run", run_id)
    if rows is None:
        raise NotFoundError(f"there is no run {run_id}: `bide runs` lists them")
    return (yield from run_of(t.world, rows))


def _judge_anew(t: Turn, run: Run, moved: set[int]) -> Slices:
    """Count the upstreams of what moved, and of what stands right below it and still waits; judge it."""
    below = {d for ix in moved for d in run.compiled.downstream[ix]}
    again = [run.instances[ix] for ix in sorted(moved | below) if run.instances[ix].state is State.PENDING]
    for inst in again:
        if t.budget <= 0:
            yield
        t.budget -= 1
        _recount(run, inst)
    for inst in again:
        if t.budget <= 0:
            yield
        t.budget -= 1
        if inst.state is State.PENDING:
            life.judge(t, inst)


def _below(run: Run, *those: int) -> set[int]:
    found: set[int] = set()
    edge = [d for ix in those for d in run.compiled.downstream[ix]]
    while edge:
        at = edge.pop()
        if at not in found:
            found.add(at)
            edge.extend(run.compiled.downstream[at])
    return found


def _beside(run: Run, chosen: set[int], *, but: Role | None = None) -> set[int]:
    """The handlers and callbacks that hear of what is to run again: they may start again for it."""
    found: set[int] = set()
    edge = list(chosen) if run.compiled.handled else []
    while edge:
        for ix in run.compiled.downstream[edge.pop()]:
            inst = run.instances[ix]
            if inst.task.role not in (Role.TASK, but) and ix not in found and inst.state is not State.PENDING:
                found.add(ix)
                edge.append(ix)
    return found


def _heard_anew(run: Run, marked: set[int], state: State, rearmed: set[int]) -> list[Instance]:
    """Those beside the graph that may start again by a mark: for what it sets going, for a new failure."""
    going = any(run.instances[ix].task.role is Role.TASK for ix in rearmed)
    chosen = rearmed | (marked if state is State.FAILED else set())
    found = _beside(run, chosen, but=None if going else Role.ON_SUCCESS)
    return [run.instances[ix] for ix in sorted(found - rearmed) if run.instances[ix].state in OVER]


def reopen(t: Turn, run: Run, reason: str) -> None:
    """A finished run goes on: it takes its place among the active ones, whatever the cap."""
    if run.state in RUN_OVER:
        run.deadline = None
        if run.started is None:  # it was ended while it was queued
            run.started = t.now
        if run.backfill is None and not run.apart:
            run.dag.active_runs += 1
        t.effects.append(RunOpened(run.meta))
        alerting.run_again(t, run)
        t.move_run(run, RunState.RUNNING, reason)


def _reset(t: Turn, inst: Instance) -> Slices:
    """Make an instance as if it had not run; its attempts, events and waits stay on record."""
    if t.budget <= 0:
        yield
    t.budget -= 1
    run = inst.run
    if inst.state in OVER:
        run.open += 1
        run.bad -= inst.task.fails_run and inst.state in (State.FAILED, State.UPSTREAM_FAILED)
    control.forget(t, inst)
    inst.failures = inst.lost = 0
    inst.inherits = False
    inst.deadline = inst.due = None
    inst.wait = inst.waits = inst.built = None
    mapping.void(t, inst)
    t.changes.outputs_gone.append((inst.instance_id,))
    t.move(inst, State.PENDING, "rerun")
    if inst.task.alert is not None:
        alerting.task_again(t, inst)


def _recount(run: Run, inst: Instance) -> None:
    inst.n_success = inst.n_failed = inst.n_skipped = 0
    for up in run.compiled.upstream[inst.ix]:
        state = run.instances[up].state
        if state in OVER:
            life.count_end(inst, control.as_seen(run, up, inst.ix, state))


_MARKS = {state.value: state for state in (State.SUCCESS, State.FAILED, State.SKIPPED)}


def mark(t: Turn, args: Args) -> Whole:
    """{run_id, task, state: success | failed | skipped, map_index | None, downstream} -> {run_id, task, state}.

    An attempt that is going is told to stop. A mark on a finished run opens it while what stands
    downstream is decided anew, if it had not started. Of a mapped task what has not ended is marked
    with it; with `map_index` that instance alone, by which its task may end otherwise. `downstream`:
    every task below becomes the same; nothing is run again by a mark (C70). A `task` with * or ? means
    each that matches, in one transaction.
    """
    state = _MARKS.get(args["state"])
    if state is None:
        raise UsageError(f"a task cannot be marked {args['state']!r}: success, failed or skipped")
    peeked = yield from _peek(t, args["run_id"])
    if peeked.run_id not in t.world.plan_runs:
        plan_commands.refuse_steps(peeked)
    meant = matching.named(peeked, args["task"], args.get("map_index"))
    for each in meant:
        _refuse_beside_callback(each)
    if peeked.closing and any(each.state in OVER for each in meant):
        raise RefusedError(
            f"run {peeked.run_id} is {control.CLOSING}: mark those, wait for them, or cancel it once more"
        )
    reason = args.get("reason") or "marked by hand"
    if args.get("map_index") is None and not args.get("downstream"):
        meant = [each for each in meant if each.state is not state]
    if not meant:
        raise RefusedError(f"{args['task']} of run {args['run_id']} is {state.value} already")
    if not args.get("downstream"):
        _refuse_begun(peeked, _rearmed(meant), "opened again by that", roles=frozenset({Role.TASK}))
    if args.get("map_index") is not None:
        if args.get("downstream"):
            raise UsageError(f"downstream of {args['task']} as a whole: leave [{args['map_index']}] out")
        return (yield from _mark_one(t, meant[0], args["map_index"], state, reason))
    if peeked.state in (RunState.EXPANDING, RunState.QUEUED):
        raise RefusedError(f"run {args['run_id']} has not started: wait for its place, or cancel it")
    _take_up(t, peeked)
    those = meant
    done = {"run_id": peeked.run_id, "task": args["task"], "state": state.value}
    if args.get("downstream"):
        return {**done, "tasks": (yield from _mark_below(t, those, state, reason))}
    yield from _mark(t, those, state, reason)
    return (
        {**done, "tasks": [each.task.name for each in those]} if matching.is_pattern(args["task"]) else done
    )


def skip(t: Turn, args: Args) -> Any:
    """{run_id, task, map_index | None, downstream} -> {run_id, task, state}: it is not to run, and that is well."""
    return mark(t, {**args, "state": State.SKIPPED.value, "reason": args.get("reason") or "skipped by hand"})


def _mark_below(
    t: Turn, those: list[Instance], state: State, reason: str
) -> Generator[None, None, list[str]]:
    """Mark tasks and every task below them, whatever they are; handlers and callbacks are judged by it."""
    run = those[0].run
    ixs = [inst.ix for inst in those]
    below = [run.instances[d] for d in sorted(_below(run, *ixs).difference(ixs))]
    marked = [each for each in [*those, *below] if each.state is not state and each.task.role is Role.TASK]
    beside = [run.instances[ix] for ix in sorted(_beside(run, {each.ix for each in marked}))]
    anew = [
        each
        for each in beside
        if each.state is State.SKIPPED
        or (state is State.FAILED and each.state in OVER and each.task.role is not Role.ON_SUCCESS)
    ]
    reopen(t, run, reason)
    for each in anew:
        yield from _reset(t, each)
    for each in marked:
        yield from life.ending(t, each, state, reason)
    life.spread_now(t, run)
    yield from _judge_anew(t, run, {each.ix for each in [*marked, *anew]})
    if run.open == 0:
        t.ended_runs.append(run)
    return [each.task.name for each in marked]


def _mark_one(t: Turn, summary: Instance, index: int, state: State, reason: str) -> Whole:
    """Mark one instance of a mapped task; if its task ends otherwise by that, the task is marked so."""
    run_id, name = summary.run.run_id, summary.task.name
    child = mapping.child_at(summary.run, summary.ix, index)
    if child is not None:
        life.end_now(t, child, state, reason)
    else:
        row = mapping.row_of(t, summary.run, summary.ix, index)
        if row.state is state:
            raise RefusedError(f"{name}[{index}] of run {run_id} is {state.value} already")
        run = summary.run
        _take_up(t, run)
        end = mapping.mark_one(t, summary, row, state, reason)
        if summary.state in OVER and summary.state is not end:
            yield from _mark(t, [summary], end, f"[{index}] was {reason}")
        elif summary.state in OVER:
            t.touch(summary, summary.fan.end()[1] if summary.fan is not None else "")
            if run.open == 0:
                reopen(t, run, reason)
                t.ended_runs.append(run)
    return {"run_id": run_id, "task": name, "map_index": index, "state": state.value}


def _mark(t: Turn, those: list[Instance], state: State, reason: str) -> Slices:
    run = those[0].run
    over = [inst for inst in those if inst.state in OVER]
    going = [inst for inst in those if inst.state not in OVER]
    for inst in going:
        yield from life.ending(t, inst, state, reason)
    if over:
        if going:
            life.spread_now(t, run)  # heard of before others are counted anew
        yield from _mark_over(t, over, state, reason, _rearmed(over) - {inst.ix for inst in those})
    if run.open == 0:
        t.ended_runs.append(run)


def _mark_over(t: Turn, over: list[Instance], state: State, reason: str, armed: set[int]) -> Slices:
    """What has ended ends otherwise, and what did not start for how it had ended is decided anew."""
    run = over[0].run
    reopen(t, run, reason)
    rearm = [run.instances[d] for d in sorted(armed)]
    rearm += _heard_anew(run, {inst.ix for inst in over}, state, armed)
    for below in rearm:
        yield from _reset(t, below)
    for inst in over:
        yield from life.ending(t, inst, state, reason)
    yield from _judge_anew(t, run, {inst.ix for inst in (*over, *rearm)})


def _refuse_beside_callback(inst: Instance) -> None:
    """What has ended must not end otherwise while a callback of the graph acts on it."""
    run = inst.run
    if inst.state not in OVER or not run.compiled.handled:
        return
    for ix in run.compiled.downstream[inst.ix]:
        callback = run.instances[ix]
        if callback.task.role in CALLBACKS and callback.state in _BEGUN | {State.LOST}:
            raise RefusedError(
                f"{callback.task.name} of run {run.run_id} has started, as all else had ended, and is "
                f"{callback.state.value}: wait for it, mark it, or cancel the run"
            )


_NOT_STARTED = frozenset({State.UPSTREAM_FAILED, State.SKIPPED})


# --- waits ---------------------------------------------------------------------------------------


def _wait(t: Turn, args: Args) -> Wait:
    wait = t.world.waits.get(args["wait_id"])
    if wait is None:
        if (held := t.world.standing.get(args["wait_id"])) is not None:
            raise standing.of_no_run(held.standing_id, held.dag.name)
        raise NotFoundError(f"there is no open wait {args['wait_id']}: `bide waits` lists those there are")
    return wait


def wait_look(t: Turn, args: Args) -> Any:
    """{wait_id} -> {wait_id}: have it looked at now, also what a schedule waits for."""
    if (held := t.world.standing.get(args["wait_id"])) is not None:
        standing.look(t, held)
        return {"wait_id": held.standing_id}
    wait = _wait(t, args)
    waiting.look_once(t, wait)
    return {"wait_id": wait.wait_id}


def wait_extend(t: Turn, args: Args) -> Any:
    """{wait_id, deadline_us, or by_us: later than the one it has} -> {wait_id, deadline_us}."""
    wait = _wait(t, args)
    deadline = args["deadline_us"] if "deadline_us" in args else min(wait.deadline + args["by_us"], LAST_US)
    if deadline <= t.now:
        raise UsageError(f"the new deadline {from_us(deadline).isoformat()} has passed already")
    wait.deadline = deadline
    t.world.timer(deadline, Due.WAIT, wait.wait_id)
    if wait.inst.wait is wait:
        wait.inst.deadline = deadline
        t.dirty[wait.inst.instance_id] = wait.inst
    t.write_wait(wait)
    t.journal("wait", wait.wait_id, wait.inst.run.run_id, "open", "open", f"extended to {deadline}")
    wait.last_look = False
    if wait.armed and wait.kind not in waiting.SEEN_HERE:
        waiting.disarm(t, wait, "extended")
    if not waiting.is_rescheduled(wait.inst):
        waiting.arm(t, wait)
    return {"wait_id": wait.wait_id, "deadline_us": deadline}


def wait_satisfy(t: Turn, args: Args) -> Any:
    """{wait_id, event} -> {wait_id, state}: as if it had come true, with this event."""
    wait = _wait(t, args)
    firing.fire(t, wait, msgspec.json.encode(args.get("event")), "satisfied by hand")
    return {"wait_id": wait.wait_id, "state": WaitState.FIRED.value}


def wait_fail(t: Turn, args: Args) -> Any:
    """{wait_id, reason} -> {wait_id, state}."""
    wait = _wait(t, args)
    firing.fail(t, wait, args.get("reason") or "failed by hand")
    return {"wait_id": wait.wait_id, "state": WaitState.FAILED.value}


VERBS: dict[str, Callable[[Turn, Args], Any]] = {
    **accepting.VERBS,
    "asset_use": asset_use,
    "asset_drop": asset_drop,
    "asset_invalidate": asset_invalidate,
    "asset_replay": asset_replay,
    answering.ANSWER: answering.answer,
    "trigger": triggering.trigger,
    "cancel": cancel,
    "pause": pause,
    "unpause": unpause,
    "rerun": rerun,
    "mark": mark,
    "skip": skip,
    "wait_look": wait_look,
    "wait_extend": wait_extend,
    "wait_satisfy": wait_satisfy,
    "wait_fail": wait_fail,
    "alert_take": alerting.take,
    "alert_ack": alerting.acknowledge,
    **noticing.VERBS,
    **backfill_commands.VERBS,
    **incidents.VERBS,
    **approval_commands.VERBS,
    **plan_commands.VERBS,
    **hooking.VERBS,
    **tokens.VERBS,
    **retention.VERBS,
    **bulk.VERBS,
}
