"""What every door offers on hooks: in this process, or over the socket. Deliveries come in elsewhere."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.hook_shapes import DeliveryLine, HookLine
from bide.runtime.service.route import Limit, get


class HookDoors(Protocol):
    """The hooks by name, and what was delivered to them."""

    @get("/hooks", pages="hook")
    async def listed(self, limit: Limit = 100_000, before: str | None = None) -> list[HookLine]:
        """List the hooks, with what was delivered to them of late and what was turned away."""
        ...

    @get("/hooks/{hook}/deliveries", pages="id")
    async def deliveries(
        self, hook: str, outcome: str | None = None, limit: Limit = 50, before: str | None = None
    ) -> list[DeliveryLine]:
        """List the deliveries of a hook that are still known, the newest first.

        `outcome`: only those accepted, ignored or refused.
        """
        ...
