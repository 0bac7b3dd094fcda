"""The operations on the asset graph over a service's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bide.runtime.service.asset_graph_shapes import ContractLine, GraphShown, PromiseLine


class AssetGraphClient:
    """`get` is that of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any]) -> None:
        self._get = get

    async def graph(self) -> GraphShown:
        found: GraphShown = self._get(GraphShown, "/asset-graph")
        return found

    async def contracts(self, asset: str | None = None) -> list[ContractLine]:
        found: list[ContractLine] = self._get(list[ContractLine], "/contracts", asset=asset)
        return found

    async def promises(self) -> list[PromiseLine]:
        found: list[PromiseLine] = self._get(list[PromiseLine], "/promises")
        return found
