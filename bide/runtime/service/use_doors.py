"""What every door offers on using assets and letting versions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bide.runtime.service.shapes import Done
from bide.runtime.service.use_shapes import DecisionLine, MayUse


class UseDoors(Protocol):
    async def may_use(
        self, asset: str, interval: str | None = None, purpose: str = "", by: str = ""
    ) -> MayUse: ...

    async def decisions(
        self, asset: str | None = None, run: str | None = None, limit: int = 50
    ) -> list[DecisionLine]: ...

    async def publish(self, version: str, by: str, why: str) -> Done: ...

    async def degrade(
        self, version: str, limitations: Sequence[str], by: str, why: str, expires: str | None = None
    ) -> Done: ...
