"""`bide pools`: how much of the slots, pools and budgets is taken, by whom, and who is next."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked
from bide.runtime.cli.output import note, print_json, print_table, stamp, write
from bide.runtime.cli.waits import away
from bide.runtime.clock import SystemClock
from bide.runtime.service.addresses import bounded
from bide.runtime.service.doors import Doors
from bide.runtime.service.pool_shapes import HolderLine, PoolLine, PoolShown, WaiterLine


def pools(
    pool: Annotated[str | None, Parameter(help="Who holds this one and who waits for it, in order.")] = None,
    /,
    *,
    limit: Most = 100,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show the slots, pools and budgets, how much of each is taken and how many wait; or one of them
    with who holds it and who waits, in the order in which they start.
    """
    bounded(limit)
    if pool is None:
        return _listed(db, limit, json)
    name = pool

    async def show(ops: Doors) -> list[PoolShown]:
        known = [each.key for each in await ops.pools.listed() if name in (each.pool, each.key)]
        return [await ops.pools.show(key, limit) for key in known or [name]]

    found = asked(db, show)
    if json:
        print_json(found)
        return 0
    now = SystemClock().now()
    for each in found:
        write(f"{title(each)}: {taken(each)}, {wait_words(each)}")
        if each.holders:
            print_table(
                ("held by", "dag", "state", "since", "slots"), [_held(one, now) for one in each.holders], ""
            )
        if each.waiters:
            print_table(
                ("place", "task", "dag", "queue", "priority", "wants", "since"),
                [_waits(one, now) for one in each.waiters],
                "",
            )
        if len(each.waiters) == limit < each.waiting:
            note(f"the first {limit:,} of {waiting(each)} who wait: --limit has more")
    return 0


def _listed(db: Db, limit: int, json: bool) -> int:
    async def ask(ops: Doors) -> tuple[list[PoolLine], bool]:
        return await ops.pools.listed(limit), ops.held

    found, held = asked(db, ask)
    if json:
        print_json(found)
        return 0
    rows = [
        (title(each), taken(each), waiting(each), f"{each.by_backfills:g}" if each.by_backfills else None)
        for each in found
    ]
    silent = "the runtime that holds this database answers nobody, and it alone knows them"
    nobody = "no runtime holds this database, so nothing of it runs: start `bide serve`"
    print_table(("pool", "taken", "waiting", "by backfills"), rows, silent if held else nobody)
    if len(found) == 1:
        note("there are no pools yet: `[pools]` with `warehouse = 4` in bide.toml makes one")
    return 0


def title(of: PoolLine) -> str:
    """As people call it: `slots`, `pool gpu`, `pool gpu in flight`, `budget gpu`."""
    match of.kind:
        case "slots":
            return "slots"
        case "in_flight":
            return f"pool {of.pool} in flight"
        case "dag":
            return f"tasks of DAG {of.pool} at once"
        case "task":
            return f"task {of.pool} at once"
        case "runs":
            return f"runs of DAG {of.pool} at once"
        case _:
            return f"{of.kind} {of.pool}"


def taken(of: PoolLine) -> str:
    """How much of it is taken, and of a budget until when."""
    if of.kind == "budget":
        return f"{of.spent:g} of {of.units:g} spent until {stamp(of.resets_at)}"
    return f"{of.in_use} of {of.slots}"


def waiting(of: PoolLine) -> str:
    """How many wait for it."""
    return f"{of.waiting:,}{' and more' if of.more_wait else ''}"


def wait_words(of: PoolLine) -> str:
    if not of.waiting:
        return "nobody waits"
    return f"{waiting(of)} wait{'s' if of.waiting == 1 and not of.more_wait else ''}"


def _who(of: HolderLine | WaiterLine) -> str:
    return f"{of.run_id}/{of.task}" if of.task else f"run {of.run_id}"


def _held(of: HolderLine, now: int) -> tuple[str, str, str, str | None, str]:
    state = f"{of.state}, stopping: {of.stopping}" if of.stopping else of.state
    return _who(of), of.dag, state, away(of.since, now), str(of.slots)


def _waits(of: WaiterLine, now: int) -> tuple[str, str, str, str, str, str, str | None]:
    resumed = " (resumed)" if of.resumed else ""
    return (
        str(of.place),
        f"{_who(of)}{resumed}",
        of.dag,
        of.queue if of.backfill is None else f"backfill {of.backfill}",
        str(of.priority),
        f"{of.wants:g}",
        away(of.since, now),
    )
