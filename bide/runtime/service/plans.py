"""What can be asked of rerun plans and done to them: one layer for the terminal and the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.plan import differences, plan_of
from bide.runtime.assets.rerun import RerunPlan, named
from bide.runtime.engine.states import PlanState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.addresses import before_number, invalidation_number, plan_number
from bide.runtime.service.doors import Door, Live
from bide.runtime.service.once import again
from bide.runtime.service.plan_shapes import PlanLine, PlanRun, PlanShown, PlanStepLine
from bide.runtime.service.shapes import Done, Interval, iso, iso_or_none
from bide.runtime.store import plan_reads as store
from bide.runtime.store import spreading
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks


class Plans:
    """The operations on rerun plans. It keeps no state; `live` and `held` as in `Operations`."""

    def __init__(self, reader: Asks, door: Door, live: Live | None, held: bool) -> None:
        self._reader, self._door, self._live, self._held = reader, door, live, held

    async def make(self, invalidation: object, keep: bool = True) -> RerunPlan:
        """The plan that mends an invalidation as things are now, kept as a proposal."""
        number = invalidation_number(invalidation)
        if keep and (answer := await again(self._reader, self._door, "asset_plan")) is not None:
            return await self._kept(answer["plan_id"])
        try:
            plan = await self._now(number)
        except RefusedError:  # it was invalidated a moment ago
            if self._live is None:
                raise
            await self._live.settled()
            plan = await self._now(number)
        if not keep:
            return plan
        answer = await self._door.command("asset_plan", {"plan": msgspec.to_builtins(plan)})
        return named(plan, str(answer["plan_id"]))

    async def _kept(self, number: int) -> RerunPlan:
        """A plan as it was made."""
        found = await self._reader.ask(Reader.read, lambda conn: store.plan(conn, number))
        if found is None:
            raise NotFoundError(f"there is no plan {number}: `bide assets plans` lists them")
        return named(typed.decode(found.spec, RerunPlan), str(number))

    async def _now(self, number: int) -> RerunPlan:
        return await self._reader.ask(Reader.read, lambda conn: plan_now(conn, number))

    async def listed(self, limit: int = 50, before: str | None = None) -> list[PlanLine]:
        """The newest first."""
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        return await self._reader.ask(
            Reader.read,
            lambda conn: [
                _line(each, store.counts(conn, each.plan_id))
                for each in store.plans(conn, limit, before_number(before))
            ],
        )

    async def show(self, plan: str | int) -> PlanShown:
        """A plan, why it stands where it does, and its steps."""
        number = plan_number(plan)
        return await self._reader.ask(Reader.read, lambda conn: _show(conn, number, self._held))

    async def step_of(self, kind: str, run_id: int) -> tuple[tuple[str, str], ...]:
        """Of which plan a run is a step, in words; none of runs that are of no plan."""
        if kind != "plan":
            return ()
        return await self._reader.ask(Reader.read, lambda conn: _step_of(conn, run_id))

    async def approve(self, plan: str | int, plan_hash: str, by: str, why: str) -> Done:
        args = {"plan_id": plan_number(plan), "hash": plan_hash, "by": by, "why": why}
        answer = await self._door.command("plan_approve", args)
        return Done(done=f"plan {plan} is approved by {by}: {why}", result=answer)

    async def run(self, plan: str | int, plan_hash: str) -> PlanRun:
        """Run a plan exactly as it was made, if that is still what is to be done."""
        number = plan_number(plan)
        answer = await again(self._reader, self._door, "plan_run")
        if answer is None:
            moved = await self._reader.ask(Reader.read, lambda conn: _moved(conn, number))
            if moved:
                raise RefusedError(
                    f"plan {number} is not run, for it is not what is to be done now: {'; '.join(moved[:3])}"
                    f"{f' and {len(moved) - 3} more' if len(moved) > 3 else ''}: make it anew, and look at it again"
                )
            answer = await self._door.command("plan_run", {"plan_id": number, "hash": plan_hash})
        state, started = answer["state"], answer["started"]
        return PlanRun(plan_id=str(number), state=state, started=started, done=_said(number, state, started))

    async def cancel(self, plan: str | int, reason: str = "") -> Done:
        args = {"plan_id": plan_number(plan), "reason": reason}
        answer = await self._door.command("plan_cancel", args)
        return Done(done=f"plan {plan} is cancelled, and its runs with it", result=answer)


def plan_now(conn: sqlite3.Connection, invalidation_id: int) -> RerunPlan:
    """The plan of an invalidation as things are now; the same each time it is asked of the same database."""
    radius = spreading.recorded(conn, invalidation_id)
    if radius is None:
        raise NotFoundError(
            f"there is no invalidation {invalidation_id}: `bide assets invalidations` lists them"
        )
    if radius.root.state == "spreading":
        raise RefusedError(
            f"invalidation {invalidation_id} still spreads: {len(radius.nodes)} versions are found so far; "
            "plan when it has ended"
        )
    radius = store.with_wrong_inputs(conn, radius)
    catalog = store.catalog_of(conn, radius.assets)
    return plan_of(radius, catalog, store.known(conn, radius, catalog))


def _moved(conn: sqlite3.Connection, plan_id: int) -> tuple[str, ...]:
    """What a plan made now would do otherwise; nothing of one that has been run, or is not there."""
    kept = store.plan(conn, plan_id)
    if (
        kept is None
        or kept.state not in (PlanState.PROPOSED, PlanState.APPROVED)
        or kept.invalidation_id is None
    ):
        return ()
    was = typed.decode(kept.spec, RerunPlan)
    return differences(was, plan_now(conn, kept.invalidation_id))


def _step_of(conn: sqlite3.Connection, run_id: int) -> tuple[tuple[str, str], ...]:
    found = store.step_of_run(conn, run_id)
    if found is None:
        return ()
    plan_id, place, state = found
    return (
        (
            "rerun plan",
            f"{plan_id}, its step {place + 1}, which is {state}: see `bide assets plans {plan_id}`",
        ),
    )


def _said(number: int, state: str, started: bool) -> str:
    if state == PlanState.PUBLISHED:
        return f"plan {number} is published" + ("" if started else " already: nothing was changed")
    return (
        f"plan {number} {'runs' if started else 'runs already'}: `bide assets plans {number}` shows its steps"
    )


# --- shapes --------------------------------------------------------------------------------------


def _line(one: store.PlanRead, counts: dict[str, int]) -> PlanLine:
    return PlanLine(**_fields(one, counts))


def _fields(one: store.PlanRead, counts: dict[str, int]) -> dict[str, Any]:
    spec = typed.decode(one.spec, _Steps)
    return {
        "plan_id": str(one.plan_id),
        "invalidation": None if one.invalidation_id is None else str(one.invalidation_id),
        "asset": one.asset,
        "state": one.state,
        "risk": one.risk,
        "requires_approval": bool(one.requires_approval),
        "approval": None if one.approval_id is None else str(one.approval_id),
        "hash": one.hash,
        "total": len(spec.steps),
        "steps": counts,
        "created_at": iso(one.created_us),
        "started_at": iso_or_none(one.started_us),
        "ended_at": iso_or_none(one.ended_us),
        "reason": one.reason,
    }


class _Steps(msgspec.Struct, frozen=True):
    """How many there are, of a plan that need not be read whole."""

    steps: list[msgspec.Raw]


def _show(conn: sqlite3.Connection, plan_id: int, held: bool) -> PlanShown:
    one = store.plan(conn, plan_id)
    if one is None:
        raise NotFoundError(f"there is no plan {plan_id}: `bide assets plans` lists them")
    spec = typed.decode(one.spec, RerunPlan)
    rows = {row.step: row for row in store.steps(conn, plan_id)}
    lines = []
    for place, step in enumerate(spec.steps):
        row = rows.get(place)
        lines.append(
            PlanStepLine(
                step=step.name,
                pipeline=step.pipeline,
                tasks=step.tasks,
                interval=Interval(start=step.interval.start, end=step.interval.end),
                scope=step.scope.value,
                mode=step.mode.value,
                publication_mode=step.publication_mode.value,
                depends_on_steps=step.depends_on_steps,
                state="pending" if row is None else row.state,
                run_id=None if row is None or row.run_id is None else str(row.run_id),
                run_state=None if row is None else row.run_state,
                reason="" if row is None else row.reason,
            )
        )
    counts = store.counts(conn, plan_id)
    return PlanShown(**_fields(one, counts), why=_why(one, lines, held), lines=tuple(lines), plan=spec)


def _why(one: store.PlanRead, lines: list[PlanStepLine], held: bool) -> str:
    """Why a plan stands where it does, in a sentence."""
    run = (
        "`bide assets run-plan` with its file, or `--approve --by NAME --why TEXT` where it is to be approved"
    )
    match one.state:
        case PlanState.PROPOSED if one.approval_id is not None:
            return f"it waits for a person: `bide approvals approve {one.approval_id} --by NAME --why TEXT`"
        case PlanState.PROPOSED | PlanState.APPROVED:
            return f"it has not been run: {run}"
        case PlanState.RUNNING:
            return _why_it_runs(lines, held)
        case PlanState.PUBLISHED:
            return "all that it made is seen, and what had left is corrected"
        case _:
            return one.reason


def _why_it_runs(lines: list[PlanStepLine], held: bool) -> str:
    if not held:
        return "no runtime holds this database, so nothing of it moves: start `bide serve`"
    going = [line for line in lines if line.state == "running"]
    staged = sum(line.state == "staged" for line in lines)
    data = sum(line.publication_mode == "staged" for line in lines)
    if going:
        seen = any(line.state == "published" for line in lines)
        done = "what it made is seen" if seen else f"{staged} of {data} steps are staged"
        runs = ", ".join(f"run {line.run_id} ({line.step}, {line.run_state})" for line in going[:5])
        return f"{done}, and these go: {runs}; `bide why RUN` tells of one"
    if staged == data:
        return "all is staged, and a contract of what it made asks a person: `bide approvals` lists what is asked"
    return f"{staged} of {data} steps are staged"
