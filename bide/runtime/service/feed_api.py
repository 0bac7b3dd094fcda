"""The route of the live feed: `GET /api/v1/events`, a stream of server-sent events.

Written on ASGI itself: one task a reader beside the one that hears it leave, no timer but its own, no
state of the process. Of what is sent at most one piece is under way; a reader that does not take it in
time is cut, its connection with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import FastAPI, Header, Query
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from bide.runtime.errors import UsageError
from bide.runtime.service.caller import caller
from bide.runtime.service.events import place, wanted
from bide.runtime.service.feed import Feed, FeedReader
from bide.runtime.service.scopes import scoped

SEND_S: Final = 10.0
_BYE_S: Final = 1.0
Text = Annotated[str | None, Query(max_length=1_000)]
ABORT: Final = "bide.abort"
"""In the extensions of a request: closes its connection without waiting for what is not taken."""


class EventStream(Response):
    """Sends what a reader is given until it leaves, is cut, or the feed ends."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, reader: FeedReader) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feed, self._reader = feed, reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = self._reader
        gone = asyncio.create_task(_left(receive), name="bide feed reader")
        gone.add_done_callback(lambda _: reader.end())
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await reader.sent(send(start), SEND_S)
            async for text in reader:
                await reader.sent(
                    send({"type": "http.response.body", "body": text, "more_body": True}), SEND_S
                )
            if not gone.done():
                await reader.sent(send({"type": "http.response.body", "body": b""}), _BYE_S)
        except TimeoutError:
            if abort := scope.get("extensions", {}).get(ABORT):
                abort()
        finally:
            gone.cancel()
            self._feed.leave(reader)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def feed_routes(app: FastAPI, feed: Callable[[], Feed]) -> None:
    """Add the stream; `feed()` is that of the runtime."""
    scoped(app, "GET", "/api/v1/events", "read")

    @app.get("/api/v1/events", tags=["events"], status_code=200, response_class=EventStream)
    async def live(
        since: Text = None,
        run: Text = None,
        dag: Text = None,
        kind: Text = None,
        last_event_id: Annotated[str | None, Header(max_length=40)] = None,
    ) -> Response:
        """Events as they are committed; after `since` or `Last-Event-ID`, which goes before it, where given."""
        of = feed()
        if last_event_id and not last_event_id.isdecimal():
            raise UsageError(f"Last-Event-ID {last_event_id!r} is no event's number: leave it out")
        which = await wanted(of.asks, run, dag, kind)
        begins = last_event_id or since
        after = None if begins is None else await place(of.asks, begins, of.now())
        who = caller.get()
        return EventStream(of, await of.open(which, after, token=who is not None and who.via == "http"))
