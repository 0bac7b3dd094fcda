"""Routes of notices and what went over them: one layer for the terminal, the REST API and `rt.operations`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bide.runtime.clock import Clock
from bide.runtime.engine.noticing import PENDING, SENDING, SENT, STATES
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.notify.routes import Route, routes_of
from bide.runtime.service.addresses import before_number, bounded, notice_number
from bide.runtime.service.notice_shapes import NoticeLine, RouteLine
from bide.runtime.service.shapes import Done, iso, iso_or_none
from bide.runtime.store import notice_rows as rows
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.notify.notifier import Notifier
    from bide.runtime.notify.retrying import Outcome
    from bide.runtime.service.doors import Door, Live
    from bide.runtime.service.operations import Asks

TRIED_S = 25.0
"""How long a test waits for its outcome: less than a client waits for an answer."""
_LEADS = "`bide notify routes` says where it leads"
_ENDED = "it is tried again by itself: `bide notify list` shows it"


class Notices:
    """The operations on notices. It keeps no state."""

    def __init__(self, reader: Asks, door: Door, clock: Clock, live: Live | None, held: bool) -> None:
        self._reader, self._door, self._clock, self._live, self._held = reader, door, clock, live, held

    async def routes(self) -> list[RouteLine]:
        waiting = await self._reader.ask(Reader.read, rows.open_counts)
        off = {each.route: each for each in await self._reader.ask(Reader.read, rows.off)}
        notifier = self._notifier()
        failing = {each.route.name: each.failing for each in notifier.status} if notifier is not None else {}
        return [
            RouteLine(
                name=r.name, to=r.where, kinds=r.all_kinds, owner=r.owners, tags=r.all_tags, at_least=r.at_least,
                window_seconds=r.window / timedelta(seconds=1), burst=r.burst, pending=waiting.get(r.name, 0),
                failing=failing.get(r.name) or None,
                off=off[r.name].reason if r.name in off and off[r.name].target == r.target else None,
            )
            for r in self._routes()
        ]  # fmt: skip

    async def listed(
        self,
        route: str | None = None,
        state: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[NoticeLine]:
        if state is not None and state not in STATES:
            raise UsageError(
                f"{state!r} is no state of a notice{suggestion(state, STATES)}: use one of {', '.join(STATES)}"
            )
        bounded(limit)
        below = before_number(before)
        return await self._reader.ask(
            Reader.read, lambda conn: [line(each) for each in rows.notices(conn, route, state, limit, below)]
        )

    async def test(self, route: str) -> Done:
        known = self._route(route)
        if self._live is None and not self._held:
            from bide.runtime.notify.trying import try_once

            return self._outcome(route, await try_once(known, self._clock), "no service runs: sent from here")
        answer = await self._door.command("notice_test", {"route": route})
        notifier = self._notifier()
        assert notifier is not None  # its route is known
        shown = await self._first_try(notifier, int(answer["notice_id"]))
        if shown.state == SENT:
            return Done(
                done=f"a test went over {route} and was taken ({shown.status or 'ok'})", result=answer
            )
        if shown.attempts and shown.state != SENDING:
            then = "it is tried again" if shown.state == PENDING else "it is not tried again"
            raise RefusedError(f"a test over {route} was not taken: {shown.error}; {then}; {_LEADS}")
        raise RefusedError(f"a test over {route} (notice {shown.notice_id}) is under way still: {_ENDED}")

    async def _first_try(self, notifier: Notifier, number: int) -> rows.NoticeShown:
        ended = notifier.tried(number)
        shown = await self._notice(number)
        if shown.state in (PENDING, SENDING) and not (shown.attempts and shown.state == PENDING):
            await asyncio.wait([ended], timeout=TRIED_S)
            shown = await self._notice(number)
        return shown

    async def _notice(self, number: int) -> rows.NoticeShown:
        shown: rows.NoticeShown | None = await self._reader.ask(
            Reader.read, lambda conn: rows.notice(conn, number)
        )
        if shown is None:
            raise NotFoundError(f"there is no notice {number}: `bide notify list` lists them")
        return shown

    async def retry(self, notice: str | None = None, route: str | None = None) -> Done:
        if notice is not None and route is not None:
            raise UsageError("one notice, or all that failed over a route: name one of them")
        if route is not None:
            self._route(route)
        args: dict[str, Any] = {
            "notice_id": None if notice is None else notice_number(notice),
            "route": route,
        }
        answer = await self._door.command("notice_retry", args)
        count = len(answer["notices"])
        what = (
            f"notice {notice} is"
            if notice is not None
            else f"{count} notice{' is' if count == 1 else 's are'}"
        )
        return Done(done=f"{what} tried again", result=answer)

    # --- the routes there are ------------------------------------------------------------------

    def _notifier(self) -> Notifier | None:
        return None if self._live is None else self._live.notifier

    def _routes(self) -> Sequence[Route]:
        """Those of the runtime; where none is at hand, those of the configuration."""
        if self._live is not None:
            notifier = self._notifier()
            return [] if notifier is None else list(notifier.routes.values())
        from bide.runtime.service.places import settings

        return routes_of(settings().notify)

    def _route(self, name: str) -> Route:
        there = {each.name: each for each in self._routes()}
        if name not in there:
            advice = suggestion(name, there) or f": there are {', '.join(there) or 'none'}"
            raise NotFoundError(f"there is no route {name!r}{advice}")
        return there[name]

    @staticmethod
    def _outcome(route: str, outcome: Outcome, how: str) -> Done:
        if outcome.error:
            raise RefusedError(f"a test over {route} was not taken: {outcome.error} ({how}); {_LEADS}")
        return Done(
            done=f"a test went over {route} and was taken ({outcome.status or 'ok'}; {how})", result=None
        )


def line(n: rows.NoticeShown) -> NoticeLine:
    return NoticeLine(
        id=str(n.notice_id), route=n.route, kind=n.kind, severity=n.severity, state=n.state, count=n.count, title=n.title,
        made_at=iso(n.made_us), next_at=iso(n.next_us) if n.state in (PENDING, SENDING) else None, attempts=n.attempts,
        status=n.status, error=n.error or None, ended_at=iso_or_none(n.ended_us),
    )  # fmt: skip
