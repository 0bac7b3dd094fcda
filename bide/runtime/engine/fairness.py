"""Live runs and backfills at one door: whose turn it is when both want what a resource has.

Of each resource (the slots, a pool) backfills are sure of `share`, live runs of the rest; what one
side leaves unused goes to the other. Whole places first: below its whole places a backfill is next,
above its share a live run is. Of the place in between, one that both have a part in, a balance
decides: each side is charged the time it holds places while the other waits, weighed by the share.
With one slot that is all there is to it: of the time that both want, backfills have their share.

The balance is kept in memory only; it begins anew at a restart, and when for a minute nobody was kept
waiting. Among backfills, each task is given a tag, the further on the less its backfill weighs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bide.runtime.engine.backfill_state import Backfill
    from bide.runtime.engine.world import Attempt, Instance, Resource, World

SHARE: Final = 0.25
"""What backfills are sure of when nothing else is said."""
_START_US: Final = 1_000
"""What a start is charged at once, so that work which takes no time is shared as well."""
_FORGOTTEN_US: Final = 60_000_000
_STEP: Final = 1_000
_TICKETS: Final = 40
"""Bits of a ticket below the tag."""


def backfill_is_next(resource: Resource, share: float, need: int, woken: int = 0) -> bool:
    """Both sides want it: whether it is the backfill's turn. `woken` are places it has been promised."""
    if resource.capacity is None:
        return True
    fair = share * resource.capacity
    taken = resource.by_backfills + woken
    if taken + need <= int(fair):
        return True
    return taken < fair and resource.balance <= 0


def chosen(world: World, resource: Resource, heads: tuple[Instance, Instance], need: int, now: int, *,
           backfill: bool) -> None:  # fmt: skip
    """One of the two heads, a live one and a backfill's, was chosen: charge its start."""
    _contend(resource, max(heads[0].since, heads[1].since), now)
    _charge(world, resource, _START_US * need, backfill=backfill)


def given_back(world: World, body: Attempt, resource: Resource, need: int, now: int) -> None:
    """Charge the time that a body has held a place while the other side waited for one."""
    if resource is world.slots:
        waiting = world.ready if body.by_backfill else world.ready_too
    else:
        waiting = resource.parked if body.by_backfill else resource.parked_too
    if not waiting or body.active_from is None:
        return
    began = max(body.active_from, waiting[0][1].since)
    if now > began:
        _contend(resource, began, now)
        _charge(world, resource, (now - began) * need, backfill=body.by_backfill)


def _contend(resource: Resource, began: int, now: int) -> None:
    """Both sides want it from `began` to `now`. What was owed long before is forgotten."""
    last = resource.contended_at
    if last is None or began - last > _FORGOTTEN_US:
        resource.balance = 0.0
    resource.contended_at = now


def _charge(world: World, resource: Resource, cost: int, *, backfill: bool) -> None:
    share = world.backfill_share
    resource.balance += (1 - share) * cost if backfill else -share * cost


# --- among backfills -----------------------------------------------------------------------------


def ticket(world: World, b: Backfill) -> int:
    """A ticket in the order of turns: tasks of a backfill that weighs twice as much come twice as often."""
    b.tag = max(b.tag, world.backfill_tag) + _STEP // b.options.weight
    return b.tag << _TICKETS | world.ticket


def called(world: World, ticket: int) -> None:
    """Who comes later takes no turn before this one: nobody saves up turns."""
    world.backfill_tag = max(world.backfill_tag, ticket >> _TICKETS)
