"""Prints the log of an attempt, and goes on printing while it grows.

A log that grows is looked at, as any file is; for an attempt to begin one waits for the run to move.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from bide.runtime.cli.asking import ASLEEP, place, service_at
from bide.runtime.cli.output import note, write
from bide.runtime.clock import SystemClock
from bide.runtime.errors import BideError
from bide.runtime.service.doors import Doors
from bide.runtime.service.places import database
from bide.runtime.service.shapes import LogPart

if TYPE_CHECKING:
    from bide.runtime.cli.asking import Where

_LOOK_EVERY_S: Final = 0.3
_ANYWAY_S: Final = 5.0


class Moves:
    """Waits until something of a run moves; hears of it in a thread of its own, from the first wait on."""

    def __init__(self, db: Where | None, run: str) -> None:
        self._db, self._run = db, run
        self._moved: asyncio.Event | None = None

    async def wait(self) -> None:
        """Returns when it has, or after a few seconds: it may have before the thread began to listen."""
        if self._moved is None:
            self._moved = asyncio.Event()
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._hear, args=(loop, self._moved), daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANYWAY_S):
                await self._moved.wait()
        self._moved.clear()

    def _hear(self, loop: asyncio.AbstractEventLoop, moved: asyncio.Event) -> None:
        from bide.runtime.service.following import Following

        config = place(self._db)
        following = Following(
            database(config), SystemClock(), run=self._run, kind="task,attempt", elsewhere=service_at(config)
        )
        with contextlib.suppress(
            BideError, RuntimeError
        ):  # the question says what is wrong; the loop may be over
            for _ in following:
                loop.call_soon_threadsafe(moved.set)


async def print_log(
    ops: Doors,
    run: str,
    task: str,
    attempt: int | None,
    follow: bool,
    begun: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """All of it, in pieces; with `follow` until the attempt has ended. `begun()` waits for one to begin."""
    offset, printed, asleep, said = 0, False, not ops.held, False
    while True:
        part = await ops.logs(run, task, attempt, offset)
        grew = part.next_offset > offset
        if part.text:
            write(shown(part.text), end="")
            sys.stdout.flush()
            printed = True
        offset = part.next_offset
        if attempt is None and part.attempt:
            attempt = part.attempt
        if grew:
            continue
        if part.over or not follow:
            break
        if asleep:
            note(ASLEEP)
            asleep = False
        if not part.attempt and not said:
            note(
                f"{task} of run {run} has not started yet, and is waited for: `bide why {run}/{task}` says why"
            )
            said = True
        await (begun() if begun is not None and not part.attempt else asyncio.sleep(_LOOK_EVERY_S))
    if not printed:
        note(
            f"{task} of run {run} has written nothing" + ("" if part.attempt else ": it has not started yet")
        )


async def whole_log(ops: Doors, run: str, task: str, attempt: int | None, follow: bool) -> LogPart:
    """All that there is of it as one piece; with `follow` once the attempt has ended."""
    texts: list[str] = []
    offset = 0
    while True:
        part = await ops.logs(run, task, attempt, offset)
        texts.append(part.text)
        grew, offset = part.next_offset > offset, part.next_offset
        if attempt is None and part.attempt:
            attempt = part.attempt
        if not grew and (part.over or not follow):
            return LogPart(attempt=part.attempt, text="".join(texts), next_offset=offset, over=part.over)
        if not grew:
            await asyncio.sleep(_LOOK_EVERY_S)


def shown(text: str) -> str:
    """What a task wrote as it is, but for a terminal without what would drive it."""
    if not sys.stdout.isatty():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
