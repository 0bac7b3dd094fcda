"""The operations on slots, pools and budgets: what the living know of them, in the shapes that every door gives."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.engine.budgets import Budget
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service import pool_caps as caps
from bide.runtime.service import pool_queues as queues
from bide.runtime.service.addresses import bounded
from bide.runtime.service.paging import behind
from bide.runtime.service.pool_caps import Queued, Runs
from bide.runtime.service.pool_queues import QUEUES, Bounded, Holder, Key, Waiter
from bide.runtime.service.pool_shapes import HolderLine, PoolLine, PoolShown, WaiterLine
from bide.runtime.service.shapes import iso

if TYPE_CHECKING:
    from typing import Any

    from bide.runtime.engine.world import Instance, Run, World
    from bide.runtime.service.doors import Live

_PLACE: Final = re.compile(r"([01])\.([01])\.(-?\d{1,18})\.(\d{1,30})")


class Pools:
    """They are answered at once, from memory; it keeps no state."""

    def __init__(self, live: Live | None, held: bool) -> None:
        self._live, self._held = live, held

    async def listed(self, limit: int = 1_000, before: str | None = None) -> list[PoolLine]:
        bounded(limit)
        if self._live is None:
            return []
        found: list[PoolLine] = []
        for each in self._live.between_turns(lambda world, _: [*queues.bounded(world), *caps.holding(world)]):
            line = self._live.between_turns(partial(_listed, each))
            if line.waiting or each.kind not in caps.KINDS:
                found.append(line)
            await asyncio.sleep(0)  # a long queue takes a few milliseconds, and there may be many
        return behind(found, lambda each: each.key, before, limit)

    async def show(
        self, pool: str, limit: int = 100, before: str | None = None, queue: str | None = None
    ) -> PoolShown:
        bounded(limit)
        if queue not in (None, *QUEUES):
            raise UsageError(f"{queue!r} is no queue: use {' or '.join(QUEUES)}")
        after = None if before is None else _place(before)
        if self._live is None:
            known = "it answers no one" if self._held else "none is at work: start `bide serve`"
            raise NotFoundError(f"pools are known to the runtime that holds the database alone, and {known}")
        shown = self._live.between_turns(lambda world, now: _show(world, pool, now, after, limit, queue))
        if len(shown.waiters) == limit:
            return shown
        world, of = self._live.between_turns(lambda world, _: (world, _found(world, shown.key)))
        if isinstance(of, Runs):
            first = None if after is None else after[1]
            runs = [] if queue == "backfill" else await caps.queued(world, of, first, limit)
            return msgspec.structs.replace(shown, waiters=tuple(_queued(each) for each in runs))
        if not queues.is_deep(world, of, queue):
            return shown
        behind = await queues.far(world, of, after, limit, queue)
        return msgspec.structs.replace(shown, waiters=tuple(_waiter(each) for each in behind))


def _listed(of: Bounded | Runs, world: World, now: int) -> PoolLine:
    return PoolLine(**_line(world, of, now))


def _show(
    world: World, pool: str, now: int, after: tuple[bool, Key] | None, limit: int, queue: str | None
) -> PoolShown:
    of = _found(world, pool)
    if isinstance(of, Runs):
        runs = tuple(_running(run) for run in caps.running(world, of))
        return PoolShown(**_line(world, of, now), holders=runs, waiters=())
    return PoolShown(
        **_line(world, of, now),
        holders=tuple(_holder(each) for each in queues.holders(world, of)),
        waiters=tuple(_waiter(each) for each in queues.waiters(world, of, after, limit, queue)),
    )


def _found(world: World, pool: str) -> Bounded | Runs:
    """What is meant: by its key, else the first of that name."""
    if (cap := caps.named(world, pool)) is not None:
        return cap
    known = [*queues.bounded(world), *caps.holding(world)]
    for by in ("key", "name"):
        for each in known:
            if getattr(each, by) == pool:
                return each
    names = list(dict.fromkeys(each.name for each in known))
    there = suggestion(pool, names) or f": there are {', '.join(names[:8])}"
    raise NotFoundError(f"there is no pool {pool!r}{there}")


def _line(world: World, of: Bounded | Runs, now: int) -> dict[str, Any]:
    count, more = caps.waiting(world, of) if isinstance(of, Runs) else queues.waiting(world, of)
    said: dict[str, Any] = dict.fromkeys(PoolLine.__struct_fields__)
    said |= {"key": of.key, "pool": of.name, "kind": of.kind, "waiting": count, "more_wait": more}
    if isinstance(of, Runs):
        return said | {"slots": of.capacity, "in_use": of.of.active_runs, "by_backfills": 0.0}
    if isinstance(of.of, Budget):
        budget, ends = of.of, of.of.ends(now)
        goes = budget.since == ends - budget.limits.window_us  # else nothing is spent of the window that goes
        return said | {
            "units": budget.limits.units,
            "spent": budget.spent if goes else 0.0,
            "by_backfills": budget.by_backfills if goes else 0.0,
            "backfill_units": budget.limits.backfill_units,
            "resets_at": iso(ends),
        }
    return said | {
        "slots": of.of.capacity,
        "in_use": of.of.used,
        "by_backfills": float(of.of.by_backfills),
        "backfill_share": world.backfill_share,
    }


def _whose(inst: Instance, by_backfill: bool) -> dict[str, Any]:
    backfill = inst.run.backfill
    return {
        "run_id": str(inst.run.run_id),
        "dag": inst.run.dag.name,
        "logical_date": iso(inst.run.meta.logical_us),
        "task": inst.task.name if inst.map_index < 0 else f"{inst.task.name}[{inst.map_index}]",
        "priority": inst.task.priority,
        "backfill": str(backfill.backfill_id) if backfill is not None and by_backfill else None,
    }


def _holder(of: Holder) -> HolderLine:
    body = of.body
    return HolderLine(
        **_whose(of.inst, of.by_backfill),
        state=of.inst.state.value,
        attempt=None if body is None else body.number,
        since=iso(of.since),
        slots=of.slots,
        stopping="" if body is None else body.stopping,
    )


def _waiter(of: Waiter) -> WaiterLine:
    return WaiterLine(
        **_whose(of.inst, of.too),
        key=f"{of.too:d}.{'.'.join(map(str, of.key))}",
        queue=QUEUES[of.too],
        place=of.place,
        since=iso(of.inst.since),
        wants=of.wants,
        resumed=of.inst.resumed,
    )


def _of_run(run: Run) -> dict[str, Any]:
    return {
        "run_id": str(run.run_id),
        "dag": run.dag.name,
        "logical_date": iso(run.meta.logical_us),
        "task": "",
        "priority": 0,
        "backfill": None,
    }


def _running(run: Run) -> HolderLine:
    since = run.created if run.started is None else run.started
    return HolderLine(
        **_of_run(run), state=run.state.value, attempt=None, since=iso(since), slots=1, stopping=""
    )


def _queued(of: Queued) -> WaiterLine:
    return WaiterLine(
        **_of_run(of.run), key=f"0.{'.'.join(map(str, of.key))}", queue="live", place=of.place,
        since=iso(of.run.created), wants=1.0, resumed=False,
    )  # fmt: skip


def _place(before: str) -> tuple[bool, Key]:
    """The place that a page begins behind."""
    match = _PLACE.fullmatch(before)
    if match is None:
        raise UsageError(f"{before!r} names no item: a page begins behind the `key` of one who waits")
    return match[1] == "1", (int(match[2]), int(match[3]), int(match[4]))
