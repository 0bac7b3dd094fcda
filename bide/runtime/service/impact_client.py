"""The operations on what is wrong over a service's socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from bide.runtime.service.impact_shapes import BlastShown, Invalidated, InvalidationLine, LineageShown


class ImpactClient:
    """`_get` and `_post` are those of `ServiceClient`."""

    _get: Callable[..., Any]
    _post: Callable[..., Any]

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
        found: BlastShown = self._get(
            BlastShown,
            "/blast",
            asset=asset,
            interval=interval,
            version=version,
            invalidation=invalidation,
            cause=cause,
            severity=severity,
            effective=effective,
            code=code,
        )
        return found

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
    ) -> Invalidated:
        body = {
            "asset": asset,
            "interval": interval,
            "version": version,
            "reason": reason,
            "cause": cause,
            "severity": severity,
            "effective": effective,
            "code": code,
            "evidence": list(evidence),
            "by": by,
            "key": key,
        }
        done: Invalidated = self._post(Invalidated, "/invalidations", body)
        return done

    async def invalidations(self, limit: int = 50) -> list[InvalidationLine]:
        found: list[InvalidationLine] = self._get(list[InvalidationLine], "/invalidations", limit=limit)
        return found

    async def lineage(self, version: str, depth: int = 3) -> LineageShown:
        found: LineageShown = self._get(LineageShown, f"/lineage/{quote(version, safe='')}", depth=depth)
        return found
