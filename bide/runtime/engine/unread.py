"""Questions of the engine's own that the database could not answer are asked again, less and less often.

What is due stays due: a firing, the versions of a consumer, a run that others wait for. All that is
put off is asked again at one instant, as long after the last time as the trouble has lasted, from a
second to a minute. Nothing of it is a row: a start asks for all of it anew.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bide.runtime.clock import MINUTE, SECOND
from bide.runtime.engine.bulk_state import BulkOn
from bide.runtime.engine.messages import (
    AssetAsked,
    BackfillDue,
    ConsumerAsked,
    DueTimer,
    GuardAsked,
    Input,
    LateAsked,
    PastAsked,
    PlanDue,
    PublicationAsked,
    RunAsked,
    RunsAsked,
    SpreadOn,
    Unanswered,
)
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Due, World

LEAST_US: Final = SECOND
MOST_US: Final = MINUTE


def is_put_off(asked: Input, *, passes: bool) -> bool:
    """Whether a question that was not answered is asked again; `passes`: what kept it from being read may pass.

    Of what is late nothing is dropped; all else ends with an error that does not pass.
    """
    if isinstance(asked, DueTimer | ConsumerAsked | LateAsked | SpreadOn | BulkOn):
        return True
    return passes and isinstance(
        asked,
        PastAsked | RunAsked | RunsAsked | AssetAsked | BackfillDue | GuardAsked | PublicationAsked | PlanDue,
    )


def put_off(t: Turn, e: Unanswered) -> None:
    unread = t.world.unread
    if not unread.asked and (unread.rung is None or t.now - unread.rung > 2 * MOST_US):
        unread.since = t.now
        unread.told.clear()
    if e.asked not in unread.told:
        unread.told.add(e.asked)
        reason = f"{words(t.world, e.asked)} waits until the database can be read: {e.reason}"
        t.journal("input", 0, None, "", "put off", reason)
    unread.asked[e.asked] = e.reason
    if unread.due is None:
        unread.due = t.now + min(max(t.now - unread.since, LEAST_US), MOST_US)
        t.world.timer(unread.due, Due.UNREAD, 0)


def rung(t: Turn, due: int) -> None:
    """Ask all of it again, a few at a time."""
    unread = t.world.unread
    if unread.due != due:
        return
    unread.due, unread.rung = None, t.now
    asked, unread.asked = deque(unread.asked), {}
    t.later(_Again(asked))


class _Again:
    __slots__ = ("asked",)

    def __init__(self, asked: deque[Input]) -> None:
        self.asked = asked

    def __call__(self, t: Turn) -> bool:
        while self.asked and t.budget > 0:
            t.budget -= 1
            t.ask(self.asked.popleft())
        return not self.asked


def shift(t: Turn, step_us: int) -> None:
    """The wall clock was stepped: a back-off is a span of time."""
    unread = t.world.unread
    unread.since += step_us
    if unread.rung is not None:
        unread.rung += step_us
    if unread.due is not None:
        unread.due += step_us
        t.world.timer(unread.due, Due.UNREAD, 0)


def dag_of(world: World, asked: Input) -> str:
    """The DAG that a question is about."""
    match asked:
        case RunAsked(dag=name) | RunsAsked(dag=name):
            return name
        case DueTimer(subject_id=dag_id) | ConsumerAsked(dag_id=dag_id):
            dag = world.dag_of.get(dag_id)
            return "" if dag is None else dag.name
        case PastAsked(instance_id=instance_id) | GuardAsked(instance_id=instance_id):
            inst = world.instances.get(instance_id)
            return "" if inst is None else inst.run.dag.name
        case BackfillDue(backfill_id=backfill_id):
            b = world.backfills.get(backfill_id)
            return "" if b is None else b.dag.name
        case _:
            return ""


def words(world: World, asked: Input) -> str:
    """What is put off, in words."""
    name = dag_of(world, asked)
    match asked:
        case DueTimer(kind=Due.SCHEDULE):
            return f"a firing of {name}"
        case DueTimer(kind=Due.CATCHUP):
            return f"catching up of {name}"
        case ConsumerAsked():
            return f"what new versions of assets are for {name}"
        case PastAsked(instance_id=instance_id) | GuardAsked(instance_id=instance_id) if (
            inst := world.instances.get(instance_id)
        ) is not None:
            return f"{inst.task.name} of run {inst.run.run_id} of {name}"
        case BackfillDue(backfill_id=backfill_id):
            return f"backfill {backfill_id} of {name}"
        case LateAsked(version_id=version_id):
            return f"whether version {version_id} was made of what was invalidated"
        case SpreadOn(invalidation_id=number):
            return f"what invalidation {number} affects"
        case BulkOn(bulk_id=number):
            return f"action {number}"
        case PlanDue(plan_id=plan_id):
            return f"rerun plan {plan_id}"
        case PublicationAsked(version_id=version_id):
            return f"whether version {version_id} may be seen"
        case AssetAsked(asset=asset):
            return f"who waits for {asset}"
        case RunAsked() | RunsAsked():
            return f"who waits for {name}"
        case _:
            return f"a timer of {name}"
