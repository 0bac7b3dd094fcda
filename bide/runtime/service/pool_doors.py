"""What every door offers on slots, pools and budgets: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.pool_shapes import PoolLine, PoolShown
from bide.runtime.service.route import Limit, get


class PoolDoors(Protocol):
    """What there is little of. It is known to the process that holds the database: without one there is none."""

    @get("/pools", pages="key")
    async def listed(self, limit: Limit = 1_000, before: str | None = None) -> list[PoolLine]:
        """List the slots, pools and budgets, and the caps that hold somebody back, with how much of each is taken and how many wait."""
        ...

    @get("/pools/{pool:path}", pages="key", parts={"waiters": "key"})
    async def show(
        self, pool: str, limit: Limit = 100, before: str | None = None, queue: str | None = None
    ) -> PoolShown:
        """Show who holds a pool and who waits for it, in the order in which they start.

        `queue`: live (read first) or backfill, to see one of them alone. `pool` is a name, or a key such as `slots`,
        `in_flight:warehouse`, `budget:warehouse`, `dag:etl` (its tasks at once), `task:etl.load`, `runs:etl`. Behind the first 2,000
        of a queue, who comes or goes while a page is read may be on it or not.
        """
        ...
