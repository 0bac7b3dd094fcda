"""The operations on approvals over a service's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from bide.runtime.service.approval_shapes import ApprovalLine
from bide.runtime.service.shapes import Done


class ApprovalClient:
    """`get` and `post` are those of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any], post: Callable[..., Any]) -> None:
        self._get, self._post = get, post

    async def listed(
        self, state: str | None = "open", run: str | None = None, limit: int = 100
    ) -> list[ApprovalLine]:
        said = "all" if state is None else state
        found: list[ApprovalLine] = self._get(
            list[ApprovalLine], "/approvals", state=said, run=run, limit=limit
        )
        return found

    async def approve(self, approval: str | None, by: str, why: str) -> Done:
        return self._decide("approve", approval, by, why)

    async def reject(self, approval: str | None, by: str, why: str) -> Done:
        return self._decide("reject", approval, by, why)

    def _decide(self, verb: str, approval: str | None, by: str, why: str) -> Done:
        path = f"/approvals/{quote(approval or 'only', safe='')}/{verb}"
        found: Done = self._post(Done, path, {"by": by, "why": why})
        return found
