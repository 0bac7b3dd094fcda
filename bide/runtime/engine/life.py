"""The life of a task instance: ready, begun, retried, ended; and what its end does downstream."""

from __future__ import annotations

from bide.runtime.clock import from_us
from bide.runtime.engine import (
    admission,
    alerting,
    approval_tasks,
    approving,
    budgets,
    control,
    handling,
    past,
    raising,
    waiting,
)
from bide.runtime.engine.assets import asking, deliveries, gating, shadow, versions
from bide.runtime.engine.messages import (
    Answer,
    AttemptEnded,
    Build,
    Expand,
    Failure,
    OutputChanged,
    OutputKnown,
    Start,
    Stop,
)
from bide.runtime.engine.retry import delay_us, is_retried
from bide.runtime.engine.states import OVER, AttemptState, State, WaitState
from bide.runtime.engine.turn import Slices, Turn, at_once
from bide.runtime.engine.world import Attempt, Due, Instance, Run, Wait
from bide.runtime.graph.rules import Verdict, verdict
from bide.runtime.graph.spec import Lane, Mode, Role, TaskSpec

_BAD = frozenset({State.FAILED, State.UPSTREAM_FAILED})
_NOT_WELL = _BAD | {State.CANCELLED}  # what a rule counts as failed


is_deferred = admission.needs_no_slot


def is_sensor(task: TaskSpec) -> bool:
    return task.lane is Lane.WAIT


def is_summary(inst: Instance) -> bool:
    """Whether it stands for the instances of a mapped task, and never runs itself."""
    return inst.task.map is not None and inst.map_index < 0


# --- towards a start -----------------------------------------------------------------------------


def judge(t: Turn, inst: Instance) -> None:
    """Ask the trigger rule of a pending instance, now that an upstream has ended."""
    answer, why = _ruled(t, inst)
    if answer is Verdict.RUN:
        let_start(t, inst)
    elif answer is Verdict.SKIP:
        finish(t, inst, State.SKIPPED, why or f"its rule {inst.task.rule.value} did not hold")
    elif answer is Verdict.UPSTREAM_FAILED:
        finish(t, inst, State.UPSTREAM_FAILED, why or _in_vain(inst))


def upstreams_let(t: Turn, inst: Instance) -> bool:
    """Whether a pending instance that was held back for something else may start: an upstream may run again since."""
    return _ruled(t, inst)[0] is Verdict.RUN


def _ruled(t: Turn, inst: Instance) -> tuple[Verdict, str]:
    if inst.task.role is not Role.TASK:
        return handling.verdict_of(inst)
    answer = verdict(
        inst.task.rule, inst.run.compiled.waiting[inst.ix], inst.n_success, inst.n_failed, inst.n_skipped
    )
    if inst.run.choices or inst.task.setups:
        return control.overruled(t, inst, answer)
    return answer, ""


def _in_vain(inst: Instance) -> str:
    """Why its rule cannot hold any more: the first by name of the upstreams that did not end well."""
    run = inst.run
    bad = [up for place in run.compiled.upstream[inst.ix] if (up := run.instances[place]).state in _NOT_WELL]
    because = ""
    if bad:
        first = min(bad, key=lambda up: up.task.name)
        others = f" and {len(bad) - 1} other{'s' if len(bad) > 2 else ''}" if len(bad) > 1 else ""
        because = f" because of {first.task.name} ({first.state.value}){others}"
    return f"its rule {inst.task.rule.value} cannot hold any more{because}"


def let_start(t: Turn, inst: Instance) -> None:
    """Its upstreams let it start: it does, unless it asks its past first."""
    if inst.task.depends_on_past:
        past.hold(t, inst)
    else:
        ask_contracts(t, inst)


def ask_contracts(t: Turn, inst: Instance) -> None:
    """All else lets it start: it does, unless it asks contracts first."""
    if asking.is_guarded(t.world.assets, inst):
        asking.hold(t, inst)
    else:
        make_ready(t, inst, "")


def make_ready(t: Turn, inst: Instance, reason: str, *, resumed: bool = False) -> None:
    task = inst.task
    if task.deadline_us is not None and inst.deadline is None and not is_summary(inst):
        inst.deadline = t.now + task.deadline_us
        t.world.timer(inst.deadline, Due.DEADLINE, inst.instance_id)
    inst.due = None
    if task.alert is not None and inst.state in (State.PENDING, State.BLOCKED):
        alerting.task_ready(t, inst)
    t.move(inst, State.READY, reason)
    offer(t, inst, resumed=resumed)


