"""A person is asked: the row, its expiry, and what takes it back. What follows from the answer stands in
`approval_commands.py`, by kind.

An approval that nobody decides in time is denied. One of a task instance ends with it, and stands still
while its DAG is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.words import Severity
from bide.runtime.clock import HOUR, LAST_US
from bide.runtime.engine import raising
from bide.runtime.engine.approval_state import OF_INSTANCE, Approval
from bide.runtime.engine.states import ApprovalKind, ApprovalState
from bide.runtime.engine.world import Due, Instance, World

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.store.world_rows import WorldRows

EXPIRES_US: Final = 24 * HOUR
"""How long a person has, unless it is said otherwise."""


def ask(
    t: Turn,
    kind: ApprovalKind,
    subject_id: int,
    prompt: str,
    *,
    who: Sequence[str] = (),
    expires_us: int | None = EXPIRES_US,
    run_id: int | None = None,
    decision_id: int | None = None,
    about: str = "",
) -> Approval:
    """Ask for an approval, or return the one that is open for the same.

    `who` may decide, by name; empty: anybody. `expires_us` is how long they have, None: for ever. One that is
    open for something else of the same subject (`about`) is withdrawn. The caller moves the state of what
    is asked for.
    """
    world = t.world
    there = world.approvals.of.get((kind, subject_id))
    if there is not None and there.about == about:
        return there
    if there is not None:
        close(t, there, ApprovalState.WITHDRAWN, "", "something else is to be approved now")
    approval = Approval(
        world.take_id("approval"), kind, subject_id, run_id, prompt, tuple(who), t.now,
        None if expires_us is None else min(t.now + expires_us, LAST_US), about,
    )  # fmt: skip
    world.approvals.put(approval)
    t.changes.approvals_new.append(
        (
            approval.approval_id, kind.value, subject_id, run_id, decision_id, prompt,
            msgspec.json.encode(approval.who).decode(), t.now, approval.expires, ApprovalState.OPEN.value, about,
        )
    )  # fmt: skip
    t.journal("approval", approval.approval_id, run_id, "", ApprovalState.OPEN.value, prompt)
    _tell(t, approval)
    _arm(world, approval)
    return approval


class Payload(msgspec.Struct, frozen=True):
    """What programs read of somebody who is asked. Instants are ISO 8601, UTC."""

    approval_id: str
    kind: str
    subject: str
    prompt: str
    who: tuple[str, ...]
    dag: str | None
    run_id: str | None
    task: str | None
    expires: str | None
    fired: str


def _tell(t: Turn, approval: Approval) -> None:
    """Those who may decide hear that they are asked; `who` are owners of the alert as well (B66)."""
    inst = _held_up(t.world, approval)
    run = inst.run if inst is not None else t.world.runs.get(approval.run_id or 0)
    owners, tags = raising.of_run(run, inst) if run is not None else ((), ())
    dag = run.dag.name if run is not None else None
    subject = f"{dag}.{inst.task.name}" if inst is not None else dag or approval.kind.value
    expires = None if approval.expires is None else raising.iso(approval.expires)
    number = approval.approval_id
    until = f", until {expires}" if expires else ""
    text = (
        f"approval {number} is needed ({', '.join(approval.who) or 'anybody'}{until}) for {subject}: "
        f"{approval.prompt}; `bide approvals approve {number}`"
    )
    payload = Payload(
        approval_id=str(number), kind=approval.kind.value, subject=subject, prompt=approval.prompt, who=approval.who,
        dag=dag, run_id=None if approval.run_id is None else str(approval.run_id),
        task=None if inst is None else inst.task.name, expires=expires, fired=raising.iso(t.now),
    )  # fmt: skip
    raising.raise_alert(
        t, raising.APPROVAL, str(number), subject, text, payload, severity=Severity.MINOR, run_id=approval.run_id,
        owners=dict.fromkeys((*approval.who, *owners)), tags=tags,
    )  # fmt: skip


def withdraw(t: Turn, kind: ApprovalKind, subject_id: int, reason: str) -> None:
    """Take back what was asked for this, if it was: it is over, or nobody needs to be asked any more."""
    approval = t.world.approvals.of.get((kind, subject_id))
    if approval is not None:
        close(t, approval, ApprovalState.WITHDRAWN, "", reason)


def instance_over(t: Turn, inst: Instance) -> None:
    """A task instance has ended: nobody has to decide anything of it any more."""
    for kind in OF_INSTANCE:
        withdraw(t, kind, inst.instance_id, f"the task instance is {inst.state.value}")


def close(t: Turn, approval: Approval, state: ApprovalState, by: str, why: str) -> None:
    """End an approval. Nothing else is done: what follows is for the caller."""
    t.world.approvals.drop(approval)
    t.changes.approvals_set[approval.approval_id] = (state.value, t.now, by, why, approval.approval_id)
    said = f"{by}: {why}" if by else why
    t.journal("approval", approval.approval_id, approval.run_id, ApprovalState.OPEN.value, state.value, said)


# --- time ------------------------------------------------------------------------------------------


def is_frozen(world: World, approval: Approval) -> bool:
    """Whether its time stands still: it is of a task instance, whose DAG is paused."""
    inst = _held_up(world, approval)
    return inst is not None and inst.run.dag.frozen


def by_run(world: World) -> dict[int, list[Approval]]:
    """What people are asked for instances, by the run of these."""
    found: dict[int, list[Approval]] = {}
    for approval in world.approvals.open.values():
        inst = _held_up(world, approval)
        if inst is not None:
            found.setdefault(inst.run.run_id, []).append(approval)
    return found


def shift(t: Turn, those: Iterable[Approval], by: Callable[[int], int]) -> None:
    """Move what people have left for these; `by` is asked with the instant they were asked."""
    for approval in those:
        _move(t, approval, by(approval.asked))


def clock_stepped(t: Turn, step_us: int) -> None:
    """The wall clock was moved: what is left of the time is the same. Those of instances move with their runs."""
    for approval in t.world.approvals.open.values():
        if _held_up(t.world, approval) is None:
            _move(t, approval, step_us)


def _move(t: Turn, approval: Approval, by_us: int) -> None:
    if approval.expires is None:
        return
    approval.expires = min(approval.expires + by_us, LAST_US)
    t.changes.approvals_moved[approval.approval_id] = (approval.expires, approval.approval_id)
    _arm(t.world, approval)


def _held_up(world: World, approval: Approval) -> Instance | None:
    return world.instances.get(approval.subject_id) if approval.kind in OF_INSTANCE else None


def _arm(world: World, approval: Approval) -> None:
    if approval.expires is not None:
        world.timer(approval.expires, Due.APPROVAL, approval.approval_id)


# --- a start ---------------------------------------------------------------------------------------


def restore(world: World, rows: WorldRows) -> None:
    """What is open, from its rows."""
    for row in rows.approvals:
        approval = Approval(
            row.approval_id, row.kind, row.subject_id, row.run_id, row.prompt,
            typed.decode(row.who, tuple[str, ...]), row.asked_us, row.expires_us, row.about,
        )  # fmt: skip
        world.approvals.put(approval)
        _arm(world, approval)
