"""The operations on backfills over a service's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from bide.runtime.service.backfill_shapes import (
    BackfillLine,
    BackfillPlan,
    BackfillRequest,
    BackfillShown,
    BackfillStarted,
)
from bide.runtime.service.shapes import Done


class BackfillClient:
    """`get` and `post` are those of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any], post: Callable[..., Any]) -> None:
        self._get, self._post = get, post

    async def plan(self, request: BackfillRequest) -> BackfillPlan:
        found: BackfillPlan = self._post(BackfillPlan, "/backfills/plan", msgspec.to_builtins(request))
        return found

    async def start(
        self, request: BackfillRequest, plan_hash: str | None = None, key: str | None = None
    ) -> BackfillStarted:
        body = {**msgspec.to_builtins(request), "hash": plan_hash}
        headers = {"Idempotency-Key": key} if key else {}
        found: BackfillStarted = self._post(BackfillStarted, "/backfills", body, headers)
        return found

    async def listed(self, dag: str | None = None, limit: int = 50) -> list[BackfillLine]:
        found: list[BackfillLine] = self._get(list[BackfillLine], "/backfills", dag=dag, limit=limit)
        return found

    async def show(self, backfill: str, state: str | None = None, limit: int = 100_000) -> BackfillShown:
        found: BackfillShown = self._get(BackfillShown, _at(backfill), state=state, limit=limit)
        return found

    async def pause(self, backfill: str) -> Done:
        return self._done(f"{_at(backfill)}/pause", {})

    async def resume(self, backfill: str, failed: bool = False) -> Done:
        return self._done(f"{_at(backfill)}/resume", {"failed": failed})

    async def cancel(self, backfill: str, reason: str = "") -> Done:
        return self._done(f"{_at(backfill)}/cancel", {"reason": reason})

    def _done(self, path: str, body: dict[str, Any]) -> Done:
        found: Done = self._post(Done, path, body)
        return found


def _at(backfill: str) -> str:
    return f"/backfills/{quote(backfill, safe='')}"
