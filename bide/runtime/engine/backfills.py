"""Backfills on the move: a window that slides over the intervals, and what their runs bring about.

A run of a backfill is made when there is room for it, never the whole batch; as one ends the next
is made. Room is counted in one place, `room_of`: the backfill's own `max_active`, the DAG's
`max_active_backfill_runs`, the caps of the assets it writes. A DAG's `max_active_runs` counts live
runs alone. A paused backfill starts nothing; what goes, goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from bide.runtime.engine import control, life, runs
from bide.runtime.engine.backfill_state import Backfill, Span
from bide.runtime.engine.messages import BackfillDue
from bide.runtime.engine.states import (
    BACKFILL_OVER,
    LEGAL_BACKFILL,
    RUN_OVER,
    BackfillState,
    IllegalMove,
    IntervalState,
    RunState,
)
from bide.runtime.engine.turn import FactKey, NeedFacts, Turn, at_once
from bide.runtime.engine.world import DagState, Run, World
from bide.runtime.errors import RefusedError
from bide.runtime.graph.compile import Compiled, compile_spec
from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import Firing

AT_ONCE = 50
"""Runs of one backfill that are made in one go; the others follow in the next turns."""


# --- rows and states -----------------------------------------------------------------------------


def write(t: Turn, b: Backfill) -> None:
    """Its row as it now stands."""
    ended = t.now if b.state in BACKFILL_OVER else None
    t.changes.backfills_set[b.backfill_id] = (
        b.backfill_id, b.dag.dag_id, b.state.value, msgspec.json.encode(b.options).decode(), b.plan_hash,
        b.created, ended, b.reason,
    )  # fmt: skip


def move(t: Turn, b: Backfill, to: BackfillState, reason: str) -> None:
    was = b.state
    if to not in LEGAL_BACKFILL[was]:
        raise IllegalMove(f"{b.name} of {b.dag.name}: {was.value} -> {to.value}")
    b.state = to
    b.reason = reason
    t.journal("backfill", b.backfill_id, None, was.value, to.value, reason)
    write(t, b)


def _write_span(t: Turn, b: Backfill, span: Span, reason: str) -> None:
    t.changes.intervals_set[b.backfill_id, span.place] = (
        span.state.value, span.run_id, reason, b.backfill_id, span.place,
    )  # fmt: skip


def _end_span(t: Turn, b: Backfill, span: Span, state: IntervalState, reason: str) -> None:
    span.state = state
    b.counts[state.value] = b.counts.get(state.value, 0) + 1
    _write_span(t, b, span, reason)


def wake_all(t: Turn) -> None:
    """Room was given back that several may share: they are few."""
    for backfill_id, b in t.world.backfills.items():
        if b.pending:
            t.world.hungry[backfill_id] = None


# --- room ----------------------------------------------------------------------------------------


def room_of(world: World, b: Backfill) -> int:
    """How many runs more it may have now, by its own cap, its DAG's and those of its assets."""
    return max(min(cap - used for cap, used, _ in _caps(world, b)), 0)


def hold_words(world: World, b: Backfill) -> str:
    """Which cap keeps it from another run, or what holds it back altogether; "" when it may."""
    held = held_back(world, b)
    full = [f"{used} of {cap} {of}" for cap, used, of in _caps(world, b) if used >= cap]
    return held or next(iter(full), "")


def _caps(world: World, b: Backfill) -> Iterator[tuple[int, int, str]]:
    """(how many there may be, how many there are, of what)."""
    yield b.options.max_active, len(b.runs), "runs that it may have at once (max_active)"
    of_dag = b.dag.options.get("max_active_backfill_runs")
    if of_dag is not None:
        active = sum(len(other.runs) for other in world.backfills.values() if other.dag is b.dag)
        yield of_dag, active, f"runs that backfills of {b.dag.name} may have (max_active_backfill_runs)"
    for asset in sorted(outlets_of(b)):
        limits = [cap for cap in (world.asset_caps.get(asset), b.options.asset_caps.get(asset)) if cap]
        if limits:
            yield min(limits), writing(world, asset), f"runs of backfills that may write {asset} (its cap)"


def writing(world: World, asset: str) -> int:
    """How many runs of backfills write an asset now."""
    return sum(len(b.runs) for b in world.backfills.values() if b.runs and asset in outlets_of(b))


def outlets_of(b: Backfill) -> frozenset[str]:
    """The assets that a run of it writes."""
    compiled = b.dag.compiled
    chosen = b.options.tasks
    tasks = compiled.tasks if compiled is not None else ()
    return frozenset(name for task in tasks if not chosen or task.name in chosen for name in task.outlets)


def held_back(world: World, b: Backfill) -> str:
    """Why it makes no run whatever room there is; "" when it may."""
    dag = b.dag
    if b.state is not BackfillState.RUNNING:
        return f"{b.name} is {b.state.value}"
    if dag.removed:
        return f"the DAG {dag.name} was removed"
    if dag.paused:
        return f"the DAG {dag.name} is paused"
    if dag.code_error:
        return f"code not loaded: {dag.code_error}"
    if world.dormant or world.slots.closed:
        return "nothing is started now"
    return ""


