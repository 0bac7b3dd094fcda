"""Opens a runtime for the terminal: the one place where settings become a `Runtime`."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bide.runtime.config import Config
from bide.runtime.executor.echo import Echo
from bide.runtime.graph.dag import Dag

if TYPE_CHECKING:
    from bide.runtime.service.limits import Budget, Pool
    from bide.runtime.service.runtime import Runtime


@asynccontextmanager
async def open_runtime(
    config: Config,
    db: Path,
    dags: Sequence[Dag],
    errors: Mapping[str, str] | None = None,
    *,
    schedules: bool = True,
    refused: Callable[[Dag, str], None] | None = None,
    echo: Echo | None = None,
    whole: bool = False,
) -> AsyncIterator[Runtime]:
    """A runtime over `db` with these DAGs; `errors` are the files that could not be loaded.

    `schedules=False`: only what is triggered runs. `refused` is told of DAGs that wait in vain for
    another one; without it they are a `GraphError`. What tasks print, and what they log the usual
    way, goes to their logs; `echo` is told of it as well. `whole`: these DAGs
    are all there are, any other that the database knows is gone.
    """
    from bide.runtime.executor.printed import recorded
    from bide.runtime.service.runtime import Runtime

    runtime = Runtime(
        db=db,
        dags=dags,
        slots=config.slots,
        pools=pools_of(config),
        budgets=budgets_of(config),
        backfill_share=config.backfill_share,
        asset_caps=config.asset_caps,
        synchronous=config.synchronous,
        errors=errors,
        schedules=schedules,
        refused=refused,
        capture_output=True,
        echo=echo,
        whole=whole,
        openlineage=config.openlineage,
        notify=config.notify,
        retention=config.retention,
    )
    runtime.config = config
    with recorded():
        async with runtime:
            gc.freeze()  # what was loaded stays to the end: no collection walks it again and holds up the loop
            yield runtime


def pools_of(config: Config) -> dict[str, Pool | int]:
    """The pools of the settings, as a `Runtime` takes them."""
    from bide.runtime.service.limits import Pool

    return {
        name: pool if isinstance(pool, int) else Pool(slots=pool.slots, in_flight=pool.in_flight)
        for name, pool in config.pools.items()
    }


def budgets_of(config: Config) -> dict[str, Budget | float]:
    """The budgets of the settings, as a `Runtime` takes them."""
    from datetime import timedelta

    from bide.runtime.service.addresses import read_span
    from bide.runtime.service.limits import Budget

    return {
        name: one
        if isinstance(one, int | float)
        else Budget(one.units, timedelta(microseconds=read_span(one.per)), one.backfill_units)
        for name, one in config.budgets.items()
    }
