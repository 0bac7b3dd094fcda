"""What every door offers on external effects: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.effect_shapes import EffectLine, EffectShown
from bide.runtime.service.route import Limit, get


class EffectDoors(Protocol):
    """The ledger of deliveries; they are named by their number, "3"."""

    @get("/effects", pages="id")
    async def listed(
        self,
        effect: str | None = None,
        state: str | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[EffectLine]:
        """List the ledger of external effects, the newest delivery first."""
        ...

    @get("/effects/{delivery}")
    async def show(self, delivery: str) -> EffectShown:
        """Show a delivery with its receipt, what it was made of, and who approved it."""
        ...