def offer(t: Turn, inst: Instance, *, resumed: bool = False) -> None:
    """Bring a ready instance to the door it has to go through: the queue, or the triggerer."""
    if t.world.dormant:
        return None
    dag, task = inst.run.dag, inst.task
    if dag.paused:
        return _stuck(t, inst, admission.PAUSED)
    backfill = inst.run.backfill
    if backfill is not None and backfill.paused:
        return _stuck(t, inst, f"{backfill.name} is paused")
    if inst.body is not None and inst.body.stopping:
        return t.touch(inst, "its former attempt has not stopped yet")
    if inst.wait is None and inst.body is None:
        if dag.code_error:
            return _stuck(t, inst, f"code not loaded: {dag.code_error}")
        if task.name not in dag.code:
            return _stuck(
                t, inst, f"code not loaded: the DAG {dag.name!r} as it is now has no task {task.name!r}"
            )
    if task.approval is not None:
        return approval_tasks.ask(t, inst)
    if task.map is not None and inst.map_index < 0:
        t.world.ticket += 1
        inst.queued = t.world.ticket
        t.effects.append(Expand(inst.instance_id, inst.run.run_id, task, inst.queued))
        return None
    if is_sensor(task) and inst.wait is None and inst.built is None:
        t.effects.append(Build(inst.instance_id, inst.run.run_id, dag.name, task, inst.map_index))
        return None
    if is_deferred(task):
        refused = admission.take_life(t, inst)
        if refused is None:
            return defer_sensor(t, inst)
        inst.queued = admission.ticket_of(t.world, inst)
        return admission.park(t, inst, refused)
    admission.enqueue(t, inst, resumed=resumed)
    return None


def _stuck(t: Turn, inst: Instance, reason: str) -> None:
    inst.run.dag.stuck[inst.instance_id] = inst
    t.touch(inst, reason)


def unstick(t: Turn, instances: list[Instance]) -> Slices:
    """Offer again what was held back by a pause or by missing code."""
    for inst in instances:
        if inst.state is State.READY:
            t.budget -= 1
            t.touch(inst, "")
            offer(t, inst, resumed=inst.resumed)
            if t.budget <= 0:
                yield


def _mode(task: TaskSpec) -> Mode:
    assert task.sensor is not None
    return task.sensor.mode


def overdue(t: Turn, inst: Instance) -> None:
    """Its total time is over, waiting included."""
    if inst.state in OVER or inst.state is State.LOST or inst.run.dag.frozen:
        return
    total = (inst.task.deadline_us or 0) / 1_000_000
    end_now(t, inst, State.FAILED, f"its deadline passed: {total:g} s from its first ready")


def defer_sensor(t: Turn, inst: Instance) -> None:
    """A sensor that needs no slot begins to wait: one row, one registration."""
    attempt_id = t.new_attempt(inst)
    wait = _open_sensor_wait(t, inst, attempt_id)
    t.move(inst, State.DEFERRED, "")
    waiting.arm(t, wait)


def _open_sensor_wait(t: Turn, inst: Instance, attempt_id: int) -> Wait:
    """Its timeout is its total wait: the deadline of the first look holds for every attempt."""
    sensor = inst.task.sensor
    assert sensor is not None
    assert inst.built is not None
    built, inst.built = inst.built, None
    deadline = waiting.deadline_us(
        t.now, sensor.timeout_us, None if sensor.timeout_given else built.not_before_us
    )
    if inst.deadline is None:
        inst.deadline = deadline
    elif inst.attempt == 1:
        inst.deadline = min(inst.deadline, deadline)
    inst.wait = waiting.open_wait(
        t, inst, attempt_id, "", built.trigger, built.kind, inst.deadline, sensor.poll_us
    )
    return inst.wait


