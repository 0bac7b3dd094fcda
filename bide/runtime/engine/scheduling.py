"""Firings of the clock: each is run, caught up as there is room, or skipped with a recorded reason (C58).

`watermark` is the last firing that was decided. Missed ones that are to be run stand in the DAG's
`backlog` until the DAG can start them; what fires meanwhile does not wait for them.
"""

from __future__ import annotations

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.engine import runs
from bide.runtime.engine.messages import Opened
from bide.runtime.engine.states import RunState
from bide.runtime.engine.turn import FactKey, NeedFacts, Turn, at_once
from bide.runtime.engine.world import DagState, Due
from bide.runtime.schedules import AnyOf, Firing
from bide.runtime.schedules.catchup import Policy, Skip, judge, newest

AT_ONCE = 50
"""Missed firings that are made runs in one go."""
STEPS = 100
"""Missed firings that are counted in one go."""


def aim(t: Turn, dag: DagState, *, new: bool) -> None:
    """Set the next firing of a schedule that is new: from the watermark, the start, or now."""
    if dag.watermark is None:
        start: int | None = dag.options.get("start_us")
        dag.watermark = (t.now if start is None else start) - 1
    dag.next_fires = _after(dag, dag.watermark)
    t.dirty_dags[dag.dag_id] = dag
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    if new and dag.backlog:
        _drop(t, dag, "missed, and the schedule was changed before it was caught up")


def idle(t: Turn, dag: DagState) -> bool:
    """Whether nothing of its schedule happens now. Without its code a DAG is not fired: what is due
    stays due until it is loaded, and is judged by catchup then.
    """
    if t.world.dormant or not t.world.scheduling:
        return True
    return bool(dag.code_error or dag.paused or dag.removed) or dag.schedule is None or dag.compiled is None


def fire(t: Turn, dag: DagState) -> None:
    """Decide every firing up to now. Only those that are run are stepped through."""
    if idle(t, dag) or dag.watermark is None:
        return
    assert dag.schedule is not None
    judged = judge(dag.schedule, dag.anchor, dag.watermark, t.now, Policy.of(dag.options))
    if judged is None:
        return
    if judged.run is not None:
        _need(t, dag, [judged.run])
    t.budget -= 1
    dag.watermark = judged.decided_us
    dag.next_fires = _after(dag, dag.watermark)
    t.dirty_dags[dag.dag_id] = dag
    if dag.next_fires is not None:
        t.world.timer(dag.next_fires, Due.SCHEDULE, dag.dag_id)
    for each in judged.skips:
        skipped(t, dag, each)
    if judged.later is not None:
        dag.backlog.append((*judged.later, dag.options.get("catchup_cap") or 0))
        _write_backlog(t, dag)
    if judged.run is not None:
        _decide_firing(t, dag, judged.run, live=True)
    t.catch_up(dag)


def opened(t: Turn, _: Opened) -> None:
    """Begin with what was missed: not before, for a runtime that has much to catch up is open at once."""
    t.world.opening = False
    for dag in t.world.dags.values():
        t.catch_up(dag)


def catch_up(t: Turn, dag: DagState) -> None:
    """Make runs of missed firings, no more than the DAG can start; the end of a run calls this again."""
    if idle(t, dag) or not dag.backlog or t.world.opening:
        dag.asked = False
        return None
    policy = Policy.of(dag.options)
    if not policy.runs_all:
        dag.asked = False
        return _drop(t, dag, f'missed, and catchup is now "{policy.catchup}"')
    for place, (_, _, cap) in enumerate(dag.backlog):
        if cap:
            return _count(t, dag, place)
    room = _room(dag)
    if room <= 0:
        dag.asked = False
        return None
    firings, left, skips = _next(dag, min(room, AT_ONCE), policy, t.now)
    _need(t, dag, firings)
    dag.asked = False
    dag.backlog = left
    _write_backlog(t, dag)
    for each in skips:
        skipped(t, dag, each)
    for firing in firings:
        t.budget -= 1
        _decide_firing(t, dag, firing, live=False)
    t.catch_up(dag)
    return None