# --- the window ----------------------------------------------------------------------------------


def due(world: World) -> list[BackfillDue]:
    """Those that may have room, the one with the least of its share first."""
    found = [world.backfills[each] for each in world.hungry if each in world.backfills]
    world.hungry.clear()
    found.sort(key=lambda b: (len(b.runs) / b.options.weight, b.backfill_id))
    return [BackfillDue(b.backfill_id) for b in found]


def slide(t: Turn, e: BackfillDue) -> None:
    """Make runs of the next intervals while there is room."""
    b = t.world.backfills.get(e.backfill_id)
    if b is None:
        return
    b.asked = False
    if not b.pending or held_back(t.world, b):
        return
    room = room_of(t.world, b)
    if not room:
        return
    spans = [b.pending[n] for n in range(min(room, AT_ONCE, len(b.pending)))]
    missing = [key for span in spans for key in _facts_of(b, span) if key not in t.facts]
    version = _graph_fact(b)
    if version is not None and version not in t.facts:
        missing.append(version)
    if missing:
        b.asked = True
        raise NeedFacts(*missing)
    for span in spans:
        t.budget -= 1
        try:
            _take_up(t, b, span)
        except NeedFacts:  # those before it are taken up; it is the first of the next go
            b.asked = True
            raise
        b.pending.popleft()
    if b.pending and room_of(t.world, b):
        t.world.hungry[b.backfill_id] = None
    end_if_over(t, b)


def _facts_of(b: Backfill, span: Span) -> list[FactKey]:
    """The newest run of its date; and its own, that is taken up again."""
    newest: FactKey = ("run_in_the_way", b.dag.dag_id, span.start)
    return [newest] if span.run_id is None else [newest, ("run", span.run_id)]


def _take_up(t: Turn, b: Backfill, span: Span) -> None:
    """Run an interval, unless what there is of it is to be kept."""
    there = t.facts["run_in_the_way", b.dag.dag_id, span.start]
    going = t.world.run_at.get((b.dag.dag_id, span.start))
    state = t.world.runs[going].state if going is not None else there.state if there is not None else None
    run_id = going if going is not None else there.run_id if there is not None else 0
    if span.run_id is not None and (run_id == span.run_id or state is None):
        _again(t, b, span)
        return
    if state is None or not is_kept(state, b.options.overwrite):
        if span.run_id is None:
            create(t, b, span)
        else:
            _again(t, b, span)
        return
    _end_span(t, b, span, IntervalState.SKIPPED, f"run {run_id} ({state.value}) is there")


def is_kept(state: RunState, overwrite: str) -> bool:
    """Whether the newest run of an interval stands in the way of another one.

    One that is not over always does: no two runs write one interval at once. One that failed or was
    cancelled never does.
    """
    if state not in RUN_OVER:
        return True
    return state is RunState.SUCCESS and overwrite != "overwrite"


def create(t: Turn, b: Backfill, span: Span, again: bool = False) -> None:
    """A run of the backfill's own for one interval."""
    dag = b.dag
    assert dag.compiled is not None
    key = f"backfill:{b.backfill_id}:{span.start}"
    if again:
        key += f":{t.world.next_id['run']}"
    run = runs.create_run(
        t, dag, kind="backfill", run_key=key, firing=Firing(span.fires, span.start, span.end),
        params={**dag.compiled.spec.params, **b.options.params}, reason=b.name, graph=_graph_of(t, b),
    )  # fmt: skip
    attach(t, b, span, run)


def attach(t: Turn, b: Backfill, span: Span, run: Run) -> None:
    """From here on the run is that of the interval."""
    if run.backfill is None and run.state is RunState.RUNNING:
        run.dag.active_runs -= 1
    run.backfill = b
    run.dag.owned.add(run.run_id)
    span.run_id = run.run_id
    span.state = IntervalState.RUNNING
    b.runs[run.run_id] = span
    _write_span(t, b, span, "")


def _again(t: Turn, b: Backfill, span: Span) -> None:
    """Take up an interval that failed: what succeeded in its run keeps its state (C68)."""
    from bide.runtime.engine import commands

    assert span.run_id is not None
    going = t.world.runs.get(span.run_id)
    if going is not None and going.backfill is None and going.state is RunState.RUNNING and not going.closing:
        attach(t, b, span, going)  # somebody reruns it by hand
        return
    if going is not None and going.closing:  # and somebody has cancelled it meanwhile
        _end_span(t, b, span, IntervalState.CANCELLED, f"run {span.run_id} is {control.CLOSING}")
        return
    rows = t.facts["run", span.run_id]
    if going is None and rows is None:  # retention has it
        create(t, b, span, again=True)
        return
    if rows is not None and rows.run.state is RunState.SUCCESS:
        _end_span(t, b, span, IntervalState.SUCCESS, f"run {span.run_id} succeeded meanwhile")
        return
    try:
        at_once(commands.rerun(t, {"run_id": span.run_id, "reason": f"{b.name} was resumed"}))
    except RefusedError:  # it was never made whole
        create(t, b, span, again=True)
        return
    attach(t, b, span, t.world.runs[span.run_id])