def begin(t: Turn, inst: Instance) -> None:
    """An admitted instance takes its slot and goes: anew, or on from where it waited."""
    task, world = inst.task, t.world
    body = inst.body
    if body is not None:
        admission.take_slot(t, body)
        t.move(inst, State.RUNNING, "resumed")
        _limit(t, body)
        answers, body.answers = body.answers or [], None
        for wait in answers:
            deliver(t, body, wait)
        return
    if is_sensor(task) and inst.wait is not None:
        attempt_id = inst.wait.attempt_id  # a rescheduled look belongs to the attempt that waits
        body = Attempt(attempt_id, inst, inst.attempt, t.now)
        body.active = inst.wait.held
    else:
        attempt_id = t.new_attempt(inst)
        if task.cost:
            budgets.spend(t, inst)
        body = Attempt(attempt_id, inst, inst.attempt, t.now)
        if not is_sensor(task):
            t.effects.append(
                Start(attempt_id, inst.instance_id, inst.run.run_id, inst.attempt, inst.run.dag.name, task,
                      inst.map_index, inst.inherits, bool(task.inlets or task.outlets) and asking.reads(world.assets, inst),
                      shadow.is_shadow(inst.run), deliveries.number(world, inst))
            )  # fmt: skip
    inst.body = body
    world.attempts[attempt_id] = body
    admission.take_slot(t, body)
    t.move(inst, State.RUNNING, "")
    if is_sensor(task):
        wait = inst.wait if inst.wait is not None else _open_sensor_wait(t, inst, attempt_id)
        if _mode(task) is Mode.POKE:
            waiting.arm(t, wait)
        else:
            waiting.look_once(t, wait)
    else:
        _limit(t, body)


def _limit(t: Turn, body: Attempt) -> None:
    """Set the end of its active time, of which waits are no part (C10)."""
    timeout = body.inst.task.timeout_us
    if timeout is not None:
        body.limit = t.now + max(timeout - body.active, 0)
        t.world.timer(body.limit, Due.TIMEOUT, body.attempt_id)


def active_us(t: Turn, inst: Instance) -> int:
    """How long the current attempt has held a slot so far (S3-53)."""
    body = inst.body
    if body is None:
        return inst.wait.held if inst.wait is not None else 0
    return body.active + (t.now - body.active_from if body.active_from is not None else 0)


def deliver(t: Turn, body: Attempt, wait: Wait) -> None:
    """Hand a body its answer. It is not kept: a key is asked for once, and a successor reads the row."""
    body.told += 1
    if body.inst.waits is not None:
        body.inst.waits.pop(wait.key, None)
    t.effects.append(Answer(body.attempt_id, wait.key, wait.event, wait.error, wait.timed_out))


# --- the end of an attempt -----------------------------------------------------------------------


def drop_body(t: Turn, body: Attempt) -> None:
    """The body is gone: its slot is free, and it may be followed by another."""
    admission.give_slot(t, body)
    t.world.attempts.pop(body.attempt_id, None)
    inst = body.inst
    if inst.body is body:
        inst.body = None
    if inst.task.lane in (Lane.PROCESS, Lane.SHELL):
        t.changes.processes_gone.append((body.attempt_id,))


def attempt_ended(t: Turn, e: AttemptEnded) -> None:
    """A body has ended. An end of an attempt that is no longer the current one is too late (C1)."""
    body = t.world.attempts.get(e.attempt_id)
    if body is None:
        return
    inst = body.inst
    drop_body(t, body)
    if inst.attempt_id != e.attempt_id or inst.state not in (State.RUNNING, State.DEFERRED):
        if inst.state is State.READY and inst.attempt_id == e.attempt_id and not body.stopping:
            _end(t, inst, body, e)  # it raised while a part of it waited for a slot to resume
        else:
            if inst.task.effect is not None:
                deliveries.stopped(t, inst, e)
            if inst.state is State.READY:
                offer(t, inst)
        return
    _end(t, inst, body, e)


def _end(t: Turn, inst: Instance, body: Attempt, e: AttemptEnded) -> None:
    if inst.task.branch or (e.cuts and inst.map_index < 0):
        e = control.decided(t, inst, e)
    failure = e.failure
    message = failure.message if failure is not None else ""
    t.end_attempt(inst, e.attempt_id, e.state, active=body.active, error=message or None, metrics=e.metrics)
    waiting.close_waits(t, inst, WaitState.CANCELLED, "the attempt ended")
    if e.state is not AttemptState.SUCCESS and inst.task.outlets:
        versions.attempt_over(t, e.attempt_id, message)
    if e.state is AttemptState.SUCCESS:
        if e.checks is not None:
            t.checked[inst.instance_id] = gating.decoded(e.checks)
        if e.watermark is not None and inst.run.kind != shadow.KIND:
            _move_watermark(t, inst, e.watermark)
        succeed(t, inst, e.output, "")
    elif e.state is AttemptState.SKIPPED:
        finish(t, inst, State.SKIPPED, message or "the task skipped itself")
    elif e.state is AttemptState.CANCELLED:
        finish(t, inst, State.CANCELLED, message or "the attempt was cancelled")
    elif e.state is AttemptState.TIMED_OUT and not inst.task.idempotent:
        finish(t, inst, State.FAILED, f"{message or 'timed out'}; not idempotent, so not tried again")
    else:
        failed(t, inst, failure or Failure("the attempt failed and gave no reason"))