def _count(t: Turn, dag: DagState, place: int) -> None:
    """Find the newest missed firings that `catchup_cap` lets run, some of the way each turn."""
    assert dag.schedule is not None
    after, until, cap = dag.backlog[place]
    dag.walked, skip, left = newest(dag.schedule, dag.anchor, (after, until), dag.walked, cap, STEPS)
    t.budget -= STEPS
    dag.asked = False
    if dag.walked is None:
        dag.backlog[place] = (*left, 0)
        _write_backlog(t, dag)
    if skip is not None:
        skipped(t, dag, skip)
    t.catch_up(dag)


def _next(
    dag: DagState, most: int, policy: Policy, now: int
) -> tuple[list[Firing], list[tuple[int, int, int]], list[Skip]]:
    """(the next missed firings, what is left of the backlog then, those that became too old meanwhile)."""
    assert dag.schedule is not None
    oldest, why_old = policy.too_old(now)
    firings: list[Firing] = []
    skips: list[Skip] = []
    left = list(dag.backlog)
    while left and len(firings) < most:
        after, until, _ = left[0]
        firing = dag.schedule.next_after(after, dag.anchor)
        if firing is None or firing.fires_us > until:
            left.pop(0)
        elif policy.end_us is not None and firing.fires_us >= policy.end_us:
            skips.append(Skip(firing.fires_us, until, "missed, and the DAG's end is before it"))
            left.pop(0)
        elif firing.fires_us < oldest:
            last = dag.schedule.last_until(min(oldest - 1, until), dag.anchor)
            end = firing.fires_us if last is None else last.fires_us
            skips.append(Skip(firing.fires_us, end, f"missed, and {why_old}"))
            left[0] = (end, until, 0)
        else:
            firings.append(firing)
            left[0] = (firing.fires_us, until, 0)
    if left and left[0][0] >= left[0][1]:
        left.pop(0)
    return firings, left, skips


def _room(dag: DagState) -> int:
    """How many runs of missed firings may be made now: those that can start, none to stand in a queue."""
    if dag.options.get("overlap", "queue_all") in ("skip", "cancel_running"):
        return 0 if dag.live else 1
    cap: int = dag.options.get("max_active_runs", 1)
    return cap - len(dag.live)


def _drop(t: Turn, dag: DagState, reason: str) -> None:
    for after, until, _ in dag.backlog:
        skipped(t, dag, Skip(after + 1, until, reason))
    dag.backlog = []
    dag.walked = None
    _write_backlog(t, dag)


def _write_backlog(t: Turn, dag: DagState) -> None:
    t.changes.backlogs.append((msgspec.json.encode(dag.backlog).decode(), dag.dag_id))


def _after(dag: DagState, us: int) -> int | None:
    assert dag.schedule is not None
    firing = dag.schedule.next_after(us, dag.anchor)
    end = dag.options.get("end_us")
    return None if firing is None or (end is not None and firing.fires_us >= end) else firing.fires_us


# --- one firing ----------------------------------------------------------------------------------


def _candidates(dag: DagState, firing: Firing) -> list[tuple[str, Firing]]:
    """Who asks for a run at that instant: (the member's words, its firing); "" for a schedule alone."""
    if not isinstance(dag.schedule, AnyOf):
        return [("", firing)]
    due = dag.schedule.due_at(firing.fires_us, dag.anchor)
    return [(member.describe(), one) for member, one in due] or [("", firing)]


def _facts_of(dag: DagState, firing: Firing, *, fallback: bool) -> list[FactKey]:
    keys: list[FactKey] = [("run_by_key", dag.dag_id, _key_of(firing))]
    if fallback:
        keys.append(("run_within", dag.dag_id, firing.start_us, firing.end_us))
    return keys


