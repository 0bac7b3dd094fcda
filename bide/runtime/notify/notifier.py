"""Sends notices beside the engine: alerts to routes, routes to receivers, each at least once, never in its way.

It wakes by commits that hold alerts and by the next notice that is due; nothing polls. What it does stands in
rows before it is done: a notice that is being sent says so, and after a crash it is sent again with the same id
and the same body. One message at a time goes to each receiver, and a few at a time to all of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from random import random
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND, Clock
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import Input
from bide.runtime.engine.notices import NoticesMoved
from bide.runtime.engine.noticing import FAILED, GONE, MOOT, PENDING, SENDING, SENT
from bide.runtime.errors import BideError
from bide.runtime.failpoints import point
from bide.runtime.notify.folding import TOO_OLD_US, folded, retold, taken
from bide.runtime.notify.forewarned import unsendable
from bide.runtime.notify.message import SHOWN, Message, body_of, message_of
from bide.runtime.notify.people import PeopleSender
from bide.runtime.notify.retrying import Outcome, next_try, rest_until
from bide.runtime.notify.routes import RANK, Route, Webhook
from bide.runtime.store import notice_rows as rows
from bide.runtime.store.reader import Reader
from bide.runtime.values import redactor
from bide.triggers.http_policy import HttpPolicy

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.notify.webhook import WebhookSender

log = logging.getLogger("bide.notify")
T = TypeVar("T")
AT_ONCE: Final = 200
"""Alerts that are given to the routes in one go."""
FLYING: Final = 8
"""Messages under way at once."""
IN_VAIN: Final = 3
"""Attempts after which it is an outage, and a notice may go with a newer one of its kind."""
AGAIN_S: Final = 5.0
"""After a failure of its own (the database cannot be read or written for a while)."""


class Commits(Protocol):
    """How the notifier writes: an input, and the reply once it is committed."""

    def expect_reply(self) -> tuple[int, asyncio.Future[Any]]: ...

    def post(self, each: Input, /) -> None: ...


class RouteStatus(msgspec.Struct, frozen=True):
    """How a route is. `failing`: why its receiver took nothing of late, "" when it did; `off`: why nothing is sent."""

    route: Route
    failing: str
    off: str


class Notifier:
    """`start()` once a runtime is open, `close()` before it is gone."""

    def __init__(
        self, routes: Sequence[Route], db: os.PathLike[str], clock: Clock, commits: Commits, begins: int
    ) -> None:
        """`begins`: where the routes were never asked, alerts up to this one are no news."""
        self.routes = {route.name: route for route in routes}
        self._db, self._clock, self._commits, self._begins = db, clock, commits, begins
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="bide-notify")
        self._people = PeopleSender(HttpPolicy.of(os.environ))
        self._webhooks: dict[str, WebhookSender] = {}
        self._reader: Reader | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flying: dict[str, asyncio.Task[None]] = {}
        self._rest: dict[str, int] = {}
        self._failing: dict[str, str] = {}
        self._off: dict[str, str] = {}
        self._tried: dict[int, list[asyncio.Future[None]]] = {}
        self._routed: int | None = None
        self._retake = False
        self._former: list[WebhookSender] = []
        self._closing = self._ill = False
        self._resting = False

    # --- what others see -----------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether it has something to do now."""
        return not self._resting or bool(self._flying) or self._wake.is_set()

    @property
    def status(self) -> list[RouteStatus]:
        return [
            RouteStatus(route, self._failing.get(name, ""), self._off.get(name, ""))
            for name, route in self.routes.items()
        ]

    def committed(self, changes: Changes) -> None:
        """A batch has landed: there may be something to tell."""
        for (route,) in changes.notices_on:
            self._off.pop(route, None)
            self._rest.pop(route, None)
        if changes.notices_again:
            self._rest.clear()
        if changes.alerts_new or changes.notices_again or changes.notices_on:
            self._wake.set()

    def take(self, routes: Sequence[Route]) -> None:
        """Go by these routes from now on. What is under way ends as it was begun; what waits for one that is gone waits."""
        now = {route.name: route for route in routes}
        for name, was in self.routes.items():
            if now.get(name) != was:
                self._failing.pop(name, None)
                self._rest.pop(name, None)
                if (sender := self._webhooks.pop(name, None)) is not None:
                    self._former.append(sender)
        self.routes = now
        self._retake = True
        self._wake.set()

    def tried(self, notice_id: int) -> asyncio.Future[None]:
        """Ends when the next attempt of this notice is recorded."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tried.setdefault(notice_id, []).append(waiter)
        return waiter

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="bide:notify")

    async def close(self, within_s: float = 5.0) -> None:
        """Send what is due, if it can be in time; the next start sends the rest."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)
        tasks = [*filter(None, [self._task]), *self._flying.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sender in (*self._webhooks.values(), *self._former):
            await sender.close()
        for waiter in [each for waiters in self._tried.values() for each in waiters]:
            waiter.cancel()
        self._pool.submit(self._forget)
        self._pool.shutdown(wait=False)

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()

    async def _run(self) -> None:
        while True:
            last = self._closing
            self._wake.clear()
            try:
                more = await self._route_some()
                next_us = await self._begin_due()
            except Exception as error:
                if not self._ill:
                    trace = None if isinstance(error, BideError) else error
                    log.warning("no notice is sent for now, it is tried again: %s", error, exc_info=trace)
                self._ill, more, next_us = True, False, self._clock.now() + round(AGAIN_S * SECOND)
            else:
                self._ill = False
            if more:
                continue
            if last and not self._flying:  # what was committed before the end was asked for has been tried
                return
            await self._sleep(None if last else next_us)

    async def _sleep(self, until: int | None) -> None:
        """Until something is committed, a message has ended, or the next one is due."""
        self._resting = True
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait(), name="bide:notify:wake")]
        if until is not None:
            waiting.append(asyncio.create_task(self._clock.sleep_until(until), name="bide:notify:due"))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._resting = False
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    # --- alerts to notices ---------------------------------------------------------------------

    async def _route_some(self) -> bool:
        """Give some alerts to the routes; whether there may be more."""
        if self._routed is None or self._retake:
            self._retake = False
            await self._take_up()
        assert self._routed is not None
        begun = self._routed
        alerts = await self._read(lambda conn: rows.alerts_after(conn, begun, AT_ONCE))
        if not alerts:
            return False
        now = self._clock.now()
        routes = self.routes
        live = [route for name, route in routes.items() if name not in self._off]
        pairs, asked = taken(alerts, live, now)
        upto = alerts[-1].alert_id
        moved = NoticesMoved()
        if pairs:
            last = await self._read(lambda conn: rows.last_of(conn, asked.keys))
            told = await self._read(
                lambda conn: {
                    name: rows.told_since(conn, name, now - routes[name].window_us) for name in asked.routes
                }
            )
            moved = folded(pairs, last, told, now)
        await self._commit(msgspec.structs.replace(moved, routed=upto))
        self._routed = upto
        return len(alerts) == AT_ONCE

    async def _take_up(self) -> None:
        """From where the last process left off; a route that leads elsewhere now is on again."""
        stored = await self._read(rows.routed)
        off = await self._read(rows.off)
        self._routed = self._begins if stored is None else stored
        elsewhere = [
            each.route
            for each in off
            if each.route not in self.routes or self.routes[each.route].target != each.target
        ]
        self._off = {each.route: each.reason for each in off if each.route not in elsewhere}
        if elsewhere or stored is None:
            await self._commit(NoticesMoved(on=tuple(elsewhere), routed=self._routed))
        for name, route in list(self.routes.items()):
            if name not in self._failing and (why := await self._in_thread(partial(unsendable, route))):
                log.warning("the route %s (%s) can tell nobody: %s", name, route.where, why)
                self._failing[name] = why

    # --- notices to receivers ------------------------------------------------------------------

    async def _begin_due(self) -> int | None:
        """Begin what is due, one a receiver; when the next one is."""
        nearest: list[int] = []
        for name in tuple(self.routes):
            if name not in self.routes:  # taken away meanwhile
                continue
            if name in self._off or name in self._flying or len(self._flying) >= FLYING:
                continue
            now = self._clock.now()
            rest = self._rest.get(name, 0)
            if rest <= now:
                self._rest.pop(name, None)
                while (due := await self._read(_due(name, now))) is not None:
                    if await self._begin(due, now):
                        break
                if name in self._flying:
                    continue
            at = await self._read(_next_due(name))
            if at is not None:
                nearest.append(max(at, rest))
        return min(nearest, default=None)

    async def _begin(self, due: rows.DueRead, now: int) -> bool:
        """Write that it is being sent, then send it; False: it is not sent at all."""
        number = due.notice_id
        if due.moot and due.state == PENDING:
            await self._commit(
                _set(number, MOOT, now, due.attempts, error="acknowledged before it was sent", ended=now)
            )
            return False
        if now - due.made_us > TOO_OLD_US and not due.attempts:
            error = "nobody sent it for days: it is no news any more"
            await self._commit(_set(number, FAILED, now, due.attempts, error=error, ended=now))
            return False
        if due.message is None:
            due = await self._with_untold(due, now)
            alerts = await self._read(lambda conn: rows.alerts_of(conn, number, SHOWN))
            message = message_of(f"bide_{token_hex(12)}", due, alerts, redactor)
        else:
            message = typed.decode(due.message, Message)
        attempts = due.attempts + 1
        stored = msgspec.json.encode(message).decode()
        await self._commit(_set(number, SENDING, now, attempts, message=stored))
        point("notice-claimed")
        due = msgspec.structs.replace(due, attempts=attempts)
        self._flying[due.route] = asyncio.create_task(
            self._deliver(self.routes[due.route], due, message), name=f"bide:notice:{number}"
        )
        return True

    async def _with_untold(self, due: rows.DueRead, now: int) -> rows.DueRead:
        """What is like it and was tried in vain is told with it: an outage leaves one of a kind, not one a window."""
        found = await self._read(lambda conn: rows.untold(conn, due.notice_id, IN_VAIN, SHOWN))
        if not found:
            return due
        count = due.count + sum(each.count for each in found)
        severity = max(due.severity, *(each.severity for each in found), key=RANK.__getitem__)
        title = retold(due.title, count, found[0].key)
        with_it = f"told with notice {due.notice_id}"
        await self._commit(
            NoticesMoved(
                joined=((count, severity, title, now, due.notice_id),),
                alerts=tuple((due.notice_id, alert) for each in found for alert in each.alerts),
                set=tuple(
                    (MOOT, now, each.attempts, None, None, with_it, now, each.notice_id) for each in found
                ),
            )
        )
        return msgspec.structs.replace(due, count=count, severity=severity, title=title)

    async def _deliver(self, route: Route, due: rows.DueRead, message: Message) -> None:
        try:
            outcome = await self._send(route, due, message)
            point("notice-sent")
            await self._ended(route, due, outcome)
        except BideError as error:  # the engine is gone: the next start sends it again
            log.warning("what became of notice %d could not be written down: %s", due.notice_id, error)
        finally:
            del self._flying[due.route]
            for waiter in self._tried.pop(due.notice_id, []):
                if not waiter.done():
                    waiter.set_result(None)
            self._wake.set()

    async def _send(self, route: Route, due: rows.DueRead, message: Message) -> Outcome:
        try:
            if isinstance(route.to, Webhook):
                sender = await self._webhook(route.name, route.to)
                return await sender.send(message.id, body_of(due, message))
            return await self._people.send(route.to, message, due.severity)
        except ModuleNotFoundError as error:
            return Outcome(error=f"{error.name} is missing: pip install 'bide[notify]'")
        except Exception as error:
            log.exception("the notice %d over %s could not be sent", due.notice_id, route.name)
            return Outcome(error=redactor(f"{type(error).__name__}: {error}")[:500], down=True)

    async def _webhook(self, name: str, to: Webhook) -> WebhookSender:
        """The client of a route. Its modules are imported in a thread: they take longer than a host's loop may wait."""
        if name not in self._webhooks:
            await self._in_thread(lambda: import_module("standardwebhooks.webhooks"))
            room = await self._in_thread(lambda: import_module("bide.runtime.notify.webhook"))
            self._webhooks[name] = room.WebhookSender(to, self._clock, self._in_thread)
        return self._webhooks[name]

    async def _ended(self, route: Route, due: rows.DueRead, outcome: Outcome) -> None:
        """Write down what came of an attempt, and when the next one is."""
        now, number, name = self._clock.now(), due.notice_id, route.name
        if not outcome.error:
            if name in self._failing:
                log.info("the route %s takes notices again", name)
                del self._failing[name]
            await self._commit(_set(number, SENT, now, due.attempts, status=outcome.status, ended=now))
            return
        if name not in self._failing:
            log.warning("the route %s (%s) took no notice: %s", name, route.where, outcome.error)
        self._failing[name] = outcome.error
        if outcome.gone:
            self._off[name] = outcome.error
            moved = _set(
                number, GONE, now, due.attempts, status=outcome.status, error=outcome.error, ended=now
            )
            await self._commit(msgspec.structs.replace(moved, off=((name, route.target, outcome.error),)))
            return
        at = next_try(outcome, due.attempts, due.made_us, now, random())
        if at is None:
            log.error("notice %d (%s) was not delivered over %s: %s", number, due.title, name, outcome.error)
            moved = _set(
                number, FAILED, now, due.attempts, status=outcome.status, error=outcome.error, ended=now
            )
        else:
            self._rest[name] = rest_until(outcome, at, now)
            moved = _set(number, PENDING, at, due.attempts, status=outcome.status, error=outcome.error)
        await self._commit(moved)

    # --- the database --------------------------------------------------------------------------

    async def _commit(self, moved: NoticesMoved) -> None:
        token, reply = self._commits.expect_reply()
        self._commits.post(msgspec.structs.replace(moved, token=token))
        await reply

    async def _read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """One question at a time, on a connection of its own."""

        def ask() -> T:
            if self._reader is None:
                self._reader = Reader(self._db)
            return self._reader.read(fn)

        return await self._in_thread(ask)

    def _in_thread(self, fn: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, fn)


def _due(route: str, now: int) -> Callable[[sqlite3.Connection], rows.DueRead | None]:
    return lambda conn: rows.due(conn, route, now)


def _next_due(route: str) -> Callable[[sqlite3.Connection], int | None]:
    return lambda conn: rows.next_due(conn, route)


def _set(
    number: int, state: str, next_us: int, attempts: int, *, message: str | None = None, status: int | None = None,
    error: str = "", ended: int | None = None,
) -> NoticesMoved:  # fmt: skip
    return NoticesMoved(set=((state, next_us, attempts, message, status, error, ended, number),))