def _move_watermark(t: Turn, inst: Instance, value: bytes) -> None:
    """It moves with the intervals: what a run of an earlier one says of it is left out (S3-51)."""
    run, key = inst.run, (inst.run.dag.dag_id, inst.task.name)
    end, known = run.meta.end_us, t.world.marks.get(key)
    if known is not None and end < known:
        t.journal(
            "watermark", inst.instance_id, run.run_id, "", "kept",
            f"{inst.task.name} has one of an interval that ends at {from_us(known).isoformat()}, "
            f"and this run's ends at {from_us(end).isoformat()}",
        )  # fmt: skip
        return
    t.world.marks[key] = end
    t.changes.watermarks.append((*key, value.decode(), end))


def succeed(t: Turn, inst: Instance, output: bytes | None, reason: str) -> None:
    if inst.task.effect is not None:
        deliveries.delivered(t, inst, output)
    if output is not None:
        t.changes.outputs.append((inst.instance_id, output.decode()))
        read = inst.run.compiled.downstream[inst.ix] or inst.run.compiled.handled
        if read and inst.map_index < 0:
            t.effects.append(OutputKnown(inst.run.run_id, inst.task.name, inst.map_index, output))
    elif inst.attempt > 1 and inst.map_index < 0:  # a rerun that returns nothing: forget what it had returned
        t.effects.append(OutputKnown(inst.run.run_id, inst.task.name, inst.map_index, b"null"))
    finish(t, inst, State.SUCCESS, reason)


def failed(t: Turn, inst: Instance, failure: Failure) -> None:
    """Spend the retry budget, or end."""
    inst.failures += 1
    inst.lost = 0
    inst.inherits = False
    if not is_retried(inst.task, inst.failures, failure):
        if inst.task.sensor is not None and inst.task.sensor.soft_fail:
            finish(t, inst, State.SKIPPED, f"soft_fail: {failure.message}")
        else:
            handling.note(t, inst, failure)
            finish(t, inst, State.FAILED, failure.message)
        return
    delay = delay_us(inst.task, inst.failures, failure, inst.attempt_id or inst.instance_id)
    budget = f"attempt {inst.failures} of {inst.task.retries + 1} failed: {failure.message}"
    if delay == 0 and inst.state is not State.READY and not deliveries.is_wrong(t.world, inst):
        make_ready(t, inst, budget)
        return
    inst.due = t.now + delay
    t.world.timer(inst.due, Due.RETRY, inst.instance_id)
    t.move(inst, State.UP_FOR_RETRY, budget)


def try_again(t: Turn, inst: Instance) -> None:
    """The delay before its next attempt is over; what is known to be wrong is not delivered again."""
    if deliveries.is_wrong(t.world, inst):
        asking.hold(t, inst)
    else:
        make_ready(t, inst, inst.reason)


# --- the end of an instance ----------------------------------------------------------------------


def finish(t: Turn, inst: Instance, state: State, reason: str) -> None:
    """End an instance: nothing of it waits any more, and its downstreams hear of it."""
    was = inst.state
    was_over = was in OVER
    was_bad = was in _BAD
    t.move(inst, state, reason)
    if was is State.READY:
        admission.pass_on(t, inst)
    inst.due = None
    inst.lost = 0
    inst.inherits = False
    inst.built = None
    waiting.close_waits(t, inst, WaitState.CANCELLED, f"the task instance is {state.value}")
    admission.give_life(t, inst)
    if t.world.approvals.open:
        approving.instance_over(t, inst)
    if inst.task.effect is not None:
        deliveries.over(t, inst, state, reason)
    if inst.task.alert is not None:
        alerting.task_over(t, inst)
    run = inst.run
    run.dag.stuck.pop(inst.instance_id, None)
    if inst.fan is not None:
        if inst.map_index >= 0:
            return _child_over(t, inst, was)
        inst.fan.former.clear()
        t.effects.append(OutputChanged(run.run_id, inst.task.name))
    waiting.announce(t, inst)
    if t.world.assets.looks:
        asking.left(t, inst)
    if t.world.past:
        past.leave(t.world, inst)
        past.moved_on(t, run.run_id, inst.task.name)
    if inst.task.fails_run:
        before = run.bad
        run.bad += (state in _BAD) - was_bad
        if run.bad and not before and not run.closing:
            raising.run_fails(t, run, inst, reason)
    if inst.task.outlets and state is State.SUCCESS and inst.map_index < 0:  # of a mapped task: the whole
        t.published.append(inst)
    if was_over:
        return None
    run.open -= 1
    downstream = run.compiled.downstream[inst.ix]
    if downstream:
        t.later(_Spread(run, inst.ix, downstream, state))
    if run.open == 0:
        t.ended_runs.append(run)
    return None


