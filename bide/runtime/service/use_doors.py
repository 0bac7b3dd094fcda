"""What every door offers on using assets and letting versions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bide.runtime.service.route import Limit, Person, Text, get, post
from bide.runtime.service.shapes import Done
from bide.runtime.service.use_shapes import DecisionLine, MayUse


class UseDoors(Protocol):
    """The operations on decisions: may it be used, may it go out."""

    @post("/asset-uses")
    async def may_use(
        self, asset: str, interval: str | None = None, purpose: Person = "", by: Person = ""
    ) -> MayUse:
        """Decide whether an asset may be used, and keep the decision.

        `interval`: a day, a month or FROM..TO; without it the newest version is meant. `purpose`: the consumer.
        """
        ...

    @get("/asset-decisions", pages="id")
    async def decisions(
        self,
        asset: str | None = None,
        run: str | None = None,
        limit: Limit = 50,
        before: str | None = None,
    ) -> list[DecisionLine]:
        """List decisions, the newest first."""
        ...

    @post("/asset-versions/{version}/publish", scope="admin", tagged="version")
    async def publish(self, version: str, by: Person, why: Text) -> Done:
        """Let a version out that was held back; who and why are kept."""
        ...

    @post("/asset-versions/{version}/degrade", scope="admin", tagged="version")
    async def degrade(
        self, version: str, limitations: Sequence[Text], by: Person, why: Text, expires: str | None = None
    ) -> Done:
        """Let a version out with limitations; who and why are kept.

        `expires`: an instant, from which on the limitations are not accepted any more.
        """
        ...
