"""Who holds what there is little of, and who wants it: read from the world between two turns. Changes nothing.

The queues are heaps. Who is first in one is found from its top: those behind are not looked at, however many
they are, so that a page costs as much as what is on it and before it. Entries that no longer count stand in
a heap until they come to its top; they are passed by here as the engine passes them by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from heapq import heappop, heappush, nsmallest
from itertools import chain, islice
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

from bide.runtime.engine.admission import global_need, need_of
from bide.runtime.engine.budgets import Budget
from bide.runtime.engine.states import State
from bide.runtime.engine.world import Attempt, Instance, Resource, Run, World

COUNTED: Final = 5_000
"""So many entries of a queue are counted: a few milliseconds."""
DEPTH: Final = 2_000
"""So many are put in order: as long."""
SLICE: Final = 2_000
"""So many are looked at between two turns, of a queue that is deeper."""
HOLDERS: Final = 1_000
QUEUES: Final = ("live", "backfill")

Key = tuple[int, int, int]
T = TypeVar("T")
Heap = list[tuple[Key, Instance]]


class Bounded(NamedTuple):
    """One thing that there is little of. `of` is what keeps it."""

    kind: str
    name: str
    of: Resource | Budget

    @property
    def key(self) -> str:
        return self.kind if self.kind == "slots" else f"{self.kind}:{self.name}"


class Holder(NamedTuple):
    """`body` is None where an instance holds it for its whole life."""

    inst: Instance
    body: Attempt | None
    since: int
    slots: int
    by_backfill: bool


class Waiter(NamedTuple):
    """`place` is counted from 1 in its queue: that of backfills where `too`."""

    too: bool
    key: Key
    place: int
    inst: Instance
    wants: float


def bounded(world: World) -> Iterator[Bounded]:
    """The slots first; then, by name, pools with what is in flight of them, and budgets."""
    yield Bounded("slots", "slots", world.slots)
    for name in sorted({*world.pools, *world.budgets}):
        for kind, resource in zip(("pool", "in_flight"), world.pools.get(name, ()), strict=False):
            if resource.capacity is not None:
                yield Bounded(kind, name, resource)
        if name in world.budgets:
            yield Bounded("budget", name, world.budgets[name])


def holders(world: World, of: Bounded) -> list[Holder]:
    """Those that have held it longest first. Nobody holds a budget: what is spent is spent."""
    if isinstance(of.of, Budget):
        return []
    resource = of.of
    if resource.whole_life:
        found = (
            Holder(inst, inst.body, inst.since, need_of(resource, inst.task), inst.by_backfill)
            for inst in resource.holders.values()
        )
    else:
        slots = resource is world.slots
        found = (
            Holder(
                body.inst,
                body,
                body.active_from,
                global_need(body.inst.task) if slots else need_of(resource, body.inst.task),
                body.by_backfill,
            )
            for body in world.attempts.values()
            if body.active_from is not None and (slots or resource in body.holds)
        )
    return nsmallest(HOLDERS, found, key=lambda each: (each.since, each.inst.instance_id))


def waiting(world: World, of: Bounded) -> tuple[int, bool]:
    """(how many wait for it, whether more do than were counted)."""
    count, more, ready = 0, False, State.READY
    for heap in _queues(world, of):
        count += sum(
            inst.queued == key[2] and inst.state is ready and not _paused(inst.run)
            for key, inst in islice(heap, COUNTED)
        )
        more = more or len(heap) > COUNTED
    return count, more


def waiters(
    world: World, of: Bounded, after: tuple[bool, Key] | None, limit: int, queue: str | None = None
) -> list[Waiter]:
    """Who waits, each queue in the very order in which the engine takes them: live runs, then backfills."""
    found: list[Waiter] = []
    for too, heap in enumerate(_queues(world, of)):
        if queue not in (None, QUEUES[too]):
            continue
        place = 0
        for key, inst in _in_order(heap):
            if len(found) == limit:
                return found
            if not _stands(key, inst):
                continue
            place += 1
            if after is None or (bool(too), key) > after:
                found.append(Waiter(bool(too), key, place, inst, _wants(world, of, inst)))
    return found


def is_deep(world: World, of: Bounded, queue: str | None = None) -> bool:
    """Whether more stand in a queue than are put in order at once."""
    heaps = _queues(world, of)
    return any(len(heap) > DEPTH for too, heap in enumerate(heaps) if queue in (None, QUEUES[too]))


async def far(
    world: World, of: Bounded, after: tuple[bool, Key] | None, limit: int, queue: str | None = None
) -> list[Waiter]:
    """The same however far back: all are looked at, in slices between which the engine goes on.

    Who comes or goes meanwhile may be told or not.
    """
    found: list[Waiter] = []
    for too, heap in enumerate(_queues(world, of)):
        if queue not in (None, QUEUES[too]) or (after is not None and after[0] > bool(too)):
            continue
        first = after[1] if after is not None and after[0] == bool(too) else None
        before, best = await behind(
            heap.copy(), itemgetter(0), lambda entry: _stands(*entry), first, limit - len(found)
        )
        found += [
            Waiter(bool(too), key, before + place, inst, _wants(world, of, inst))
            for place, (key, inst) in enumerate(best, 1)
        ]
        if len(found) == limit:
            break
    return found


async def behind(
    entries: list[T], key: Callable[[T], Key], stands: Callable[[T], bool], after: Key | None, limit: int
) -> tuple[int, list[T]]:
    """(how many that still count stand up to `after`, the first `limit` behind it): all are looked at, slice by slice."""
    before, best = 0, list[T]()
    for at in range(0, len(entries), SLICE):
        part = [entry for entry in entries[at : at + SLICE] if stands(entry)]
        further = [entry for entry in part if after is None or key(entry) > after]
        before += len(part) - len(further)
        best = nsmallest(limit, chain(best, further), key=key)
        await asyncio.sleep(0)
    return before, best


def _queues(world: World, of: Bounded) -> tuple[Heap, Heap]:
    """That of live runs, and that of backfills."""
    if of.of is world.slots:
        return world.ready, world.ready_too
    return of.of.parked, of.of.parked_too


def _in_order(heap: Heap) -> Iterator[tuple[Key, Instance]]:
    """The entries from the least on. What may come next are the children of what has come."""
    edge = [(heap[0][0], 0)] if heap else []
    for _ in range(DEPTH):
        if not edge:
            return
        _, at = heappop(edge)
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(heap):
                heappush(edge, (heap[child][0], child))
        yield heap[at]


def _stands(key: Key, inst: Instance) -> bool:
    """Whether an entry still counts, and is not put aside when its turn comes."""
    return inst.queued == key[2] and inst.state is State.READY and not _paused(inst.run)


def _paused(run: Run) -> bool:
    return bool(run.dag.paused) or (run.backfill is not None and run.backfill.paused)


def _wants(world: World, of: Bounded, inst: Instance) -> float:
    if isinstance(of.of, Budget):
        return (inst.task.cost or {}).get(of.name, 0)
    return global_need(inst.task) if of.of is world.slots else need_of(of.of, inst.task)
