"""What every door offers on the asset graph: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.asset_graph_shapes import ContractLine, GraphShown, PromiseLine
from bide.runtime.service.route import Limit, get


class AssetGraphDoors(Protocol):
    """The questions on the asset graph, on contracts and promises."""

    @get("/asset-graph", pages="asset", parts={"assets": "asset", "edges": "downstream"})
    async def graph(self, limit: Limit = 100_000, before: str | None = None) -> GraphShown:
        """Show the asset graph: assets, edges, cycles, and DAGs that make too much of it.

        A page has assets, by name, and the edges to what they are made of.
        """
        ...

    @get("/contracts", pages="place")
    async def contracts(
        self, asset: str | None = None, limit: Limit = 100_000, before: str | None = None
    ) -> list[ContractLine]:
        """List the contracts in force; of one asset, at either end."""
        ...

    @get("/promises", pages="place")
    async def promises(self, limit: Limit = 100_000, before: str | None = None) -> list[PromiseLine]:
        """List promises of producers against needs of consumers."""
        ...
