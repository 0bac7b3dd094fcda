"""What a person or a program may ask of rerun plans: keep one, approve, run, cancel.

As in `commands.py`: a handler raises before it has changed anything, or changes all of it. That the world is
still what a plan was made for is checked by who asks (`service/plans.py`), and of the DAGs here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.rerun import RerunPlan, named
from bide.runtime.engine import approval_commands, approving, plans
from bide.runtime.engine.plan_state import RunningPlan
from bide.runtime.engine.states import ApprovalKind, PlanState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Run
    from bide.runtime.store.plan_rows import PlanRow

Args = dict[str, Any]


def keep(t: Turn, args: Args) -> Any:
    """{plan} -> {plan_id, hash, state, requires_approval, new}: a proposal; who has to approve it is asked.

    One of the same hash that is still to be run, or runs, is the same plan.
    """
    spec = typed.convert(args["plan"], RerunPlan)
    invalidation_id = int(spec.cause.invalidation)
    if t.fact("invalidation_of_incident", invalidation_id) is None:
        raise NotFoundError(
            f"there is no invalidation {invalidation_id} any more: nothing is left of it to mend"
        )
    there: PlanRow | None = t.fact("plan_of_hash", invalidation_id, spec.hash)
    if there is not None and _state(t, there) not in _OVER:
        return _answer(t, there, new=False)
    for row in t.changes.plans_new:  # it was made in this very batch
        if row[1:3] == (invalidation_id, spec.hash):
            return {
                "plan_id": row[0],
                "hash": row[2],
                "state": row[6],
                "requires_approval": bool(row[5]),
                "new": False,
            }
    plan_id = t.world.take_id("plan")
    spec = named(spec, str(plan_id))
    encoded = msgspec.json.encode(spec, order="sorted").decode()
    t.changes.plans_new.append(
        (plan_id, invalidation_id, spec.hash, encoded, spec.risk.value, int(spec.requires_approval),
         PlanState.PROPOSED.value, t.now)
    )  # fmt: skip
    t.journal(
        "plan",
        plan_id,
        None,
        "",
        PlanState.PROPOSED.value,
        f"{len(spec.steps)} steps, risk {spec.risk.value}",
    )
    if spec.requires_approval:
        approving.ask(t, ApprovalKind.PLAN, plan_id, _prompt(spec), expires_us=None, about=spec.hash)
    return {
        "plan_id": plan_id,
        "hash": spec.hash,
        "state": PlanState.PROPOSED.value,
        "requires_approval": spec.requires_approval,
        "new": True,
    }


def _prompt(spec: RerunPlan) -> str:
    asked = "; ".join(f"{each.what}: {each.why}" for each in spec.approvals[:5])
    more = f" and {len(spec.approvals) - 5} more" if len(spec.approvals) > 5 else ""
    return f"rerun plan {spec.id} ({spec.hash[:12]}), {len(spec.steps)} steps, risk {spec.risk.value}: {asked}{more}"


def approve(t: Turn, args: Args) -> Any:
    """{plan_id, hash, by, why} -> {plan_id, state}: also of one that nobody has to approve."""
    row = _row(t, args)
    state = _state(t, row)
    if state is PlanState.APPROVED:
        return _answer(t, row, new=False)
    if state is not PlanState.PROPOSED:
        raise RefusedError(f"plan {row.plan_id} is {state.value} already: there is nothing to approve")
    by, why = str(args.get("by") or "").strip(), str(args.get("why") or "").strip()
    if not by or not why:
        raise UsageError(
            f"who approves plan {row.plan_id}, and why? say it with `by` and `why`: both are kept with it"
        )
    approval = t.world.approvals.of.get((ApprovalKind.PLAN, row.plan_id))
    if approval is None:
        spec = typed.decode(row.spec, RerunPlan)
        approval = approving.ask(
            t, ApprovalKind.PLAN, row.plan_id, _prompt(spec), expires_us=None, about=row.hash
        )
    approval_commands.approve(t, {"approval_id": approval.approval_id, "by": by, "why": why})
    return _answer(t, row, new=False)


def run(t: Turn, args: Args) -> Any:
    """{plan_id, hash} -> {plan_id, state, started}. Of one that runs or is published: nothing is changed."""
    row = _row(t, args)
    state = _state(t, row)
    if state in (PlanState.RUNNING, PlanState.PUBLISHED):
        return {"plan_id": row.plan_id, "state": state.value, "started": False}
    if state in _OVER:
        raise RefusedError(
            f"plan {row.plan_id} is {state.value} ({row.reason}): make another one with"
            f" `bide assets plan {row.invalidation_id}`"
        )
    if state is PlanState.PROPOSED and row.requires_approval:
        approval = t.world.approvals.of.get((ApprovalKind.PLAN, row.plan_id))
        say = (
            f"`bide approvals approve {approval.approval_id}`"
            if approval is not None
            else "`bide assets run-plan` with `approve`"
        )
        raise RefusedError(f"plan {row.plan_id} is not approved: {say}, `by` and `why` do it")
    spec = typed.decode(row.spec, RerunPlan)
    plan = RunningPlan(row.plan_id, spec, t.now)
    moved = [
        why for step in plan.steps if (why := plans.moved_on(t.world.dags.get(step.spec.pipeline), step))
    ]
    if moved:
        raise RefusedError(
            f"plan {row.plan_id} is not run, for {'; '.join(dict.fromkeys(moved))}: make it anew with"
            f" `bide assets plan {row.invalidation_id}`"
        )
    if spec.missing:
        first = spec.missing[0]
        raise RefusedError(
            f"plan {row.plan_id} is not run: version {first.version} of {first.asset} ({first.interval}) is wrong, and"
            f" {first.why}"
        )
    plan.state = state
    plans.begin(t, plan)
    return {"plan_id": row.plan_id, "state": plan.state.value, "started": True}


def cancel(t: Turn, args: Args) -> Any:
    """{plan_id, reason} -> {plan_id, state}: its runs are cancelled, and what it had made is not to be used."""
    row = _row(t, args)
    state = _state(t, row)
    reason = args.get("reason") or "cancelled by hand"
    plan = t.world.plans.get(row.plan_id)
    if plan is not None:
        seen = "; what it had published stays" if plan.published else ""
        plans.give_up(t, plan, PlanState.CANCELLED, f"{reason}{seen}")
    elif state in _OVER or state is PlanState.PUBLISHED:
        raise RefusedError(f"plan {row.plan_id} is {state.value} already: there is nothing to cancel")
    else:
        approving.withdraw(t, ApprovalKind.PLAN, row.plan_id, reason)
        t.journal("plan", row.plan_id, None, state.value, PlanState.CANCELLED.value, reason)
        t.changes.plans_set[row.plan_id] = (PlanState.CANCELLED.value, None, t.now, reason, row.plan_id)
    return {"plan_id": row.plan_id, "state": PlanState.CANCELLED.value}


_OVER: Final = frozenset({PlanState.FAILED, PlanState.CANCELLED})


def refuse_steps(run: Run) -> None:
    """A run of a plan is not run again by hand: nobody has approved that."""
    if run.apart:
        raise RefusedError(
            f"run {run.run_id} is a step of a rerun plan, which runs as it was approved: plan again, or trigger"
            f" {run.dag.name}"
        )


def _row(t: Turn, args: Args) -> PlanRow:
    plan_id = args["plan_id"]
    row: PlanRow | None = t.fact("plan", plan_id)
    if row is None:
        raise NotFoundError(f"there is no plan {plan_id}: `bide assets plans` lists them")
    said = args.get("hash")
    if said and said != row.hash:
        raise RefusedError(
            f"plan {plan_id} has the hash {row.hash[:12]}, and what was given has {said[:12]}: a plan is approved and"
            " run as it was made"
        )
    return row


def _state(t: Turn, row: PlanRow) -> PlanState:
    """As it is now, in the middle of a batch."""
    if row.plan_id in t.world.plans:
        return PlanState.RUNNING
    moved = t.changes.plans_set.get(row.plan_id)
    return row.state if moved is None else PlanState(moved[0])


def _answer(t: Turn, row: PlanRow, *, new: bool) -> Args:
    return {
        "plan_id": row.plan_id,
        "hash": row.hash,
        "state": _state(t, row).value,
        "requires_approval": bool(row.requires_approval),
        "new": new,
    }


VERBS: Final[dict[str, Callable[[Turn, Args], Any]]] = {
    "asset_plan": keep,
    "plan_approve": approve,
    "plan_run": run,
    "plan_cancel": cancel,
}