def end_if_over(t: Turn, b: Backfill) -> None:
    """Every interval has ended: so has the backfill."""
    if b.pending or b.runs or b.state in BACKFILL_OVER:
        return
    bad = sum(b.counts.get(state, 0) for state in (IntervalState.FAILED, IntervalState.CANCELLED))
    if bad:
        total = sum(b.counts.values())
        move(t, b, BackfillState.FAILED, f"{bad} of {total} intervals did not succeed")
    else:
        move(t, b, BackfillState.SUCCESS, "")
    t.world.backfills.pop(b.backfill_id, None)


# --- what its runs bring about -------------------------------------------------------------------

_ENDS = {
    RunState.SUCCESS: IntervalState.SUCCESS,
    RunState.FAILED: IntervalState.FAILED,
    RunState.CANCELLED: IntervalState.CANCELLED,
}


def run_ended(t: Turn, run: Run) -> None:
    """Its interval ends with it, in the same transaction; the room it had is another's."""
    b = run.backfill
    assert b is not None
    span = b.runs.pop(run.run_id)
    run.backfill = None
    run.dag.owned.discard(run.run_id)
    _end_span(t, b, span, _ENDS[run.state], run.reason)
    wake_all(t)
    end_if_over(t, b)


def let_go(t: Turn, run: Run, reason: str) -> None:
    """Its run was cancelled and still tears down: it is none of the backfill's any more."""
    b = run.backfill
    assert b is not None
    span = b.runs.pop(run.run_id)
    run.backfill = None
    run.dag.owned.discard(run.run_id)
    if run.state is RunState.RUNNING:
        run.dag.active_runs += 1
    stuck = run.dag.stuck
    held = [inst for inst in run.everyone() if stuck.pop(inst.instance_id, None) is not None]
    at_once(life.unstick(t, held))  # a pause of the backfill holds its tear-downs no more
    _end_span(t, b, span, IntervalState.CANCELLED, reason)
    wake_all(t)
    end_if_over(t, b)


def may_start(run: Run) -> bool:
    """Whether a queued run of a backfill or of a plan may start: it has its place since it was made."""
    return run.apart or (run.backfill is not None and not run.backfill.paused)


def wake_dag(t: Turn, dag: DagState) -> None:
    """Its DAG goes on, or its code is here."""
    for backfill_id, b in t.world.backfills.items():
        if b.dag is dag and b.pending:
            t.world.hungry[backfill_id] = None


# --- a part of a graph ---------------------------------------------------------------------------


def restricted(spec: DagSpec, tasks: tuple[str, ...]) -> DagSpec:
    """The graph of these tasks alone, of the edges between them, of who handles their failures, and its callbacks."""
    chosen = set(tasks)
    for task in spec.tasks:  # a handler stands behind what it handles
        if task.role in CALLBACKS or chosen.intersection(task.handles):
            chosen.add(task.name)
    kept = tuple(
        msgspec.structs.replace(
            task,
            upstream=tuple(up for up in task.upstream if up in chosen),
            setups=tuple(up for up in task.setups if up in chosen),
            handles=tuple(up for up in task.handles if up in chosen),
        )
        for task in spec.tasks
        if task.name in chosen
    )
    return msgspec.structs.replace(spec, tasks=kept)


def _digest(b: Backfill) -> str:
    return hashlib.sha256(f"{b.dag.hash}:{','.join(sorted(b.options.tasks))}".encode()).hexdigest()


def _graph_fact(b: Backfill) -> FactKey | None:
    return ("version", b.dag.dag_id, _digest(b)) if b.options.tasks else None


def _graph_of(t: Turn, b: Backfill) -> tuple[int, Compiled] | None:
    """The version that runs of it have: the DAG's newest, or a part of that; None: the DAG's own."""
    key = _graph_fact(b)
    if key is None:
        return None
    dag = b.dag
    assert dag.compiled is not None
    digest = _digest(b)
    known: int | None = t.facts[key]
    if known is None:  # unless it was made in this very batch
        known = next((row[0] for row in t.changes.versions_new if row[1:3] == (dag.dag_id, digest)), None)
    if known is None:
        spec = restricted(dag.compiled.spec, b.options.tasks)
        known = t.world.take_id("version")
        data = msgspec.json.encode(spec).decode()
        t.changes.versions_new.append((known, dag.dag_id, digest, data, t.now))
    if known not in t.world.compiled:
        t.world.compiled[known] = compile_spec(restricted(dag.compiled.spec, b.options.tasks))
    return known, t.world.compiled[known]


def spans_of(b: Backfill) -> Iterator[Span]:
    """Those that have not ended: what runs, then what is still to run."""
    yield from b.runs.values()
    yield from b.pending
