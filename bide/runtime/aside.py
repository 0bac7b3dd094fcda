"""Threads that somebody owns: what blocks is done in them, and they end with their owner, in whatever loop it lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, TypeVar

T = TypeVar("T")
_END_S: Final = 2.0


class Aside:
    """At most `width` threads, made when there is something to do."""

    def __init__(self, width: int, name: str) -> None:
        self._threads: list[threading.Thread] = []
        self._pool = ThreadPoolExecutor(width, name, lambda: self._threads.append(threading.current_thread()))

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """The result of `fn(*args)`. Who is cancelled does not wait for it; it goes on to its end."""
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: run(fn, *args))

    def end(self) -> None:
        """Take nothing more. Threads end with what they do, idle ones at once."""
        self._pool.shutdown(wait=False)

    async def ended(self) -> None:
        """Return when no thread is left, or after two seconds: one that hangs is not waited for."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _END_S
        while any(thread.is_alive() for thread in self._threads) and loop.time() < deadline:
            await asyncio.sleep(0.001)


async def aside(fn: Callable[..., T], *args: Any) -> T:
    """The result of `fn(*args)`, in a thread that ends with it. Who is cancelled waits for its end all the same."""
    one = Aside(1, "bide")
    work = asyncio.ensure_future(one.call(fn, *args))
    try:
        return await asyncio.shield(work)
    finally:
        one.end()
        if not work.done():
            await asyncio.wait((work,))
        await one.ended()
