"""Prints the log of an attempt, and goes on printing while it grows."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from bide.runtime.cli.output import note, write
from bide.runtime.service.doors import Doors
from bide.runtime.service.shapes import LogPart

_LOOK_EVERY_S: Final = 0.3


async def print_log(ops: Doors, run: str, task: str, attempt: int | None, follow: bool) -> None:
    """All of it, in pieces; with `follow` until the attempt has ended."""
    offset, printed = 0, False
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
        await asyncio.sleep(_LOOK_EVERY_S)
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
