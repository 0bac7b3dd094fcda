"""What a person or a program may ask of backfills: start, pause, resume, cancel.

As in `commands.py`: a handler raises before it has changed anything, or changes all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from bide.runtime import typed
from bide.runtime.clock import from_us
from bide.runtime.engine import backfills, control, pausing, runs
from bide.runtime.engine.backfill_state import Backfill, BackfillOptions, Span
from bide.runtime.engine.states import BACKFILL_OVER, BackfillState, IntervalState, RunState
from bide.runtime.engine.turn import Turn, Whole
from bide.runtime.engine.world import DagState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.params import checked
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion

Args = dict[str, Any]
ROWS = 2_000
"""Intervals that one slice looks at, or makes."""
MOST = 50_000
"""Intervals of one backfill: they are written in one transaction."""


def start(t: Turn, args: Args) -> Whole:
    """{dag, options, hash, intervals: [[fires_us, start_us, end_us], ...]} -> {backfill_id, intervals, skipped}.

    The intervals are those of a plan, in their order. An interval that has a run is judged by
    `overwrite` now, and again when its turn comes.
    """
    dag = t.world.dags.get(args["dag"])
    if dag is None or dag.compiled is None:
        raise NotFoundError(f"there is no DAG {args['dag']!r} in this database: `bide dags` lists them")
    if dag.removed:
        raise RefusedError(f"the DAG {dag.name!r} was removed: load its file again, then start the backfill")
    options = typed.convert(args["options"], BackfillOptions)
    intervals: list[list[int]] = args["intervals"]
    _check(dag, options, intervals)
    lo, hi = min(each[1] for each in intervals), max(each[1] for each in intervals)
    there: dict[int, tuple[int, RunState]] = dict(t.fact("runs_between", dag.dag_id, lo, hi))
    for place, (_, logical, _) in enumerate(intervals, 1):
        if not place % ROWS:
            yield
        going = t.world.run_at.get((dag.dag_id, logical))
        if going is not None:
            there[logical] = going, t.world.runs[going].state
    kept = {
        logical: found for logical, found in there.items() if backfills.is_kept(found[1], options.overwrite)
    }
    if options.overwrite == "fail":
        _refuse_those(dag, [each[1] for each in intervals if each[1] in kept], kept)
    b = Backfill(t.world.take_id("backfill"), dag, options, args.get("hash") or "", t.now)
    b.reason = args.get("reason") or "started by hand"
    backfills.write(t, b)
    t.journal("backfill", b.backfill_id, None, "", b.state.value, b.reason)
    rows = t.changes.intervals_new
    for place, (fires, begins, ends) in enumerate(intervals):
        found = kept.get(begins)
        if found is None:
            state, run_id, why = IntervalState.PENDING, None, ""
            b.pending.append(Span(place, fires, begins, ends, state))
        else:
            state, run_id, why = (
                IntervalState.SKIPPED,
                found[0],
                f"run {found[0]} ({found[1].value}) is there",
            )
            b.counts[state.value] = b.counts.get(state.value, 0) + 1
        rows.append((b.backfill_id, place, fires, begins, ends, state.value, run_id, why))
        if not len(rows) % ROWS:
            yield
    t.world.backfills[b.backfill_id] = b
    t.world.hungry[b.backfill_id] = None
    if not b.pending:
        backfills.end_if_over(t, b)
    return {
        "backfill_id": b.backfill_id,
        "intervals": len(intervals),
        "skipped": len(intervals) - len(b.pending),
    }


def _check(dag: DagState, options: BackfillOptions, intervals: list[list[int]]) -> None:
    if not intervals:
        raise UsageError(
            f"a backfill of {dag.name} over no interval: give a span of its schedule that is over"
        )
    if len(intervals) > MOST:
        raise UsageError(
            f"{len(intervals)} intervals are more than the {MOST} of one backfill: start several"
        )
    if len({each[1] for each in intervals}) != len(intervals):
        raise UsageError("an interval stands twice in this backfill: plan it again")
    if options.overwrite not in ("skip", "overwrite", "fail"):
        raise UsageError(f"overwrite is {options.overwrite!r}, and must be skip, overwrite or fail")
    if options.max_active < 1 or not 1 <= options.weight <= 100:
        raise UsageError("max_active must be 1 or more, and weight 1 to 100")
    assert dag.compiled is not None
    unknown = [name for name in options.tasks if name not in dag.compiled.index]
    if unknown:
        raise NotFoundError(f"the DAG {dag.name!r} has no task {unknown[0]!r}")
    check_request(dag.compiled.spec, options.params, options.asset_caps)


def check_request(spec: DagSpec, params: Mapping[str, Any], asset_caps: Mapping[str, int]) -> None:
    """Refuse a parameter that its runs cannot have, and a cap that holds nothing: a plan and a start say the same."""
    written = list(dict.fromkeys(name for task in spec.tasks for name in task.outlets))
    for asset in asset_caps:
        if asset not in written:
            instead = suggestion(asset, written) or f"; it writes: {', '.join(written[:8]) or 'none'}"
            raise NotFoundError(f"the DAG {spec.name!r} writes no asset {asset!r}{instead}")
    checked(spec, params)


def _refuse_those(dag: DagState, starts: list[int], kept: dict[int, tuple[int, RunState]]) -> None:
    if starts:
        first = starts[0]
        more = f" and {len(starts) - 1} more" if len(starts) > 1 else ""
        raise RefusedError(
            f"nothing was started: {dag.name} has run {kept[first][0]} ({kept[first][1].value}) for "
            f"{from_us(first).isoformat()}{more}; say `overwrite` skip to keep what is there"
        )


def pause(t: Turn, args: Args) -> Any:
    """{backfill_id} -> {backfill_id, state}. Twice is once."""
    b = _unfinished(t, args, "paused")
    if not b.paused:
        backfills.move(t, b, BackfillState.PAUSED, args.get("reason") or "paused by hand")
    return {"backfill_id": b.backfill_id, "state": b.state.value}


def resume(t: Turn, args: Args) -> Whole:
    """{backfill_id, failed} -> {backfill_id, state, again}.

    A paused one goes on. `failed`: the intervals that failed or were cancelled are taken up again,
    also of one that has ended; their runs keep what succeeded.
    """
    backfill_id = args["backfill_id"]
    world = t.world
    b = world.backfills.get(backfill_id)
    rows = t.fact("backfill", backfill_id) if b is None or args.get("failed") else None
    if b is None and rows is None:
        raise _no_such(backfill_id)
    again: list[Span] = []
    was: dict[int, str] = {}
    if rows is not None and args.get("failed"):
        was = {row.place: row.state.value for row in rows.bad}
        again = [
            Span(row.place, row.fires_us, row.start_us, row.end_us, IntervalState.PENDING, row.run_id)
            for row in rows.bad
        ]
        _refuse_closing(t, again)
    if b is None:
        b = _reopened(t, rows, again)
    elif b.state is not BackfillState.PAUSED and not again:
        raise RefusedError(f"{b.name} is {b.state.value} already, and no interval of it has failed")
    known = {span.place for span in backfills.spans_of(b)}
    again = [span for span in again if span.place not in known]
    for span in again:
        b.counts[was[span.place]] -= 1
        t.changes.intervals_set[backfill_id, span.place] = (
            IntervalState.PENDING.value, span.run_id, "taken up again", backfill_id, span.place,
        )  # fmt: skip
    b.pending = deque(sorted([*b.pending, *again], key=lambda span: span.place))
    if b.state is not BackfillState.RUNNING:
        backfills.move(t, b, BackfillState.RUNNING, args.get("reason") or "resumed by hand")
    world.hungry[backfill_id] = None
    runs.start_queued(t, b.dag)
    yield from pausing.let_go(t, b.dag)
    return {"backfill_id": backfill_id, "state": b.state.value, "again": len(again)}


def _refuse_closing(t: Turn, again: list[Span]) -> None:
    """A run that tears down is not over: another of its interval would make what that takes away."""
    going = [t.world.runs.get(span.run_id) for span in again if span.run_id is not None]
    closing = [run.run_id for run in going if run is not None and run.closing]
    if closing:
        raise RefusedError(
            f"run {closing[0]} of one of the intervals is {control.CLOSING}: wait for them, then resume it with `failed`"
        )


def _reopened(t: Turn, rows: Any, again: list[Span]) -> Backfill:
    """A backfill that has ended with failures, in the world again."""
    row = rows.backfill
    if row.state is not BackfillState.FAILED:
        raise RefusedError(f"backfill {row.backfill_id} is over: it is {row.state.value}; start another one")
    if not again:
        raise RefusedError(
            f"backfill {row.backfill_id} has ended, and {row.reason}: resume it with `failed` to take those up again"
        )
    dag = next(dag for dag in t.world.dags.values() if dag.dag_id == row.dag_id)
    options = typed.decode(row.options, BackfillOptions)
    b = Backfill(row.backfill_id, dag, options, row.plan_hash, row.created_us)
    b.state = row.state
    b.reason = row.reason
    b.counts = dict(rows.counts)
    t.world.backfills[b.backfill_id] = b
    return b


def cancel(t: Turn, args: Args) -> Whole:
    """{backfill_id, reason} -> {backfill_id, state, runs}: it, its intervals and its runs, in one transaction.

    The runs are detached: nothing keeps their intervals from being scheduled again (C64, C67).
    """
    b = _unfinished(t, args, "cancelled")
    reason = args.get("reason") or "cancelled by hand"
    going = [t.world.runs[run_id] for run_id in sorted(b.runs)]
    t.changes.intervals_off.append((reason, b.backfill_id))
    b.counts[IntervalState.CANCELLED] = b.counts.get(IntervalState.CANCELLED, 0) + len(b.pending)
    b.pending.clear()
    backfills.move(t, b, BackfillState.CANCELLED, reason)
    t.world.backfills.pop(b.backfill_id)
    for run in going:
        yield from runs.cancel_run(t, run, f"{b.name} was cancelled: {reason}")
    return {"backfill_id": b.backfill_id, "state": b.state.value, "runs": [run.run_id for run in going]}


def _unfinished(t: Turn, args: Args, wanted: str) -> Backfill:
    backfill_id = args["backfill_id"]
    b = t.world.backfills.get(backfill_id)
    if b is not None:
        return b
    rows = t.fact("backfill", backfill_id)
    if rows is None:
        raise _no_such(backfill_id)
    assert rows.backfill.state in BACKFILL_OVER
    raise RefusedError(
        f"backfill {backfill_id} cannot be {wanted}: it is {rows.backfill.state.value} already"
    )


def _no_such(backfill_id: int) -> NotFoundError:
    return NotFoundError(f"there is no backfill {backfill_id}: `bide backfill list` lists them")


VERBS: dict[str, Callable[[Turn, Args], Any]] = {
    "backfill_start": start,
    "backfill_pause": pause,
    "backfill_resume": resume,
    "backfill_cancel": cancel,
}
