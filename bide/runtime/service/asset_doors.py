"""What every door offers on assets: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bide.runtime.service.asset_shapes import AssetEventLine, AssetLine, AssetShown, DagWhyShown
from bide.runtime.service.impact_doors import ImpactDoors
from bide.runtime.service.shapes import Done
from bide.runtime.service.use_doors import UseDoors


class AssetDoors(UseDoors, ImpactDoors, Protocol):
    async def listed(self) -> list[AssetLine]: ...

    async def show(self, asset: str, limit: int = 20) -> AssetShown:
        """With its newest versions."""
        ...

    async def events(self, dag: str, everything: bool = False, limit: int = 1000) -> list[AssetEventLine]:
        """What is pending for a DAG, oldest first; `everything`: whatever became of it, newest first."""
        ...

    async def drop(
        self,
        dag: str,
        asset: str | None = None,
        versions: Sequence[str] = (),
        until: str | None = None,
        everything: bool = False,
        reason: str = "",
    ) -> Done: ...

    async def replay(self, dag: str, start: str, asset: str | None = None, reason: str = "") -> Done:
        """`start`: a version's number, or an instant (ISO 8601)."""
        ...

    async def why(self, dag: str) -> DagWhyShown: ...
