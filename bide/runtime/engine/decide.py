"""The pure function at the heart: (world, inputs, now) -> what changes, and what to do about it.

No I/O, no clock, no asyncio, no SQL, no logging: the same world and inputs give the same answer.
It moves the world in memory; nothing acts before the changes are committed. If they cannot be, the
world is dropped and restored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from heapq import heappop
from types import MappingProxyType
from typing import Any, Final

import msgspec

from bide.runtime.engine import (
    admission,
    alerting,
    approval_commands,
    approving,
    backfills,
    budgets,
    bulk,
    commanding,
    dags,
    firing,
    life,
    mapping,
    noticing,
    past,
    pausing,
    plans,
    recovery,
    runs,
    scheduling,
    standing,
    unanswered,
    unread,
)
from bide.runtime.engine.assets import (
    accepting,
    cataloguing,
    consuming,
    guarding,
    invalidating,
    latecomers,
    promising,
    publishing,
    releasing,
    staging,
)
from bide.runtime.engine.bulk_state import BulkOn
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import (
    Acknowledge,
    AssetAsked,
    AssetCalled,
    AssetsDeclared,
    AttemptEnded,
    BackfillDue,
    BuildFailed,
    ClockStepped,
    CodeMissing,
    Command,
    ConsumerAsked,
    DagLoaded,
    DagRemoved,
    DueTimer,
    Effect,
    Expanded,
    ExpandFailed,
    Found,
    GuardAsked,
    Input,
    LateAsked,
    LineageSent,
    Opened,
    OrphansKilled,
    Parked,
    PastAsked,
    PlanDue,
    ProcessStarted,
    PublicationAsked,
    Recover,
    RunAsked,
    RunsAsked,
    SpreadOn,
    StepDone,
    TriggerBuilt,
    Unanswered,
    WaitAsked,
    WaitDropped,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.notices import NoticesMoved
from bide.runtime.engine.states import AttemptState, RunState, State
from bide.runtime.engine.turn import BUDGET, LOOKS, FactKey, NeedFacts, Slices, Turn
from bide.runtime.engine.world import Due, Watched, World


class Decision(msgspec.Struct, frozen=True):
    """`changes` are committed, then `effects` carried out, in order.

    `unmet` are inputs that need facts from the database, to be offered again with them.
    `questions` are what waits look at and the world does not hold: answered by `Found`.
    `more`: there is work left for the next turn, which needs no input to begin.
    """

    changes: Changes
    effects: list[Effect]
    unmet: list[tuple[Input, tuple[FactKey, ...]]]
    questions: list[Watched]
    more: bool


NO_FACTS: Final[Mapping[FactKey, Any]] = MappingProxyType({})


def decide(
    world: World,
    inputs: Sequence[Input],
    now: int,
    facts: Mapping[FactKey, Any] = NO_FACTS,
    budget: int = BUDGET,
) -> Decision:
    """One turn, decided without a stop."""
    turn = slices(world, inputs, now, facts, budget)
    while (decision := next(turn)) is None:
        pass
    return decision


def slices(
    world: World,
    inputs: Sequence[Input],
    now: int,
    facts: Mapping[FactKey, Any] = NO_FACTS,
    budget: int = BUDGET,
) -> Iterator[Decision | None]:
    """One turn: inputs in order, then what is due, then what follows, then who may start.

    The decision comes last, and once. None comes before it between the slices of what has to be
    committed whole (a cancel of 10,000 instances): the world is in the middle of it, and the next
    slice is all that may be decided.
    """
    t = Turn(world, now, facts, budget)
    unmet: list[tuple[Input, tuple[FactKey, ...]]] = []
    for each in inputs:
        try:
            if (work := _HANDLERS[type(each)](t, each)) is not None:
                for _ in work:
                    yield None
                    t.budget = budget
        except NeedFacts as need:
            unmet.append((each, need.keys))
    more = False
    if world.timers and world.timers[0][0] <= now:
        more = yield from _timers(t, unmet, budget)
    if world.hungry:
        _backfill(t, unmet)
    while True:
        more = _follow(t) or more
        more = _admit(t) or more
        if not t.announced:  # who was admitted may wait for what is over already
            break
    more = more or (bool(world.hungry) and not world.dormant)
    yield from t.settle()
    yield from world.sweep_timers()
    unmet += t.asks.items()
    yield Decision(t.changes, t.effects, unmet, list(t.questions), more or t.again)


def _follow(t: Turn) -> bool:
    """Work off the agenda, and what the ends of instances and runs bring about."""
    agenda = t.world.agenda
    while True:
        if t.published or t.due_consumers:
            publishing.publish_all(t)
            consuming.evaluate_all(t)
        while t.announced:
            firing.wake(t, *t.announced.pop())
        while t.ended_runs:
            runs.end_run(t, t.ended_runs.pop())
        if t.announced or t.due_consumers:
            continue
        if not agenda:
            return False
        if t.budget <= 0:
            return True
        work = agenda.popleft()
        if not work(t):
            agenda.append(work)


def _backfill(t: Turn, unmet: list[Any]) -> None:
    """Let backfills make the runs they have room for."""
    for each in backfills.due(t.world):
        try:
            backfills.slide(t, each)
        except NeedFacts as need:
            unmet.append((each, need.keys))


def _admit(t: Turn) -> bool:
    for inst in admission.admitted(t):
        if life.is_sensor(inst.task) and life.is_deferred(inst.task):
            life.defer_sensor(t, inst)
        else:
            life.begin(t, inst)
        t.budget -= 1
        if t.budget < -BUDGET:
            return True
    return t.budget < -BUDGET  # it has stopped for that


# --- timers --------------------------------------------------------------------------------------


def _timers(t: Turn, unmet: list[Any], budget: int) -> Generator[None, None, bool]:
    timers = t.world.timers
    looked = 0
    while timers and timers[0][0] <= t.now:
        if t.budget <= 0:
            return True
        looked += 1
        if not looked % LOOKS:  # most may be void
            t.budget -= 1
        entry = DueTimer(*heappop(timers))
        try:
            if (work := _timer_due(t, entry)) is not None:
                for _ in work:
                    yield
                    t.budget = budget
        except NeedFacts as need:
            unmet.append((entry, need.keys))
    return False


def _timer_due(t: Turn, e: DueTimer) -> Slices | None:
    """An entry counts only while its subject still says this instant: the rest are void."""
    world, due, subject = t.world, e.due, e.subject_id
    match e.kind:
        case Due.SCHEDULE:
            dag = world.dag_of.get(subject)
            if dag is not None and dag.next_fires == due:
                scheduling.fire(t, dag)
        case Due.CATCHUP:
            dag = world.dag_of.get(subject)
            if dag is not None and dag.asked:
                scheduling.catch_up(t, dag)
        case Due.STANDING:
            held = world.standing.get(subject)
            if held is not None and held.due == due:
                standing.arm(t, held)
        case Due.ACCEPTED:
            accepting.expired(t, subject, due)
        case Due.UNREAD:
            unread.rung(t, due)
        case Due.WAIT:
            wait = world.waits.get(subject)
            if wait is not None and wait.deadline == due and not wait.inst.run.dag.frozen:
                t.budget -= 1
                firing.deadline_passed(t, wait, due)
        case Due.RETRY:
            inst = world.instances.get(subject)
            if inst is not None and inst.due == due:
                t.budget -= 1
                if inst.state is State.UP_FOR_RETRY:
                    life.try_again(t, inst)
                elif inst.state is State.DEFERRED:
                    firing.rescheduled(t, inst)
        case Due.DEADLINE:
            inst = world.instances.get(subject)
            if inst is not None and inst.deadline == due and not life.is_sensor(inst.task):
                life.overdue(t, inst)
        case Due.TIMEOUT:
            body = world.attempts.get(subject)
            if body is not None and body.limit == due and body.active_from is not None:
                timeout = (body.inst.task.timeout_us or 0) / 1_000_000
                reason = f"timed out: active for {timeout:g} s, its limit"
                life.stop_body(t, body.inst, AttemptState.TIMED_OUT, reason)
        case Due.BUDGET:
            for budget in world.budgets.values():
                if budget.number == subject and budget.wakes == due:
                    budgets.window_over(t, budget)
        case Due.RUN:
            run = world.runs.get(subject)
            if run is not None and run.deadline == due and not run.dag.frozen:
                return runs.overdue(t, run)
        case Due.APPROVAL:
            approval = world.approvals.open.get(subject)
            if approval is not None and approval.expires == due and not approving.is_frozen(world, approval):
                approval_commands.expired(t, approval)
        case Due.ASSET_ALERT:
            dag = world.dag_of.get(subject)
            if dag is not None:
                promising.rung(t, dag)
        case Due.RUN_ALERT | Due.TASK_ALERT:
            alerting.rung(t, Due(e.kind), subject, due)
    return None


# --- small handlers ------------------------------------------------------------------------------


def _step_done(t: Turn, e: StepDone) -> None:
    body = t.world.attempts.get(e.attempt_id)
    if body is not None:
        t.changes.steps.append((body.inst.instance_id, e.attempt_id, e.name, e.value.decode()))
        t.effects.append(Acknowledge(e.attempt_id, e.name))


def _process_started(t: Turn, e: ProcessStarted) -> None:
    """Recorded before its body begins; a body told to stop meanwhile never begins."""
    body = t.world.attempts.get(e.attempt_id)
    if body is not None and not body.stopping:
        t.changes.processes.append((e.attempt_id, e.pid, e.started, e.boot_id))
        t.effects.append(Acknowledge(e.attempt_id, ""))


def _past_asked(t: Turn, e: PastAsked) -> None:
    inst = past.settled(t, e)
    if inst is not None and life.upstreams_let(t, inst):
        life.ask_contracts(t, inst)


def _code_missing(t: Turn, e: CodeMissing) -> None:
    """An attempt that could not begin for want of its code: the instance is ready again."""
    body = next((each for each in t.world.attempts.values() if each.inst.instance_id == e.instance_id), None)
    if body is None:
        return
    inst = body.inst
    life.drop_body(t, body)
    if inst.state is not State.RUNNING or inst.attempt_id != body.attempt_id:
        if inst.state is State.READY:  # ended by hand and rerun meanwhile
            life.offer(t, inst)
        return
    t.end_attempt(inst, body.attempt_id, AttemptState.CANCELLED, error=e.reason)
    inst.run.dag.code -= {inst.task.name}
    life.make_ready(t, inst, f"code not loaded: {e.reason}")


def _lineage_sent(t: Turn, e: LineageSent) -> None:
    t.changes.lineage_set["openlineage"] = ("openlineage", e.seq)


def _clock_stepped(t: Turn, e: ClockStepped) -> Slices:
    """A step moves schedules only: stored deadlines and delays move with the clock (P9)."""
    t.journal("clock", 0, None, "", "stepped", f"the wall clock moved by {e.step_us / 1_000_000:+.3f} s")
    yield from pausing.shift(t, list(t.world.runs.values()), lambda _: e.step_us)
    approving.clock_stepped(t, e.step_us)
    budgets.clock_stepped(t)
    for body in t.world.attempts.values():  # active time is elapsed time
        if body.active_from is not None:
            body.active_from += e.step_us
            if body.limit is not None:
                body.limit += e.step_us
                t.world.timer(body.limit, Due.TIMEOUT, body.attempt_id)
    standing.shift(t, e.step_us)
    unread.shift(t, e.step_us)
    for dag in t.world.dags.values():
        if dag.paused:
            dag.paused += e.step_us
            t.dirty_dags[dag.dag_id] = dag


_HANDLERS: Final[dict[type, Callable[[Turn, Any], Slices | None]]] = {
    AttemptEnded: life.attempt_ended,
    WaitAsked: firing.wait_asked,
    Parked: firing.parked,
    WaitDropped: firing.wait_dropped,
    StepDone: _step_done,
    ProcessStarted: _process_started,
    TriggerBuilt: firing.trigger_built,
    BuildFailed: firing.build_failed,
    Expanded: mapping.expanded,
    ExpandFailed: mapping.expand_failed,
    CodeMissing: _code_missing,
    WaitFired: firing.wait_fired,
    WaitFailed: firing.wait_failed,
    WaitLooked: firing.wait_looked,
    Found: firing.found,
    ClockStepped: _clock_stepped,
    OrphansKilled: recovery.orphans_killed,
    Recover: recovery.recover,
    Opened: scheduling.opened,
    DagLoaded: dags.dag_loaded,
    AssetsDeclared: cataloguing.assets_declared,
    DagRemoved: dags.dag_removed,
    Command: commanding.command,
    DueTimer: _timer_due,
    ConsumerAsked: consuming.asked,
    AssetAsked: firing.asset_asked,
    RunAsked: firing.run_asked,
    RunsAsked: firing.runs_asked,
    PastAsked: _past_asked,
    GuardAsked: guarding.guard_asked,
    PublicationAsked: releasing.publication_asked,
    AssetCalled: staging.asset_called,
    SpreadOn: invalidating.spread_on,
    BulkOn: bulk.go_on,
    LateAsked: latecomers.late_asked,
    BackfillDue: backfills.slide,
    PlanDue: plans.go_on,
    Unanswered: unanswered.unanswered,
    LineageSent: _lineage_sent,
    NoticesMoved: noticing.moved,
}

__all__ = ["BUDGET", "Decision", "RunState", "decide", "slices"]
