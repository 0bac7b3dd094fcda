"""The sources' own threads: few, daemonic, and written off when a call hangs.

A thread that hangs (a dead mount, a predicate that never returns) cannot be killed. It is left
behind after its time limit and another takes its place, up to a hard bound of lost ones.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from bide.runtime.clock import SECOND
from bide.triggers.base import LookFailed

LOST_LIMIT: Final = 64


class _Call:
    __slots__ = ("args", "done", "fn", "loop", "lost", "started")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.fn = fn
        self.args = args
        self.loop = loop
        self.done: asyncio.Future[Any] = loop.create_future()
        self.started = False
        self.lost = False


class Threads:
    """Runs blocking functions for one event loop. At most `limit` healthy threads at once."""

    def __init__(self, limit: int, name: str = "bide-look") -> None:
        self._limit = limit
        self._name = name
        self._calls: deque[_Call | None] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        self._healthy = 0
        self._made = 0
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.lost = 0
        """Calls that passed their limit and have not returned yet."""
        self.awaited = 0
        """Calls whose results are waited for now."""

    async def call(self, fn: Callable[..., Any], *args: Any, limit_us: int) -> Any:
        """The result of `fn(*args)` in a thread; `LookFailed` after `limit_us` from its start.

        When the caller is cancelled the thread goes on, and is written off until it returns.
        """
        if self.lost >= LOST_LIMIT:
            raise LookFailed(
                f"{self.lost} blocking looks hang and {LOST_LIMIT} are bearable: "
                "find the dead mount or the predicate that does not return"
            )
        loop = asyncio.get_running_loop()
        call = _Call(fn, args, loop)
        with self._ready:
            if self._closed:
                raise LookFailed("the triggerer is closed")
            self._calls.append(call)
            if self._idle < len(self._calls) and self._healthy < self._limit:
                self._grow()
            self._ready.notify()
        self.awaited += 1
        try:
            return await self._outcome(call, limit_us)
        finally:
            self.awaited -= 1

    async def _outcome(self, call: _Call, limit_us: int) -> Any:
        try:
            while True:
                done, _ = await asyncio.wait((call.done,), timeout=limit_us / SECOND)
                if done:
                    return call.done.result()
                if call.started:
                    raise LookFailed(f"cut: it took longer than {limit_us / SECOND:g} s")
        finally:
            self._settle(call)

    def _settle(self, call: _Call) -> None:
        """Nobody waits for the call any more: forget it, or write its thread off."""
        with self._ready:
            if call.done.done():
                return
            call.done.cancel()
            if not call.started:
                if call in self._calls:
                    self._calls.remove(call)
                return
            call.lost = True
            self.lost += 1
            self._healthy -= 1
            if self._calls and not self._closed:
                self._grow()

    def _grow(self) -> None:
        self._made += 1
        self._healthy += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True)
        self._threads = [known for known in self._threads if known.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._idle += 1
                while not self._calls:
                    self._ready.wait()
                self._idle -= 1
                call = self._calls.popleft()
                if call is None:
                    self._healthy -= 1
                    return
                call.started = True
            result, error = None, None
            try:
                result = call.fn(*call.args)
            except BaseException as raised:  # noqa: BLE001 - handed to the caller as it is
                error = raised
            with self._ready:
                if call.lost:
                    self.lost -= 1
                    if self._healthy >= self._limit or self._closed:
                        return
                    self._healthy += 1
                    continue
            self._report(call, result, error)

    @staticmethod
    def _report(call: _Call, result: Any, error: BaseException | None) -> None:
        def settle() -> None:
            if call.done.done():
                return
            if error is None:
                call.done.set_result(result)
            elif isinstance(error, Exception) and not isinstance(error, StopIteration):
                call.done.set_exception(error)
            else:
                call.done.set_exception(LookFailed(f"it ended with {type(error).__name__}: {error}"))

        try:
            call.loop.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    async def close(self, limit_s: float = 2.0) -> None:
        """Let the healthy threads end and join them; those that hang are left to die with us."""
        with self._ready:
            self._closed = True
            self._calls.extend([None] * max(self._healthy, 0))
            self._ready.notify_all()
            threads = list(self._threads)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while any(thread.is_alive() for thread in threads) and loop.time() < deadline:
            if self.lost and sum(thread.is_alive() for thread in threads) <= self.lost:
                break
            await asyncio.sleep(0.002)
