"""What every door offers on notices: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.notice_shapes import NoticeLine, RouteLine
from bide.runtime.service.route import Limit, get, post
from bide.runtime.service.shapes import Done


class NoticeDoors(Protocol):
    """Routes are named as in the configuration, notices by their number, "3"."""

    @get("/notify/routes")
    async def routes(self) -> list[RouteLine]:
        """List the routes of notices, and how each is.

        Without a service: those of the configuration of this folder.
        """
        ...

    @get("/notices", pages="id")
    async def listed(
        self,
        route: str | None = None,
        state: str | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[NoticeLine]:
        """List notices, the newest first.

        `state`: pending, sending, sent, failed, gone or moot.
        """
        ...

    @post("/notify/routes/{route}/test", kept=True)
    async def test(self, route: str) -> Done:
        """Send a test over a route, and say whether it arrived.

        One that was off is on again.
        """
        ...

    @post("/notices/{notice}/retry", nulls={"notice": "failed"})
    async def retry(self, notice: str | None = None, route: str | None = None) -> Done:
        """Try a notice again at once, as if it never had been tried.

        `failed` in place of a number: all that failed, or all of a route.
        """
        ...
