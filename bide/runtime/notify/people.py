"""Sends to people through apprise, which is synchronous: in a thread of its own for each, at most two at once.

A thread that hangs keeps its place until it returns, and holds up nobody but others of its kind; apprise and
its modules are imported in it, at first need.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final
from urllib.parse import urlsplit

from bide.runtime.errors import BideError
from bide.runtime.notify.message import Message
from bide.runtime.notify.retrying import Outcome
from bide.runtime.notify.routes import revealed
from bide.runtime.values import Secret, redactor
from bide.triggers.http_policy import HttpPolicy, literal_address, why_refused

AT_ONCE: Final = 2
LIMIT_S: Final = 60.0
_TYPES: Final = {
    "info": "info",
    "warning": "warning",
    "minor": "warning",
    "major": "failure",
    "critical": "failure",
}


class PeopleSender:
    """Threads for apprise, shared by the routes of one runtime."""

    def __init__(self, policy: HttpPolicy) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._policy = policy

    async def send(self, to: str | Secret, message: Message, severity: str) -> Outcome:
        """Never raises but when it is cancelled. A thread that is left behind gives its place back when it ends."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._places.acquire()
        except TimeoutError:
            return Outcome(error=f"{AT_ONCE} messages through apprise are still under way", down=True)
        done: asyncio.Future[Outcome] = loop.create_future()

        def ended(outcome: Outcome) -> None:
            self._places.release()
            if not done.done():
                done.set_result(outcome)

        def work() -> None:
            outcome = _sent(to, message, severity, self._policy)
            try:
                loop.call_soon_threadsafe(ended, outcome)
            except RuntimeError:
                pass  # the loop is gone, and nobody asks any more

        threading.Thread(target=work, name="bide-notify", daemon=True).start()
        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.shield(done)
        except TimeoutError:
            return Outcome(error=f"apprise has not come back within {LIMIT_S:g} s", down=True)


def _sent(to: str | Secret, message: Message, severity: str, policy: HttpPolicy) -> Outcome:
    """In its thread: one attempt."""
    try:
        url = to.resolve() if isinstance(to, Secret) else revealed(to)
        import apprise
    except BideError as error:
        return Outcome(error=redactor(str(error)))
    except ImportError:
        return Outcome(error="apprise is missing: pip install 'bide[notify]'")
    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        made = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if made is None:
            return Outcome(error=f"apprise knows no such URL{heard.words(url)}")
        if refused := _refused(url, made, policy):
            return Outcome(error=refused)
        made.redirects = False  # whatever the URL says: who answers so would choose who else is reached
        arrived = made.notify(
            body=message.text,
            title=message.title,
            notify_type=_TYPES.get(severity, "warning"),
            body_format="text",
        )
    except Exception as error:  # noqa: BLE001 - a plugin of apprise may raise anything: it is an attempt that failed
        return Outcome(error=_masked(f"{type(error).__name__}: {error}", url), down=True)
    finally:
        logger.removeHandler(heard)
    return Outcome() if arrived else Outcome(error=f"apprise could not deliver{heard.words(url)}", down=True)


def _refused(url: str, made: Any, policy: HttpPolicy) -> str:
    """Why a receiver that the URL itself names may not be reached; apprise resolves the name once more by itself."""
    import socket

    host = getattr(made, "host", None)
    if not isinstance(host, str) or not host:
        return ""
    literal = literal_address(host.strip("[]"))
    try:
        addresses = (
            [str(literal)]
            if literal
            else [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        )
    except (OSError, UnicodeError):
        return ""  # a word in the place of a host, as in slack://token: apprise knows what it means
    port = getattr(made, "port", None)
    address = f"http://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}/"
    why = why_refused(address, policy, addresses)
    return "" if why is None else f"{urlsplit(url).scheme}://{host} is refused: {why}"


class _Heard(logging.Handler):
    """What apprise logs in this thread meanwhile: its only words on why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self._lines) < 5:
            self._lines.append(record.getMessage())

    def words(self, url: str) -> str:
        return f": {_masked('; '.join(self._lines), url)}" if self._lines else ""


def _masked(text: str, url: str) -> str:
    return redactor(text.replace(url, "***"))[:500]
