"""What every door offers on what is wrong: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from bide.runtime.service.impact_shapes import BlastShown, Invalidated, InvalidationLine, LineageShown
from bide.runtime.service.route import Limit, Number, Person, Text, get, post

Evidence = Annotated[Sequence[Annotated[str, Meta(max_length=2_000)]], Meta(max_length=1_000)]


class ImpactDoors(Protocol):
    """The operations on invalidations, blast radii and lineage."""

    @get("/blast")
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
        """Show all that is affected, or would be: nothing is changed by asking.

        `interval`: `2026-06-15`, `2026-06` or `FROM..TO`, dates in the asset's zone.
        """
        ...

    @post("/invalidations", tagged="version")
    async def invalidate(
        self,
        asset: str | None = None,
        interval: str | None = None,
        version: str | None = None,
        reason: Text = "",
        cause: str = "source_correction",
        severity: str | None = None,
        effective: str | None = None,
        code: str = "",
        evidence: Evidence = (),
        by: Person = "",
        key: str | None = None,
    ) -> Invalidated:
        """Say that versions are wrong, and let what was made of them know.

        `asset` with `interval` (`2026-06-15`, `2026-06`, `FROM..TO`), or one `version`.
        """
        ...

    @get("/invalidations", pages="invalidation_id")
    async def invalidations(self, limit: Limit = 50, before: str | None = None) -> list[InvalidationLine]:
        """List invalidations, the newest first."""
        ...

    @get("/lineage/{version}")
    async def lineage(self, version: str, depth: Number = 3) -> LineageShown:
        """Show where a version comes from, and where it went."""
        ...