def _child_over(t: Turn, child: Instance, was: State) -> None:
    """One instance of a mapped task is over: it leaves the world, and the last one ends the task."""
    fan = child.fan
    assert fan is not None
    fan.moved(child, was)
    t.world.instances.pop(child.instance_id, None)
    if was not in OVER and fan.done:
        finish(t, fan.summary, *fan.end())


class _Spread:
    """Tells the downstreams of an instance how it ended, a few at a time."""

    __slots__ = ("at", "downstream", "ix", "run", "state")

    def __init__(self, run: Run, ix: int, downstream: tuple[int, ...], state: State) -> None:
        self.run = run
        self.ix = ix
        self.downstream = downstream
        self.state = state
        self.at = 0

    def __call__(self, t: Turn) -> bool:
        run, state = self.run, self.state
        instances = run.instances
        alike = not run.compiled.handled and self.ix not in run.choices  # to all of them
        while self.at < len(self.downstream):
            if t.budget <= 0:
                return False
            t.budget -= 1
            inst = instances[self.downstream[self.at]]
            self.at += 1
            count_end(inst, state if alike else control.as_seen(run, self.ix, inst.ix, state))
            if inst.state is State.PENDING:
                judge(t, inst)
        return True


def spread_now(t: Turn, run: Run) -> None:
    """Have every downstream of a run hear at once of the ends so far: before counts are made anew."""
    agenda, budget = t.world.agenda, t.budget
    t.budget = len(run.instances) + sum(run.compiled.waiting) + 1
    while spreads := [work for work in agenda if isinstance(work, _Spread) and work.run is run]:
        for work in spreads:
            agenda.remove(work)
            if not work(t):
                agenda.append(work)
    t.budget = budget


def count_end(inst: Instance, state: State) -> None:
    """Count the end of one direct upstream."""
    if state is State.SUCCESS:
        inst.n_success += 1
    elif state is State.SKIPPED:
        inst.n_skipped += 1
    else:
        inst.n_failed += 1


def stop_body(t: Turn, inst: Instance, state: AttemptState, reason: str) -> None:
    """Tell a body to stop. It keeps its slot until it has; the instance may be over before."""
    body = inst.body
    if body is None or body.stopping:
        return
    body.stopping = reason
    if is_sensor(inst.task):
        drop_body(t, body)
    else:
        t.effects.append(Stop(body.attempt_id, state, reason))


def end_now(t: Turn, inst: Instance, state: State, reason: str) -> None:
    """End an instance by decree (cancel, mark), wherever it is. Its attempt ends with it."""
    at_once(ending(t, inst, state, reason))


def ending(t: Turn, inst: Instance, state: State, reason: str) -> Slices:
    """End an instance by decree; of a mapped task all that is not over, which can be many."""
    fan = inst.fan
    if fan is not None and inst.map_index < 0:
        fan.ending = True
        for child in list(fan.children.values()):
            if t.budget <= 0:
                yield
            t.budget -= 1
            _end_alone(t, child, state, reason)
        fan.ending = False
    if t.budget <= 0:
        yield
    t.budget -= 1
    _end_alone(t, inst, state, reason)


def _end_alone(t: Turn, inst: Instance, state: State, reason: str) -> None:
    if inst.going and inst.attempt_id is not None:
        ended = AttemptState.SUCCESS if state is State.SUCCESS else AttemptState.CANCELLED
        t.end_attempt(inst, inst.attempt_id, ended, active=active_us(t, inst), error=reason)
        if inst.task.outlets and state is not State.SUCCESS:
            versions.attempt_over(t, inst.attempt_id, reason)
    stop_body(t, inst, AttemptState.CANCELLED, reason)
    control.forget(t, inst)
    finish(t, inst, state, reason)
