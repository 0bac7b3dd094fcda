"""What every door offers on assets: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bide.runtime.service.asset_shapes import AssetEventLine, AssetLine, AssetShown, DagWhyShown, VersionLine
from bide.runtime.service.impact_doors import ImpactDoors
from bide.runtime.service.route import Limit, Text, get, post
from bide.runtime.service.shapes import Done
from bide.runtime.service.standing_shapes import PartLine, StandingLine
from bide.runtime.service.use_doors import UseDoors


class AssetDoors(UseDoors, ImpactDoors, Protocol):
    """The operations on assets, and on what is pending for the DAGs that wait for them."""

    @get("/assets", pages="asset")
    async def listed(self, limit: Limit = 100_000, before: str | None = None) -> list[AssetLine]:
        """List the assets, by name."""
        ...

    @get("/asset-standings", pages="asset")
    async def standings(self, limit: Limit = 100, before: str | None = None) -> list[StandingLine]:
        """List how assets stand: each with its newest intervals, and what is promised next."""
        ...

    @get("/asset-intervals", pages="place")
    async def intervals(self, asset: str, limit: Limit = 100, before: str | None = None) -> list[PartLine]:
        """List the intervals of an asset, the newest first, each with the version that counts."""
        ...

    @get("/assets/{asset:path}", tagged="asset", pages="version", parts={"versions": "version"})
    async def show(self, asset: str, limit: Limit = 20, before: str | None = None) -> AssetShown:
        """Show an asset with its newest versions."""
        ...

    @get("/asset-versions", pages="version")
    async def versions(self, asset: str, limit: Limit = 50, before: str | None = None) -> list[VersionLine]:
        """List the versions of an asset, the newest first."""
        ...

    @get("/asset-versions/{version}", tagged="version")
    async def version(self, version: str) -> VersionLine:
        """Show one version of an asset."""
        ...

    @get("/dags/{dag}/asset-events", names={"everything": "all"}, pages="place")
    async def events(
        self, dag: str, everything: bool = False, limit: Limit = 1000, before: str | None = None
    ) -> list[AssetEventLine]:
        """List what is pending for a DAG, oldest first.

        `all`: whatever became of it, newest first.
        """
        ...

    @post("/dags/{dag}/asset-events/drop", names={"everything": "all"}, tagged="dag")
    async def drop(
        self,
        dag: str,
        asset: str | None = None,
        versions: Sequence[str] = (),
        until: str | None = None,
        everything: bool = False,
        reason: Text = "",
    ) -> Done:
        """Drop what is pending for a DAG, so that no run is made of it.

        `versions`, `until` (an instant: intervals that end by then) or `all`; of one asset or of every one.
        """
        ...

    @post("/dags/{dag}/asset-events/replay", names={"start": "from"}, tagged="dag")
    async def replay(self, dag: str, start: str, asset: str | None = None, reason: Text = "") -> Done:
        """Put published versions before a DAG once more.

        `from`: a version's number, or an instant (ISO 8601).
        """
        ...

    @get("/dags/{dag}/why")
    async def why(self, dag: str) -> DagWhyShown:
        """Say why a DAG makes no run now, and what makes the next one."""
        ...
