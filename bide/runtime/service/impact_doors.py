"""What every door offers on what is wrong: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bide.runtime.service.impact_shapes import BlastShown, Invalidated, InvalidationLine, LineageShown


class ImpactDoors(Protocol):
    async def blast(
        self,
        asset: str | None = None,
        interval: str | None = None,
        version: str | None = None,
        invalidation: str | None = None,
        cause: str = "source_correction",
        severity: str | None = None,
        effective: str | None = None,
        code: str = "",
    ) -> BlastShown:
        """`interval`: `2026-06-15`, `2026-06` or `FROM..TO`, dates in the asset's zone."""
        ...

    async def invalidate(
        self,
        asset: str | None = None,
        interval: str | None = None,
        version: str | None = None,
        reason: str = "",
        cause: str = "source_correction",
        severity: str | None = None,
        effective: str | None = None,
        code: str = "",
        evidence: Sequence[str] = (),
        by: str = "",
        key: str | None = None,
    ) -> Invalidated: ...

    async def invalidations(self, limit: int = 50) -> list[InvalidationLine]: ...

    async def lineage(self, version: str, depth: int = 3) -> LineageShown: ...
