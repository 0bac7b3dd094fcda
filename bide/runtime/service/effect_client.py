"""The operations on effects over a service's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from bide.runtime.service.effect_shapes import EffectLine, EffectShown


class EffectClient:
    """`get` is that of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any]) -> None:
        self._get = get

    async def listed(
        self, effect: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[EffectLine]:
        found: list[EffectLine] = self._get(
            list[EffectLine], "/effects", effect=effect, state=state, limit=limit
        )
        return found

    async def show(self, delivery: str) -> EffectShown:
        found: EffectShown = self._get(EffectShown, f"/effects/{quote(delivery, safe='')}")
        return found
