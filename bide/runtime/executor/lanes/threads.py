"""The thread lane: threads of the runtime's own, grown when needed, joined at the end."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

from bide.runtime.executor.attempt import Attempt, Fenced
from bide.runtime.executor.job import Job

Work = Callable[[], None]


class Threads:
    """Runs plain functions. `limit` bounds how many run at once; more of them wait their turn.

    They are daemon threads: a body that never returns must not keep the interpreter alive.
    """

    def __init__(self, limit: int, name: str = "bide-task") -> None:
        self.limit = limit
        self._name = name
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, work: Work) -> None:
        """Have `work` called in a thread, soon. It must not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self.limit:
                thread = threading.Thread(
                    target=self._serve, name=f"{self._name}-{len(self._threads) + 1}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        self._queue.put(work)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            del work
            with self._lock:
                self._idle += 1

    def dismiss(self) -> None:
        """Let every thread end after the work it has."""
        for _ in self._threads:
            self._queue.put(None)

    def join(self, patience_s: float = 0.5) -> int:
        """Wait for the threads to end; a body that does not return is waited for once, so long.

        How many still run. Called after `dismiss`, when idle threads are about to end.
        """
        for thread in self._threads:
            thread.join(patience_s)
            if thread.is_alive():
                patience_s = 0.001
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return len(self._threads)


class _Result:
    """What a thread hands over: exactly one of the two."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


async def run_in_thread(threads: Threads, attempt: Attempt, job: Job) -> Any:
    """The output of a plain function. The attempt ends when the function returns, never before.

    Stopping sets `ctx.stopping`. The fence is asked again in the thread, right before the body.
    """
    assert job.fn is not None
    fn, loop = job.fn, attempt.loop
    returned: asyncio.Future[_Result] = loop.create_future()
    copied = contextvars.copy_context()

    def work() -> None:
        try:
            if not attempt.may_begin():
                raise Fenced
            result = _Result(copied.run(fn, *job.args, **job.kwargs))
        except BaseException as error:  # noqa: BLE001 - carried over to the attempt, which records it
            result = _Result(error=error)
        try:
            loop.call_soon_threadsafe(_hand_over, returned, result)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            pass

    attempt.interrupt = attempt.abandon_steps
    threads.run(work)
    result = await returned
    if result.error is not None:
        raise result.error
    return result.value


def _hand_over(returned: asyncio.Future[_Result], result: _Result) -> None:
    if not returned.done():
        returned.set_result(result)
