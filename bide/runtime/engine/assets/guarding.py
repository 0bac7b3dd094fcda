"""Before a task begins: the contracts of what it makes are asked, and what it may read is written down.

"No" is a state, never an exception (S1-43): `blocked` with the reason, or `awaiting_approval` where a person
may let it go on. Who waits looks at assets (`changed.py`) and asks again in the commit after one of them has
changed. "Yes" writes the versions that it may read, which become the inputs of what it makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.assets.judged import Used
from bide.runtime.assets.words import Level
from bide.runtime.engine import alerting, approving, handling, life
from bide.runtime.engine.assets import asking, deciding, deliveries, delivering, refusing
from bide.runtime.engine.assets.changed import looks_at, looks_away
from bide.runtime.engine.messages import Failure, GuardAsked
from bide.runtime.engine.states import ApprovalKind, RunState, State

if TYPE_CHECKING:
    from bide.runtime.engine.approval_commands import Answered
    from bide.runtime.engine.approval_state import Approval
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance

_WAITING = frozenset({State.PENDING, State.BLOCKED, State.AWAITING_APPROVAL})
REFUSED = "bide.ContractRefused"
"""The class path of the failure that a rejected approval of a contract is."""


def guard_asked(t: Turn, e: GuardAsked) -> None:
    inst = t.world.instances.get(e.instance_id)
    if inst is None or inst.run.state is not RunState.RUNNING:
        return
    again = inst.state is State.UP_FOR_RETRY and deliveries.is_wrong(t.world, inst)
    if inst.state not in _WAITING and not again:
        return
    if inst.state is State.AWAITING_APPROVAL and e not in t.world.assets.looks:
        return  # it waits for another person
    if inst.state is State.PENDING and not life.upstreams_let(t, inst):
        return  # one of them runs again: it asks anew when that has ended
    questions = asking.questions_of(t, inst)
    if not deciding.known(t, e, questions, *asking.others_of(inst)):
        return
    if inst.task.effect is not None and inst.task.effect.asset in t.touched:
        t.ask(e, *asking.keys_of(inst, questions))
        return
    inst.due = None
    answers = [deciding.answer(t, each) for each in questions]
    approved = t.facts[asking.approved_key(inst)]
    refused = [each for each in answers if deciding.stops(each.decision, approved)]
    if refused:
        _wait(t, inst, refused)
        return
    used: dict[int, Used] = {}
    for each in answers:
        for one in each.use:
            used.setdefault(one.version.version_id, one)
    if inst.task.effect is None or delivering.may_leave(t, inst, answers, used):
        _let_go(t, inst, answers, used)


def _let_go(t: Turn, inst: Instance, answers: list[deciding.Answer], used: dict[int, Used]) -> None:
    """It may begin: what it may read is written, instead of what it was given before."""
    looks_away(t.world.assets, GuardAsked(inst.instance_id))
    approving.withdraw(t, ApprovalKind.CONTRACT, inst.instance_id, "its contracts let it go on")
    for each in answers:
        if each.evidence.contracts:
            deciding.record(t, each, run_id=inst.run.run_id, instance_id=inst.instance_id)
    t.changes.readings_gone.append((inst.instance_id,))
    t.changes.readings += [(inst.instance_id, version_id, one.kind.value) for version_id, one in used.items()]
    waited = inst.state is not State.PENDING
    if inst.state is State.AWAITING_APPROVAL and inst.task.alert is not None:
        alerting.task_ready(t, inst)
    retried = inst.state is State.UP_FOR_RETRY
    life.make_ready(t, inst, inst.reason if retried else "its contracts hold now" if waited else "")


def _wait(t: Turn, inst: Instance, refused: list[deciding.Answer]) -> None:
    """It may not begin: it is said why, and what would change that is looked at."""
    approving.withdraw(t, ApprovalKind.EFFECT, inst.instance_id, "its contracts do not let it leave")
    looks_at(t.world.assets, GuardAsked(inst.instance_id), asking.names_of(t.world.assets, inst))
    first = refused[0].decision
    person = all(deciding.stops(each.decision) == {Level.MANUAL_APPROVAL} for each in refused)
    state = State.AWAITING_APPROVAL if person else State.BLOCKED
    said = inst.state is state and _reason(t, inst, first.reason) == inst.reason
    if said:
        return
    run_id = inst.run.run_id
    for each in refused:
        decision = deciding.record(t, each, run_id=run_id, instance_id=inst.instance_id)
        if person and each is refused[0]:
            first = decision
        if not person and inst.state is not state:
            refusing.tell(t, decision, run_id, inst)
    if person:
        approving.ask(
            t, ApprovalKind.CONTRACT, inst.instance_id, first.reason, run_id=run_id, decision_id=int(first.id),
            about=deciding.about(first),
        )  # fmt: skip
    else:
        approving.withdraw(
            t, ApprovalKind.CONTRACT, inst.instance_id, "its contracts do not let it begin at all"
        )
    reason = _reason(t, inst, first.reason)
    if inst.state is state:
        t.touch(inst, reason)
    else:
        t.move(inst, state, reason)


def _reason(t: Turn, inst: Instance, reason: str) -> str:
    approval = t.world.approvals.of.get((ApprovalKind.CONTRACT, inst.instance_id))
    return reason if approval is None else f"approval {approval.approval_id}: {reason}"


def recover(t: Turn) -> None:
    """After a restart: all that wait ask once more."""
    for each in list(t.world.assets.looks):
        t.ask(each)


def answered(t: Turn, approval: Approval, answer: Answered) -> None:
    """A person has said whether a task may begin whose contract asks for that."""
    inst = t.world.instances.get(approval.subject_id)
    if inst is None or inst.state is not State.AWAITING_APPROVAL:
        return
    if answer.approved:
        t.move(inst, State.BLOCKED, f"{answer}; its contracts are asked once more")
        asking.hold(t, inst)
        return
    handling.note(t, inst, Failure(str(answer), mro=(REFUSED,), final=True))
    life.finish(t, inst, State.FAILED, str(answer))
