"""What waits for an answer of the database that cannot be had does not wait for ever.

A question that is a bug of bide, or rows that cannot be read: an instance that asks its past fails, and
so do waits; a backfill is paused, with the reason, until somebody resumes it. What may be answered
later is put off.
"""

from __future__ import annotations

from bide.runtime.engine import backfills, covering, firing, life, past, plans, unread
from bide.runtime.engine.assets import versions
from bide.runtime.engine.assets.state import WaitedFor
from bide.runtime.engine.messages import (
    AssetAsked,
    BackfillDue,
    GuardAsked,
    PastAsked,
    PlanDue,
    PublicationAsked,
    RunsAsked,
    Unanswered,
)
from bide.runtime.engine.states import BackfillState, PlanState, State
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Wait


def unanswered(t: Turn, e: Unanswered) -> None:
    if e.again:
        return unread.put_off(t, e)
    match e.asked:
        case PastAsked(instance_id=instance_id):
            inst = t.world.instances.get(instance_id)
            if inst is not None and inst.state is State.PENDING:
                past.leave(t.world, inst)
                life.finish(t, inst, State.FAILED, e.reason)
        case GuardAsked(instance_id=instance_id):
            inst = t.world.instances.get(instance_id)
            if inst is not None and inst.state in (State.PENDING, State.BLOCKED, State.AWAITING_APPROVAL):
                life.finish(t, inst, State.FAILED, e.reason)
        case PublicationAsked(version_id=version_id):
            one = t.world.assets.open.get(version_id)
            if one is not None:
                versions.say(t, one, e.reason)
        case BackfillDue(backfill_id=backfill_id):
            b = t.world.backfills.get(backfill_id)
            if b is not None and b.state is BackfillState.RUNNING:
                b.asked = False
                backfills.move(t, b, BackfillState.PAUSED, e.reason)
        case PlanDue(plan_id=plan_id):
            plan = t.world.plans.get(plan_id)
            if plan is not None:
                plans.give_up(t, plan, PlanState.FAILED, e.reason)
        case AssetAsked() | RunsAsked():
            for wait in _waiters(t, e.asked):
                firing.fail(t, wait, e.reason)
        case _:
            pass
    return None


def _waiters(t: Turn, asked: AssetAsked | RunsAsked) -> list[Wait]:
    if isinstance(asked, RunsAsked):
        key = covering.Covered(asked.task, asked.start_us, asked.end_us)
        return list(covering.waiters(t.world, asked.dag, key).values())
    asset = t.world.assets.named.get(asked.asset)
    span = WaitedFor(asked.start_us, asked.end_us, asked.cover)
    return [] if asset is None else list(asset.waiting.get(span, {}).values())
