"""People decide, or do not in time: `approve`, `reject`, expiry; and what follows, by what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.engine import approving, handling, life, plans
from bide.runtime.engine.approval_state import Approval
from bide.runtime.engine.assets import delivering, guarding, releasing
from bide.runtime.engine.messages import Failure
from bide.runtime.engine.states import ApprovalKind, ApprovalState, State
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance
from bide.runtime.errors import NotFoundError, RefusedError, UsageError


class Answered(NamedTuple):
    """How an approval ended: approved, rejected or expired; `by` is empty when it expired."""

    state: ApprovalState
    by: str
    why: str

    @property
    def approved(self) -> bool:
        return self.state is ApprovalState.APPROVED

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        return f"{self.state.value}{by}: {self.why}"


def _nothing(_t: Turn, _approval: Approval, _answered: Answered) -> None:
    return None


class Follows(NamedTuple):
    """What a kind of approval brings about.

    `then` carries an answer out, when the approval is closed. `first` is called before anything is changed:
    it may ask for facts, or refuse.
    """

    then: Callable[[Turn, Approval, Answered], None]
    first: Callable[[Turn, Approval, Answered], None] = _nothing


DENIED: Final = "bide.ApprovalDenied"
"""The class path of the failure that a denial is, for those who handle it."""


def _task(t: Turn, approval: Approval, answered: Answered) -> None:
    """Of an `approval(...)` in a graph."""
    inst = t.world.instances[approval.subject_id]
    said = str(answered)
    if answered.approved:
        output = {"approval": approval.approval_id, "by": answered.by, "why": answered.why}
        life.succeed(t, inst, msgspec.json.encode(output), said)
    elif inst.task.approval is not None and inst.task.approval.on_reject == "skip":
        life.finish(t, inst, State.SKIPPED, said)
    else:
        denied(t, inst, answered)


def denied(t: Turn, inst: Instance, answered: Answered) -> None:
    """What was asked for an instance was denied: it fails, and is not tried again."""
    failure = Failure(str(answered), mro=(DENIED,), final=True)
    handling.note(t, inst, failure)
    life.finish(t, inst, State.FAILED, failure.message)


FOLLOWS: Final[dict[ApprovalKind, Follows]] = {
    ApprovalKind.TASK: Follows(_task),
    ApprovalKind.EFFECT: Follows(delivering.answered),
    ApprovalKind.CONTRACT: Follows(guarding.answered),
    ApprovalKind.PUBLICATION: Follows(releasing.answered),
    ApprovalKind.PLAN: Follows(plans.answered),
}


def approve(t: Turn, args: dict[str, Any]) -> Any:
    """{approval_id, by, why} -> {approval_id, kind, subject_id, state}."""
    return _decide(t, args, ApprovalState.APPROVED)


def reject(t: Turn, args: dict[str, Any]) -> Any:
    """{approval_id, by, why} -> {approval_id, kind, subject_id, state}."""
    return _decide(t, args, ApprovalState.REJECTED)


def expired(t: Turn, approval: Approval) -> None:
    """Its time is over: denied."""
    asked = from_us(approval.asked).isoformat(timespec="seconds")
    _end(t, approval, Answered(ApprovalState.EXPIRED, "", f"nobody decided in time, asked at {asked}"))


def _decide(t: Turn, args: dict[str, Any], state: ApprovalState) -> Any:
    approval = _open(t, args["approval_id"])
    by, why = str(args.get("by") or "").strip(), str(args.get("why") or "").strip()
    name = f"approval {approval.approval_id}"
    if not by:
        raise UsageError(f"who decides {name}? say it with `by`: it is kept with the decision")
    if not why:
        raise UsageError(f"why is {name} {state.value}? say it with `why`: it is kept with the decision")
    if approval.who and by not in approval.who:
        raise RefusedError(f"{name} is for {_names(approval.who)} to decide, and not for {by}")
    if (
        approval.expires is not None
        and approval.expires <= t.now
        and not approving.is_frozen(t.world, approval)
    ):
        at = from_us(approval.expires).isoformat(timespec="seconds")
        raise RefusedError(
            f"{name} expired at {at}, and what has expired is denied: run what asked for it again"
        )
    _end(t, approval, Answered(state, by, why))
    return {
        "approval_id": approval.approval_id,
        "kind": approval.kind.value,
        "subject_id": approval.subject_id,
        "state": state.value,
    }


def _end(t: Turn, approval: Approval, answered: Answered) -> None:
    follows = FOLLOWS[approval.kind]
    follows.first(t, approval, answered)
    approving.close(t, approval, answered.state, answered.by, answered.why)
    follows.then(t, approval, answered)


def _open(t: Turn, approval_id: int) -> Approval:
    approval = t.world.approvals.open.get(approval_id)
    if approval is not None:
        return approval
    over = t.fact("approval", approval_id)
    if over is None:
        raise NotFoundError(f"there is no approval {approval_id}: `bide approvals` lists the open ones")
    by = f" by {over.by}" if over.by else ""
    raise RefusedError(
        f"approval {approval_id} is {over.state}{by} already ({over.why}): nothing was changed"
    )


def _names(who: tuple[str, ...]) -> str:
    return " or ".join(who)


VERBS: Final = {"approve": approve, "reject": reject}
