"""What every door offers on tokens, with their routes: for those who may decide who may."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.route import Limit, get, post
from bide.runtime.service.shapes import Done
from bide.runtime.service.token_shapes import TokenLine, TokenMade


class TokenDoors(Protocol):
    """The operations on tokens; they are named by their names."""

    @post("/tokens", status=201, scope="admin", once=False)
    async def create(self, name: str, scope: str = "read", expires: str | None = None) -> TokenMade:
        """Make a token, which is said this once and kept nowhere.

        `scope`: read, run or admin; `expires`: a span such as 30d, or an instant; null: never.
        """
        ...

    @get("/tokens", scope="admin", pages="public")
    async def listed(self, limit: Limit = 100_000, before: str | None = None) -> list[TokenLine]:
        """List the tokens there are and were, never the tokens themselves, in the order they were made."""
        ...

    @post("/tokens/{name}/revoke", scope="admin")
    async def revoke(self, name: str) -> Done:
        """Revoke a token: it opens nothing from now on."""
        ...
