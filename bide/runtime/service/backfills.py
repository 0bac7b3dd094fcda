"""What can be asked of backfills and done to them: one layer for the terminal and the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import Clock
from bide.runtime.engine.backfill_state import BackfillOptions
from bide.runtime.engine.explain.backfill import BackfillFacts, explain_backfill
from bide.runtime.engine.states import BackfillState, IntervalState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.addresses import backfill_number, before_number, bounded
from bide.runtime.service.backfill_plan import Planned, plan
from bide.runtime.service.backfill_shapes import (
    BackfillInterval,
    BackfillLine,
    BackfillPlan,
    BackfillProgress,
    BackfillRequest,
    BackfillShown,
    BackfillStarted,
    IntervalLine,
)
from bide.runtime.service.doors import Door, Live
from bide.runtime.service.once import again
from bide.runtime.service.shapes import Detail, Done, Interval, iso, iso_or_none
from bide.runtime.store import backfill_reads as store
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks

_OPEN = (IntervalState.PENDING, IntervalState.RUNNING)
_LETTERS: Final = {
    IntervalState.PENDING: ".", IntervalState.RUNNING: "r", IntervalState.SUCCESS: "s", IntervalState.FAILED: "f",
    IntervalState.CANCELLED: "c", IntervalState.SKIPPED: "k",
}  # fmt: skip


class Backfills:
    """The operations on backfills. It keeps no state; `live` and `held` as in `Operations`."""

    def __init__(self, reader: Asks, door: Door, clock: Clock, live: Live | None, held: bool) -> None:
        self._reader, self._door, self._clock = reader, door, clock
        self._live, self._held = live, held

    async def plan(self, request: BackfillRequest) -> BackfillPlan:
        """A dry run: nothing is written."""
        return (await self._planned(request)).plan

    async def _planned(self, request: BackfillRequest) -> Planned:
        now = self._clock.now()
        return await self._reader.ask(Reader.read, lambda conn: plan(conn, request, now))

    async def start(
        self, request: BackfillRequest, plan_hash: str | None = None, key: str | None = None
    ) -> BackfillStarted:
        """Start a backfill; with the hash of a plan, only if that is still what it would do."""
        answer = await again(self._reader, self._door, "backfill_start", key)
        if answer is None:
            answer = await self._begun(request, plan_hash, key)
        return BackfillStarted(
            backfill_id=str(answer["backfill_id"]), intervals=answer["intervals"], skipped=answer["skipped"]
        )

    async def _begun(self, request: BackfillRequest, plan_hash: str | None, key: str | None) -> Any:
        planned = await self._planned(request)
        found = planned.plan
        if plan_hash is not None and not (len(plan_hash) >= 8 and found.hash.startswith(plan_hash)):
            raise RefusedError(
                f"nothing was started: the plan {plan_hash[:12]} no longer is what this backfill of {request.dag} would "
                f"do, which is {found.hash[:12]}: plan it again and look at what has changed"
            )
        if refused := found.counts["refuse"]:
            first = next(each for each in found.intervals if each.what == "refuse")
            raise RefusedError(
                f"nothing was started: {refused} intervals have a run, the first of them {first.start} "
                f"(run {first.run_id}, {first.state}): say `overwrite` skip to keep what is there"
            )
        args = {
            "dag": request.dag,
            "options": msgspec.to_builtins(planned.options),
            "hash": found.hash,
            "intervals": [list(firing) for firing in planned.firings],
            "key": key,
        }
        return await self._door.command("backfill_start", args)

    async def listed(
        self, dag: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[BackfillLine]:
        """The newest first."""
        bounded(limit)

        def ask(conn: sqlite3.Connection) -> Any:
            found = store.backfills_shown(conn, dag, limit, before_number(before))
            return found, store.counts(conn, [one.backfill_id for one in found])

        found, counts = await self._reader.ask(Reader.read, ask)
        return [_line(one, counts[one.backfill_id]) for one in found]

    async def show(
        self, backfill: str, state: str | None = None, limit: int = 100_000, before: str | None = None
    ) -> BackfillShown:
        """A backfill, why it stands where it does, and its intervals (those in `state`)."""
        backfill_id = backfill_number(backfill)
        bounded(limit)
        after = -1 if before is None else before_number(before)
        if state is not None and state not in set(IntervalState):
            raise UsageError(f"{state!r} is no state of an interval: use one of {', '.join(IntervalState)}")

        def ask(conn: sqlite3.Connection) -> Any:
            one = store.backfill_shown(conn, backfill_id)
            if one is None:
                raise NotFoundError(f"there is no backfill {backfill_id}: `bide backfill list` lists them")
            return (
                one,
                store.counts(conn, [backfill_id])[backfill_id],
                store.pace(conn, backfill_id),
                store.intervals_shown(conn, backfill_id, "running", 10_000),
                store.intervals_shown(conn, backfill_id, state, limit, after),
            )

        return self._shown(*await self._reader.ask(Reader.read, ask))

    async def intervals(
        self,
        backfill: str,
        state: str | None = None,
        place: int | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[IntervalLine]:
        backfill_id = backfill_number(backfill)
        if state is not None and state not in set(IntervalState):
            raise UsageError(f"{state!r} is no state of an interval: use one of {', '.join(IntervalState)}")
        bounded(limit)
        after = -1 if before is None else before_number(before)
        if place is not None:
            if before is not None:
                raise UsageError("one `place` has no pages: leave the cursor out")
            limit, after = 1, place - 1

        def ask(conn: sqlite3.Connection) -> list[store.IntervalShown]:
            _known(conn, backfill_id)
            found = store.intervals_shown(conn, backfill_id, state, limit, after)
            return [each for each in found if place is None or each.place == place]

        return [_interval_line(each) for each in await self._reader.ask(Reader.read, ask)]

    async def progress(self, backfill: str, starts: bool = False) -> BackfillProgress:
        backfill_id = backfill_number(backfill)

        def ask(conn: sqlite3.Connection) -> list[tuple[str, int]]:
            _known(conn, backfill_id)
            return store.progress(conn, backfill_id)

        found = await self._reader.ask(Reader.read, ask)
        return BackfillProgress(
            backfill_id=str(backfill_id),
            letters={letter: state.value for state, letter in _LETTERS.items()},
            intervals="".join([_LETTERS[IntervalState(state)] for state, _ in found]),
            starts=tuple(iso(start_us) for _, start_us in found) if starts else None,
        )

    def _shown(
        self,
        one: store.BackfillShown,
        counts: dict[str, int],
        pace: store.Pace,
        running: list[store.IntervalShown],
        intervals: list[store.IntervalShown],
    ) -> BackfillShown:
        now = self._clock.now()
        options = typed.decode(one.options, BackfillOptions)
        ends = _ends(one, counts, pace, options.max_active, now)
        live = self._live
        facts = BackfillFacts(
            backfill=str(one.backfill_id),
            dag=one.dag,
            state=one.state,
            counts=counts,
            max_active=options.max_active,
            running=tuple(str(each.run_id) for each in running),
            created_us=one.created_us,
            ended_us=one.ended_us,
            ends_us=ends,
            reason=one.reason,
            hold=live.backfill_hold(one.backfill_id) if live is not None else "",
            budget=live.backfill_budget(one.backfill_id) if live is not None else "",
            dag_paused=bool(one.dag_paused),
            live=self._held,
            stopping=live is not None and live.stopping,
        )
        why = explain_backfill(facts, now)
        total = sum(counts.values())
        done = total - sum(counts.get(state, 0) for state in _OPEN)
        return BackfillShown(
            backfill_id=str(one.backfill_id),
            dag=one.dag,
            state=one.state.value,
            why=why.sentence,
            next=why.next,
            details=tuple(Detail(what=what, value=value) for what, value in why.details),
            order=options.order,
            max_active=options.max_active,
            overwrite=options.overwrite,
            weight=options.weight,
            tasks=options.tasks,
            params=options.params,
            plan_hash=one.plan_hash,
            counts=counts,
            done=done,
            total=total,
            percent=round(100 * done / total, 1) if total else 100.0,
            ends_at=iso_or_none(ends),
            created_at=iso(one.created_us),
            ended_at=iso_or_none(one.ended_us),
            intervals=tuple(map(_interval_line, intervals)),
        )

    async def pause(self, backfill: str) -> Done:
        args = {"backfill_id": backfill_number(backfill)}
        return await self._do("backfill_pause", f"backfill {backfill} is paused: it starts nothing", args)

    async def resume(self, backfill: str, failed: bool = False) -> Done:
        args = {"backfill_id": backfill_number(backfill), "failed": failed}
        return await self._do("backfill_resume", f"backfill {backfill} goes on", args)

    async def cancel(self, backfill: str, reason: str = "") -> Done:
        args = {"backfill_id": backfill_number(backfill), "reason": reason}
        return await self._do(
            "backfill_cancel", f"backfill {backfill} is cancelled, and its runs with it", args
        )

    async def _do(self, verb: str, said: str, args: dict[str, Any]) -> Done:
        return Done(done=said, result=await self._door.command(verb, args))


def _known(conn: sqlite3.Connection, backfill_id: int) -> None:
    if store.backfill_shown(conn, backfill_id) is None:
        raise NotFoundError(f"there is no backfill {backfill_id}: `bide backfill list` lists them")


def _line(one: store.BackfillShown, counts: dict[str, int]) -> BackfillLine:
    total = sum(counts.values())
    return BackfillLine(
        backfill_id=str(one.backfill_id),
        dag=one.dag,
        state=one.state.value,
        intervals=total,
        done=total - sum(counts.get(state, 0) for state in _OPEN),
        counts=counts,
        created_at=iso(one.created_us),
        ended_at=iso_or_none(one.ended_us),
        reason=one.reason,
    )


def _interval(each: store.IntervalShown) -> BackfillInterval:
    return BackfillInterval(
        interval=Interval(start=iso(each.start_us), end=iso(each.end_us)),
        state=each.state.value,
        run_id=None if each.run_id is None else str(each.run_id),
        run_state=None if each.run_state is None else each.run_state.value,
        started_at=iso_or_none(each.started_us),
        ended_at=iso_or_none(each.ended_us),
        reason=each.reason,
    )


def _interval_line(each: store.IntervalShown) -> IntervalLine:
    one = _interval(each)
    said = {name: getattr(one, name) for name in BackfillInterval.__struct_fields__}
    return IntervalLine(place=str(each.place), **said)


def _ends(
    one: store.BackfillShown, counts: dict[str, int], pace: store.Pace, max_active: int, now: int
) -> int | None:
    """When it ends if it goes on as it has: by the mean time of its runs that have ended."""
    if one.state is not BackfillState.RUNNING or not pace.ended:
        return None
    left = counts.get(IntervalState.PENDING, 0) + counts.get(IntervalState.RUNNING, 0)
    return now + round(pace.mean_us * left / max_active)
