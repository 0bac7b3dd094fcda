"""What every door offers on the asset graph: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.asset_graph_shapes import ContractLine, GraphShown, PromiseLine
from bide.runtime.service.route import get


class AssetGraphDoors(Protocol):
    """The questions on the asset graph, on contracts and promises."""

    @get("/asset-graph")
    async def graph(self) -> GraphShown:
        """Show the asset graph: assets, edges, cycles, and DAGs that make too much of it."""
        ...

    @get("/contracts")
    async def contracts(self, asset: str | None = None) -> list[ContractLine]:
        """List the contracts in force; of one asset, at either end."""
        ...

    @get("/promises")
    async def promises(self) -> list[PromiseLine]:
        """List promises of producers against needs of consumers."""
        ...