def _key_of(firing: Firing) -> str:
    return f"scheduled:{firing.start_us}"


def _need(t: Turn, dag: DagState, firings: list[Firing]) -> None:
    """Ask for what deciding these needs, before anything is changed."""
    keys = [
        key
        for firing in firings
        for words, one in _candidates(dag, firing)
        for key in _facts_of(dag, one, fallback=bool(words))
    ]
    missing = [key for key in keys if key not in t.facts]
    if missing:
        raise NeedFacts(*missing)


def _decide_firing(t: Turn, dag: DagState, firing: Firing, *, live: bool) -> None:
    """Make the run of one firing, or say why not. `live`: it is due while others may run."""
    assert dag.compiled is not None
    made = ""
    for words, one in _candidates(dag, firing):
        said = f"{words}: " if words else ""
        there = _there(t, dag, one, fallback=bool(words))
        if made:
            _skip_one(t, dag, one, f"{said}{made} was due first")
        elif there:
            _skip_one(t, dag, one, f"{said}{there}")
        elif not live or may_overlap(t, dag, one.fires_us):
            made = words or "another member"
            runs.create_run(
                t, dag, kind="scheduled", run_key=_key_of(one), firing=one,
                params=dict(dag.compiled.spec.params), reason=f"schedule: {words}" if words else "schedule",
            )  # fmt: skip


def _there(t: Turn, dag: DagState, firing: Firing, *, fallback: bool) -> str:
    """Why it needs no run: there is one; "" when there is none."""
    start = from_us(firing.start_us).isoformat()
    if t.facts["run_by_key", dag.dag_id, _key_of(firing)] is not None:
        return f"a run for {start} is there already"
    if not fallback:
        return ""
    row = t.facts["run_within", dag.dag_id, firing.start_us, firing.end_us]
    if row is not None:
        return f"run {row.run_id} ({row.kind}) is there for its interval from {start}"
    end = max(firing.end_us, firing.start_us + 1)
    new = [
        run_id for run_id in dag.runs if firing.start_us <= t.world.runs[run_id].meta.logical_us < end
    ]  # made in this very batch
    return f"run {min(new)} is there for its interval from {start}" if new else ""


_WAITING = (RunState.QUEUED, RunState.EXPANDING)


def may_overlap(t: Turn, dag: DagState, fires_us: int) -> bool:
    """Whether a run may be made beside those that are not over, by the DAG's `overlap`."""
    overlap = dag.options.get("overlap", "queue_all")
    if overlap == "queue_all" or not dag.live:
        return True
    if overlap == "cancel_running":
        for run_id in sorted(dag.live):
            if not t.world.runs[run_id].closing:  # a second cancel would end its tear-downs
                at_once(
                    runs.cancel_run(t, t.world.runs[run_id], "its DAG is due again (overlap=cancel_running)")
                )
        return True
    waiting = sum(t.world.runs[run_id].state in _WAITING for run_id in dag.live)
    room = max(dag.options.get("max_active_runs", 1) - dag.active_runs, 0)
    if overlap == "queue_one" and waiting <= room:
        return True
    skipped(t, dag, Skip(fires_us, fires_us, f"another run is not over (overlap={overlap})"))
    return False


def _skip_one(t: Turn, dag: DagState, firing: Firing, reason: str) -> None:
    skipped(t, dag, Skip(firing.fires_us, firing.fires_us, reason))


def skipped(t: Turn, dag: DagState, skip: Skip) -> None:
    """Record that these firings are not run, and why."""
    t.changes.skips.append((dag.dag_id, skip.from_us, skip.until_us, skip.reason, t.now))
    when = from_us(skip.from_us).isoformat()
    until = f" to {from_us(skip.until_us).isoformat()}" if skip.until_us > skip.from_us else ""
    t.journal("dag", dag.dag_id, None, "", "skipped", f"{when}{until}: {skip.reason}")
