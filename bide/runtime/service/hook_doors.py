"""What every door offers on hooks: in this process, or over the socket. Deliveries come in elsewhere."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.hook_shapes import DeliveryLine, HookLine
from bide.runtime.service.route import Limit, get


class HookDoors(Protocol):
    """The hooks by name, and what was delivered to them."""

    @get("/hooks")
    async def listed(self) -> list[HookLine]:
        """List the hooks, with what was delivered to them of late and what was turned away."""
        ...

    @get("/hooks/{hook}/deliveries")
    async def deliveries(
        self, hook: str, outcome: str | None = None, limit: Limit = 50
    ) -> list[DeliveryLine]:
        """List the deliveries of a hook that are still known, the newest first.

        `outcome`: only those accepted, ignored or refused.
        """
        ...
