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
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.clock import HOUR, from_us
from bide.runtime.engine.states import State
from bide.runtime.engine.world import Due, Instance, World

if TYPE_CHECKING:
    from bide.runtime.engine.backfill_state import Backfill
    from bide.runtime.engine.turn import Turn

WAITS: Final = "waits for the budget"
"""How the reason of an instance begins that is parked here."""


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
        own = not backfill or not used or used + cost <= budget.limit(backfill=True)
        if not (_has(budget, cost) and own):
            _park(t, inst, budget, cost)
            return True
    return False


def _has(budget: Budget, cost: float) -> bool:
    """Whether so much is left of it, whoever spends it."""
    return not budget.spent or budget.spent + cost <= budget.limits.units


def _park(t: Turn, inst: Instance, budget: Budget, cost: float) -> None:
    key = (0 if inst.resumed else 1, -inst.task.priority, inst.queued)
    heappush(budget.parked if inst.run.backfill is None else budget.parked_too, (key, inst))
    ends = budget.ends(t.now)
    t.touch(inst, f"{WAITS} {budget.name}: {_used(budget, cost, t.now)}, it costs {cost:g}")
    if budget.wakes != ends:
        budget.wakes = ends
        t.world.timer(ends, Due.BUDGET, budget.number)


def _used(budget: Budget, cost: float, now: int) -> str:
    """How much of the open window is spent, of what too little is left for a start, and until when."""
    ends = budget.ends(now)
    until = f"until {from_us(ends):%Y-%m-%d %H:%M:%SZ}"
    if budget.since != ends - budget.limits.window_us:  # of a window that is over
        return f"0 of {budget.limits.units:g} used {until}"
    if _has(budget, cost):
        return f"{budget.by_backfills:g} of {budget.limit(backfill=True):g} used by backfills {until}"
    return f"{budget.spent:g} of {budget.limits.units:g} used {until}"


def wait_words(world: World, instance_id: int, now: int) -> str:
    """What a parked instance waits for, as it is now: its row tells of the window in which it was parked."""
    inst = world.instances.get(instance_id)
    if inst is None or inst.state is not State.READY:
        return ""
    for name, cost in (inst.task.cost or {}).items():
        if name in world.budgets and inst.reason.startswith(f"{WAITS} {name}:"):
            return f"{WAITS} {name}: {_used(world.budgets[name], cost, now)}, it costs {cost:g}"
    return ""


def hold_words(world: World, backfill: Backfill, now: int) -> str:
    """How many tasks of a backfill's runs wait for which budgets, as it is now; "" when none does."""
    found = []
    for budget in world.budgets.values():
        waiting = [
            inst for key, inst in budget.parked_too if inst.run.backfill is backfill and _waits(key, inst)
        ]
        if waiting:
            costs = sorted({(inst.task.cost or {}).get(budget.name, 0) for inst in waiting})
            each = f"{costs[0]:g}" if len(costs) == 1 else f"{costs[0]:g} to {costs[-1]:g}"
            tasks = "1 task waits" if len(waiting) == 1 else f"{len(waiting)} tasks wait"
            used = _used(budget, costs[0], now)
            found.append(f"{tasks} for the budget {budget.name}: {used}, and one costs {each}")
    return "; ".join(found)


def _waits(key: tuple[int, int, int], inst: Instance) -> bool:
    """Whether what is parked still waits: its ticket is the one it holds."""
    return inst.queued == key[2] and inst.state is State.READY


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
        if _waits(key, inst):
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
