"""The operations on using assets, over a service's socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from bide.runtime.service.shapes import Done
from bide.runtime.service.use_shapes import DecisionLine, MayUse


class UseClient:
    """`_get` and `_post` are those of `ServiceClient`."""

    _get: Callable[..., Any]
    _post: Callable[..., Any]

    async def may_use(
        self, asset: str, interval: str | None = None, purpose: str = "", by: str = ""
    ) -> MayUse:
        body = {"asset": asset, "interval": interval, "purpose": purpose, "by": by}
        found: MayUse = self._post(MayUse, "/asset-uses", body)
        return found

    async def decisions(
        self, asset: str | None = None, run: str | None = None, limit: int = 50
    ) -> list[DecisionLine]:
        found: list[DecisionLine] = self._get(
            list[DecisionLine], "/asset-decisions", asset=asset, run=run, limit=limit
        )
        return found

    async def publish(self, version: str, by: str, why: str) -> Done:
        done: Done = self._post(
            Done, f"/asset-versions/{quote(version, safe='')}/publish", {"by": by, "why": why}
        )
        return done

    async def degrade(
        self, version: str, limitations: Sequence[str], by: str, why: str, expires: str | None = None
    ) -> Done:
        body = {"limitations": list(limitations), "by": by, "why": why, "expires": expires}
        done: Done = self._post(Done, f"/asset-versions/{quote(version, safe='')}/degrade", body)
        return done
