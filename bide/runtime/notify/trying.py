"""One message over one route, from this process: what `bide notify test` does where no service runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

from bide.runtime.clock import Clock
from bide.runtime.engine.noticing import PENDING, TEST, test_words
from bide.runtime.notify.message import Message, body_of
from bide.runtime.notify.people import PeopleSender
from bide.runtime.notify.retrying import Outcome
from bide.runtime.notify.routes import Route, Webhook
from bide.runtime.notify.webhook import WebhookSender
from bide.runtime.store.notice_rows import DueRead
from bide.triggers.http_policy import HttpPolicy


async def try_once(route: Route, clock: Clock) -> Outcome:
    """What came of one test message. Nothing is written down."""
    title = test_words(route.name)
    message = Message(f"bide_{token_hex(12)}", title, title)
    if not isinstance(route.to, Webhook):
        return await PeopleSender(HttpPolicy.of(os.environ)).send(route.to, message, "info")
    notice = DueRead(0, route.name, TEST, "info", PENDING, 1, title, clock.now(), 0, None, 0)
    with ThreadPoolExecutor(1, thread_name_prefix="bide-notify") as pool:

        def in_thread(work: Callable[[], Any]) -> asyncio.Future[Any]:
            return asyncio.get_running_loop().run_in_executor(pool, work)

        sender = WebhookSender(route.to, clock, in_thread)
        try:
            return await sender.send(message.id, body_of(notice, message))
        finally:
            await sender.close()
