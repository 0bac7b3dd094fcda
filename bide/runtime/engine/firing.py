"""What follows when a wait ends, in all three modes alike: fired, failed, timed out, looked at.

The first end counts and closes the row; any later one finds no open wait and is a no-op (P4). A
wait that has fired cannot be killed by its deadline: inputs are decided before timers (P11).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from bide.runtime.clock import LAST_US, from_us
from bide.runtime.engine import admission, covering, life, standing, waiting
from bide.runtime.engine.assets.state import WaitedFor
from bide.runtime.engine.messages import (
    AssetAsked,
    BuildFailed,
    Failure,
    Found,
    Parked,
    RunAsked,
    RunsAsked,
    TriggerBuilt,
    WaitAsked,
    WaitDropped,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.states import AttemptState, State, WaitState
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Due, Instance, Wait, Watched
from bide.runtime.graph.spec import OnTimeout
from bide.runtime.triggerer.pace import least_us, period_us
from bide.triggers.base import Fail, Fire
from bide.triggers.external_task import MISSING

LATE_US = 1_000_000
"""A deadline that is judged later than this passed while nobody looked: one last look is due."""


# --- inputs --------------------------------------------------------------------------------------


def trigger_built(t: Turn, e: TriggerBuilt) -> None:
    inst = t.world.instances.get(e.instance_id)
    if inst is None or inst.state is not State.READY or inst.wait is not None:
        return
    if (refused := _in_vain(t, inst, e)) is not None:
        life.failed(t, inst, Failure(refused, final=True))
        return
    inst.built = e
    life.offer(t, inst)


def _in_vain(t: Turn, inst: Instance, e: TriggerBuilt) -> str | None:
    """Why a wait that begins now cannot but run out of time, where its author did not provide for that."""
    sensor = inst.task.sensor
    if sensor is None or e.not_before_us is None or not sensor.timeout_given:
        return None
    if sensor.soft_fail or sensor.on_timeout is not OnTimeout.FAIL:
        return None
    if e.not_before_us <= t.now + sensor.timeout_us:
        return None
    return (
        f"it waits for {_instant(e.not_before_us)} and its timeout of "
        f"{timedelta(microseconds=sensor.timeout_us)} is over before, at {_instant(t.now + sensor.timeout_us)}: "
        'leave timeout out (the default counts from that instant), make it longer, or say on_timeout="skip"'
    )


def _instant(at_us: int) -> str:
    return from_us(min(at_us, LAST_US)).isoformat(timespec="seconds")


def build_failed(t: Turn, e: BuildFailed) -> None:
    inst = t.world.instances.get(e.instance_id)
    if inst is not None and inst.state is State.READY:
        life.failed(t, inst, e.failure)


def wait_fired(t: Turn, e: WaitFired) -> None:
    wait = t.world.waits.get(e.wait_id)
    if wait is not None:
        fire(t, wait, e.event)
    elif (held := t.world.standing.get(e.wait_id)) is not None:
        standing.fired(t, held, e.event, e.marks)


def wait_failed(t: Turn, e: WaitFailed) -> None:
    wait = t.world.waits.get(e.wait_id)
    if wait is not None:
        fail(t, wait, e.reason)
    elif (held := t.world.standing.get(e.wait_id)) is not None:
        standing.broke(t, held, e.reason)


def wait_looked(t: Turn, e: WaitLooked) -> None:
    """A single look said "not yet": time out when it was the last, else wait for the next."""
    wait = t.world.waits.get(e.wait_id)
    if wait is None:
        return
    inst = wait.inst
    if waiting.is_of_one_run(wait) and waiting.is_missing(t, *waiting.watched_of(wait)):
        _tell(t, wait, MISSING)
    elif wait.last_look:
        time_out(t, wait, e.reason)
    elif inst.state is State.RUNNING and inst.wait is wait and not wait.armed and inst.body is not None:
        wait.held = life.active_us(t, inst)
        life.drop_body(t, inst.body)
        inst.due = max(min(_next_look(t, wait, e), wait.deadline), t.now + 1)
        t.world.timer(inst.due, Due.RETRY, inst.instance_id)
        t.move(inst, State.DEFERRED, e.reason)


def _next_look(t: Turn, wait: Wait, e: WaitLooked) -> int:
    """When a rescheduled wait is looked at again: paced as an armed one is (C33)."""
    wait.misses += 1
    wait.failures = wait.failures + 1 if e.failed else 0
    sensor = wait.inst.task.sensor
    backoff = sensor.backoff if sensor is not None else 1.0
    due = t.now + period_us(wait.poll, backoff, wait.misses, wait.failures)
    return due if e.again_us is None else max(e.again_us, t.now + least_us(wait.poll))


def found(t: Turn, e: Found) -> None:
    state = e.state
    if state is None and waiting.is_missing(t, e.dag, e.task, e.logical_us):
        state = MISSING
    if state is not None:
        t.announced.append(((e.dag, e.task, e.logical_us), state))


def wait_asked(t: Turn, e: WaitAsked) -> None:
    """A body asks for a wait: its slot is free from here on, unless it is answered at once."""
    body = t.world.attempts.get(e.attempt_id)
    if body is None or body.stopping:
        return
    inst = body.inst
    if inst.waits is None:
        inst.waits = {}
    wait = inst.waits.get(e.key)
    if wait is None:
        deadline = waiting.deadline_us(t.now, e.timeout_us, e.not_before_us)
        if inst.deadline is not None:
            deadline = min(deadline, inst.deadline)
        wait = waiting.open_wait(t, inst, e.attempt_id, e.key, e.trigger, e.kind, deadline, e.poll_us)
        inst.waits[e.key] = wait
    elif not wait.ended:
        wait.attempt_id = e.attempt_id  # inherited from a lost attempt, with its deadline
        t.write_wait(wait)
    else:
        life.deliver(t, body, wait)
        return
    if inst.state is State.RUNNING:
        admission.give_slot(t, body)
        t.move(inst, State.DEFERRED, "")
    waiting.arm(t, wait)


def parked(t: Turn, e: Parked) -> None:
    """The body waits again with all it has: its slot is free, or it does not want one any more.

    A `Parked` that was said before the body had every answer that was sent to it is too early.
    """
    body = t.world.attempts.get(e.attempt_id)
    if body is None or body.stopping or body.answers or e.answers < body.told:
        return
    inst = body.inst
    if inst.state in (State.RUNNING, State.READY) and waiting.open_waits(inst):
        admission.give_slot(t, body)
        t.move(inst, State.DEFERRED, "")


def wait_dropped(t: Turn, e: WaitDropped) -> None:
    """The body gave up on a wait: it goes on, so it wants its slot back."""
    body = t.world.attempts.get(e.attempt_id)
    if body is None or body.inst.waits is None:
        return
    inst = body.inst
    wait = body.inst.waits.pop(e.key, None)
    if wait is None or wait.ended:
        return
    waiting.close_wait(t, wait, WaitState.CANCELLED, "the task no longer waits for it")
    if inst.state is State.DEFERRED and not body.stopping:
        life.make_ready(t, inst, "resumed: gave up a wait", resumed=True)


# --- ends ----------------------------------------------------------------------------------------


def fire(t: Turn, wait: Wait, event: bytes, reason: str = "") -> None:
    """It came true: the row is closed with its event, and the instance is made runnable, or done.

    `reason` is told when something else than the world made it true.
    """
    inst = wait.inst
    wait.event = event
    waiting.close_wait(t, wait, WaitState.FIRED, reason)
    if inst.wait is wait:
        _end_sensor(t, inst, AttemptState.SUCCESS, "")
        life.succeed(t, inst, event if event != b"null" else None, reason)
    else:
        _resume(t, inst, wait)


def fail(t: Turn, wait: Wait, reason: str) -> None:
    """It can never come true."""
    inst = wait.inst
    wait.error = reason
    waiting.close_wait(t, wait, WaitState.FAILED, reason)
    if inst.wait is wait:
        _end_sensor(t, inst, AttemptState.FAILED, reason)
        life.failed(t, inst, Failure(reason, mro=("bide.WaitFailed",)))
    else:
        _resume(t, inst, wait)


def time_out(t: Turn, wait: Wait, last_answer: str = "") -> None:
    """Its absolute deadline has passed (C9): never retried for a sensor, whose time is its total."""
    inst = wait.inst
    wait.timed_out = True
    seen = f"; last seen: {last_answer}" if last_answer else ""
    wait.error = f"timed out waiting{seen}"
    waiting.close_wait(t, wait, WaitState.TIMED_OUT, wait.error)
    if inst.wait is not wait:
        return _resume(t, inst, wait)
    sensor = inst.task.sensor
    assert sensor is not None
    _end_sensor(t, inst, AttemptState.TIMED_OUT, wait.error)
    if sensor.on_timeout is OnTimeout.SUCCEED:
        life.succeed(t, inst, None, wait.error)
    elif sensor.on_timeout is OnTimeout.SKIP or sensor.soft_fail:
        life.finish(t, inst, State.SKIPPED, wait.error)
    else:
        life.finish(t, inst, State.FAILED, wait.error)
    return None


def deadline_passed(t: Turn, wait: Wait, due: int) -> None:
    """The timer of a wait. What passed while nobody looked gets one bounded last look."""
    if t.now - due > LATE_US and not wait.last_look:
        waiting.disarm(t, wait, "timed_out")
        wait.last_look = True
        waiting.look_once(t, wait)
    elif not wait.last_look:
        time_out(t, wait)


def _end_sensor(t: Turn, inst: Instance, state: AttemptState, error: str) -> None:
    active = life.active_us(t, inst)
    inst.wait = None
    if inst.body is not None:
        life.drop_body(t, inst.body)
    if inst.attempt_id is not None:
        t.end_attempt(inst, inst.attempt_id, state, active=active, error=error or None)


def _resume(t: Turn, inst: Instance, wait: Wait) -> None:
    """Bring an answer to the body that waits, in front of all new work (B57, C13)."""
    body = inst.body
    if body is not None and body.stopping:
        return
    if body is not None and inst.state is State.RUNNING:
        life.deliver(t, body, wait)
        return
    if body is not None:
        if body.answers is None:
            body.answers = []
        body.answers.append(wait)
    if inst.state is State.DEFERRED:
        life.make_ready(
            t, inst, f"resumed: {wait.key or wait.kind} {'fired' if wait.event else 'ended'}", resumed=True
        )


# --- external tasks ------------------------------------------------------------------------------


class Wake:
    """Tells everybody who waits for a run, a task or an asset what was seen of it, a few at a time."""

    __slots__ = ("seen", "waits")

    def __init__(self, waits: list[Wait], seen: Any) -> None:
        self.waits = waits
        self.seen = seen

    def __call__(self, t: Turn) -> bool:
        while self.waits:
            if t.budget <= 0:
                return False
            t.budget -= 1
            wait = self.waits.pop()
            if not wait.ended and wait.armed:
                _tell(t, wait, self.seen)
        return True


def _tell(t: Turn, wait: Wait, seen: Any) -> None:
    match waiting.decode_seen(wait).judge(seen, None, t.now):
        case Fire(event=event):
            fire(t, wait, msgspec.json.encode(event))
        case Fail(reason=reason):
            fail(t, wait, reason)


def wake(t: Turn, key: Watched, state: str) -> None:
    waiters = t.world.watched.get(key)
    if waiters:
        t.later(Wake(list(waiters.values())[::-1], state))


def run_asked(t: Turn, e: RunAsked) -> None:
    """One that could not be read when it was asked for: ask again, if it is still waited for."""
    key = (e.dag, e.task, e.logical_us)
    if key in t.world.watched:
        t.questions[key] = None


def runs_asked(t: Turn, e: RunsAsked) -> None:
    """How the runs of an interval stand that are waited for together."""
    waits = covering.waiters(t.world, e.dag, covering.Covered(e.task, e.start_us, e.end_us))
    if waits:
        seen = t.fact("runs_over", e.dag, e.task, e.start_us, e.end_us)
        t.later(Wake(list(waits.values())[::-1], seen))


def asset_asked(t: Turn, e: AssetAsked) -> None:
    """What the database has of an interval of an asset that is waited for."""
    asset = t.world.assets.named.get(e.asset)
    waiters = asset.waiting.get(WaitedFor(e.start_us, e.end_us, e.cover)) if asset is not None else None
    if waiters:
        seen = t.fact("asset_over", e.asset, e.start_us, e.end_us)
        t.later(Wake(list(waiters.values())[::-1], seen))


def rescheduled(t: Turn, inst: Instance) -> None:
    """A sensor in reschedule mode is due for its next look: it wants a slot for it."""
    life.make_ready(t, inst, "its next look is due", resumed=True)
