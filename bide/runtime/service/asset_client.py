"""The operations on assets over a service's socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from bide.runtime.service.asset_shapes import AssetEventLine, AssetLine, AssetShown, DagWhyShown
from bide.runtime.service.impact_client import ImpactClient
from bide.runtime.service.shapes import Done
from bide.runtime.service.use_client import UseClient


class AssetClient(UseClient, ImpactClient):
    """`get` and `post` are those of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any], post: Callable[..., Any]) -> None:
        self._get, self._post = get, post

    async def listed(self) -> list[AssetLine]:
        found: list[AssetLine] = self._get(list[AssetLine], "/assets")
        return found

    async def show(self, asset: str, limit: int = 20) -> AssetShown:
        found: AssetShown = self._get(AssetShown, f"/assets/{quote(asset)}", limit=limit)
        return found

    async def events(self, dag: str, everything: bool = False, limit: int = 1000) -> list[AssetEventLine]:
        said = "true" if everything else None
        found: list[AssetEventLine] = self._get(list[AssetEventLine], _of(dag), all=said, limit=limit)
        return found

    async def drop(
        self,
        dag: str,
        asset: str | None = None,
        versions: Sequence[str] = (),
        until: str | None = None,
        everything: bool = False,
        reason: str = "",
    ) -> Done:
        body = {
            "asset": asset,
            "versions": list(versions),
            "until": until,
            "all": everything,
            "reason": reason,
        }
        done: Done = self._post(Done, f"{_of(dag)}/drop", body)
        return done

    async def replay(self, dag: str, start: str, asset: str | None = None, reason: str = "") -> Done:
        done: Done = self._post(Done, f"{_of(dag)}/replay", {"from": start, "asset": asset, "reason": reason})
        return done

    async def why(self, dag: str) -> DagWhyShown:
        found: DagWhyShown = self._get(DagWhyShown, f"/dags/{quote(dag, safe='')}/why")
        return found


def _of(dag: str) -> str:
    return f"/dags/{quote(dag, safe='')}/asset-events"
