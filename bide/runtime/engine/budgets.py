"""Budgets: units that tasks may spend in a window of time, `@task(cost={"warehouse": 5})` (S0-19, B60).

Each start of a task spends its cost, retries too; nothing is given back within the window. Windows
are aligned to the epoch: a window of an hour begins with each hour, UTC. What is spent is a row,
written with the start that spends it. A task whose budget is spent parks here, and a timer at the
window's end puts it back in its place. One that costs more than the whole budget starts in a window
that nothing has been spent of.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from bide.runtime.clock import HOUR, from_us
from bide.runtime.engine.states import State
from bide.runtime.engine.world import Due, Instance, World

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


class BudgetLimits(msgspec.Struct, frozen=True):
    """`units` a window, of which runs of backfills may spend `backfill_units` (None: all)."""

    units: float
    window_us: int = HOUR
    backfill_units: float | None = None


class Budget:
    """A budget and its open window. `parked` wait for the next one, best first; `parked_too` of backfills."""

    __slots__ = (
        "by_backfills",
        "limits",
        "name",
        "number",
        "parked",
        "parked_too",
        "since",
        "spent",
        "wakes",
    )

    def __init__(self, name: str, number: int, limits: BudgetLimits) -> None:
        self.name = name
        self.number = number
        self.limits = limits
        self.since = 0
        self.spent = 0.0
        self.by_backfills = 0.0
        self.parked: list[tuple[tuple[int, int, int], Instance]] = []
        self.parked_too: list[tuple[tuple[int, int, int], Instance]] = []
        self.wakes: int | None = None  # its timer

    def limit(self, *, backfill: bool) -> float:
        most = self.limits.backfill_units
        return self.limits.units if most is None or not backfill else min(most, self.limits.units)

    def ends(self, now: int) -> int:
        """The end of the window that holds `now`."""
        return now - now % self.limits.window_us + self.limits.window_us

    def roll(self, now: int) -> None:
        """Begin a new window, unless `now` is within the one that is open."""
        since = now - now % self.limits.window_us
        if since != self.since:
            self.since, self.spent, self.by_backfills = since, 0.0, 0.0


def made(limits: Mapping[str, BudgetLimits]) -> dict[str, Budget]:
    """Budgets by name, nothing spent."""
    return {name: Budget(name, number, limits[name]) for number, name in enumerate(sorted(limits))}


def refuses(t: Turn, inst: Instance) -> bool:
    """Whether a budget has too little left for a start; the instance then waits for its next window."""
    if inst.body is not None or inst.wait is not None:
        return False  # it goes on with an attempt that has spent its cost
    backfill = inst.run.backfill is not None
    for name, cost in (inst.task.cost or {}).items():
        budget = t.world.budgets.get(name)
        if budget is None:
            continue
        budget.roll(t.now)
        used = budget.by_backfills if backfill else 0.0
        total = not budget.spent or budget.spent + cost <= budget.limits.units
        own = not backfill or not used or used + cost <= budget.limit(backfill=True)
        if not (total and own):
            _park(t, inst, budget, cost, of_backfills=total)
            return True
    return False


def _park(t: Turn, inst: Instance, budget: Budget, cost: float, *, of_backfills: bool) -> None:
    key = (0 if inst.resumed else 1, -inst.task.priority, inst.queued)
    heappush(budget.parked if inst.run.backfill is None else budget.parked_too, (key, inst))
    ends = budget.ends(t.now)
    until = f"{from_us(ends):%Y-%m-%d %H:%M:%SZ}"
    used, limit = budget.spent, budget.limits.units
    whose = ""
    if of_backfills:
        used, limit, whose = budget.by_backfills, budget.limit(backfill=True), " by backfills"
    t.touch(
        inst,
        f"waits for the budget {budget.name}: {used:g} of {limit:g} used{whose} until {until}, it costs {cost:g}",
    )
    if budget.wakes != ends:
        budget.wakes = ends
        t.world.timer(ends, Due.BUDGET, budget.number)


def spend(t: Turn, inst: Instance) -> None:
    """A start spends what it costs, in the same transaction."""
    for name, cost in (inst.task.cost or {}).items():
        budget = t.world.budgets.get(name)
        if budget is None:
            continue
        budget.roll(t.now)
        budget.spent += cost
        if inst.run.backfill is not None:
            budget.by_backfills += cost
        t.changes.budgets_set[name] = (name, budget.since, budget.spent, budget.by_backfills)


def window_over(t: Turn, budget: Budget) -> None:
    """Put back into the queues as many as the new window has units for; the rest waits for the one after."""
    budget.wakes = None
    budget.roll(t.now)
    _wake(t, budget, budget.parked, t.world.ready, budget.limits.units)
    _wake(t, budget, budget.parked_too, t.world.ready_too, budget.limit(backfill=True))
    if budget.parked or budget.parked_too:
        budget.wakes = budget.ends(t.now)
        t.world.timer(budget.wakes, Due.BUDGET, budget.number)


def _wake(
    t: Turn,
    budget: Budget,
    parked: list[tuple[tuple[int, int, int], Instance]],
    queue: list[tuple[tuple[int, int, int], Instance]],
    units: float,
) -> None:
    while parked and units > 0:
        key, inst = heappop(parked)
        if inst.queued == key[2] and inst.state is State.READY:
            t.budget -= 1
            t.touch(inst, "")
            units -= (inst.task.cost or {}).get(budget.name, 0)
            heappush(queue, (key, inst))


def clock_stepped(t: Turn) -> None:
    """Windows go by the wall clock: who waits looks again."""
    for budget in t.world.budgets.values():
        window_over(t, budget)


def restore(world: World, spent: list[tuple[str, int, float, float]]) -> None:
    """What earlier runtimes have spent of the windows that were open."""
    for name, since, units, by_backfills in spent:
        budget = world.budgets.get(name)
        if budget is not None:
            budget.since, budget.spent, budget.by_backfills = since, units, by_backfills
