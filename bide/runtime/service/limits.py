"""What a runtime may use: its pools, budgets, caps of assets, and what of it backfills are sure of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from bide.runtime.clock import HOUR, SECOND, span_us
from bide.runtime.engine.budgets import BudgetLimits, made
from bide.runtime.engine.fairness import SHARE
from bide.runtime.engine.world import World
from bide.runtime.errors import UsageError


class Pool(msgspec.Struct, frozen=True):
    """A named limit: `slots` attempts at once, `in_flight` instances from first start to end.

    `in_flight` counts those that wait as well (D14). None is without limit.
    """

    slots: int | None = None
    in_flight: int | None = None


def sizes(pools: Mapping[str, Pool | int]) -> dict[str, tuple[int | None, int | None]]:
    """Pool -> (slots, in flight), as the world counts them; a bare number is that of slots."""
    return {
        name: (pool, None) if isinstance(pool, int) else (pool.slots, pool.in_flight)
        for name, pool in pools.items()
    }


class Budget(msgspec.Struct, frozen=True):
    """Units that tasks may spend in each window of `per`, by `@task(cost={"name": units})`.

    Windows are aligned to the epoch: those of an hour begin with each hour, UTC. Runs of backfills
    may spend `backfill_units` of them; None: all.
    """

    units: float
    per: timedelta = timedelta(hours=1)
    backfill_units: float | None = None


class Limits(msgspec.Struct, frozen=True):
    """Checked, and ready to be laid on a world."""

    share: float
    budgets: dict[str, BudgetLimits]
    asset_caps: dict[str, int]

    def lay_on(self, world: World) -> None:
        """Before the world is restored: what was spent is of these budgets."""
        world.backfill_share = self.share
        world.budgets = made(self.budgets)
        world.asset_caps = dict(self.asset_caps)


def limits(
    share: float | None, budgets: Mapping[str, Budget | float] | None, asset_caps: Mapping[str, int] | None
) -> Limits:
    """The limits that were asked for; `UsageError` names the one that cannot be."""
    share = SHARE if share is None else share
    if not 0.01 <= share <= 0.99:
        raise UsageError(
            f"backfill_share is {share!r}, and must be between 0.01 and 0.99: neither side is left out"
        )
    for asset, cap in (asset_caps or {}).items():
        if type(cap) is not int or cap < 1:
            raise UsageError(
                f"the cap of the asset {asset!r} is {cap!r}, and must be a whole number, 1 or more"
            )
    return Limits(
        share, {name: _budget(name, one) for name, one in (budgets or {}).items()}, dict(asset_caps or {})
    )


def _budget(name: str, asked: Budget | float) -> BudgetLimits:
    budget = asked if isinstance(asked, Budget) else Budget(asked)
    if not budget.units > 0 or (budget.backfill_units is not None and not budget.backfill_units > 0):
        raise UsageError(f"the budget {name!r} has {budget.units!r} units, and must have more than none")
    window = span_us(budget.per)
    if not SECOND <= window <= 24 * 366 * HOUR:
        raise UsageError(f"the window of the budget {name!r} is {budget.per}: give a second to a year")
    return BudgetLimits(budget.units, window, budget.backfill_units)
