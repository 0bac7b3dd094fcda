"""Carries out the engine's orders on attempts: start, stop, answer, acknowledge, close.

Every attempt is one asyncio task named `bide:attempt:<id>`, kept by this executor, whatever its
lane; each ends by posting one `AttemptEnded`, but for those that the runtime's own end stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bide.runtime.clock import SECOND, Clock
from bide.runtime.engine.messages import (
    Acknowledge,
    Answer,
    AssetAnswered,
    AttemptEnded,
    CodeMissing,
    Failure,
    Input,
    Start,
    Stop,
)
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import BideError, FailTask, SkipTask
from bide.runtime.executor.attempt import Attempt, Fenced
from bide.runtime.executor.context import Context, _current
from bide.runtime.executor.ending import ProcessFailed, Told, failure_of, one_line, user_traceback
from bide.runtime.executor.gates import Gates, GatesOf, no_gates
from bide.runtime.executor.job import CodeNotLoaded, Job, Resolve
from bide.runtime.executor.lanes.coroutine import run_coroutine
from bide.runtime.executor.lanes.threads import Threads, run_in_thread
from bide.runtime.executor.logs import LogBook
from bide.runtime.executor.watchdog import Blocked, Watchdog, doing
from bide.runtime.graph.branching import names_of
from bide.runtime.graph.spec import Lane
from bide.runtime.values import encode, redactor

GRACE_US: Final = 5 * SECOND
HURRY_S: Final = 0.5
"""What is left of it for bodies that nobody will wait for."""
_PRESSES: Final = 5
_FLUSH_EVERY_S: Final = 0.5
_numbers = msgspec.json.Encoder()


class Executor:
    """Runs the attempts that the engine admits. It bounds nothing itself: slots are the engine's.

    `post` takes inputs for the mailbox and is called in the loop's thread only. `fence` answers
    whether an attempt is still the current one; it may be called from a thread. `threads` is the
    most plain functions that run at once (the slots of the runtime). `on_blocked` is told, in the
    watchdog's thread, when a callback holds the loop. `gates` are those of an asset that are loaded. The triggerer tells `watchdog` when it calls
    code of others (`touch`).
    """

    def __init__(
        self,
        clock: Clock,
        post: Callable[[Input], None],
        *,
        logs: LogBook,
        epoch: int,
        fence: Callable[[int], bool],
        resolve: Resolve,
        threads: int = 32,
        grace_us: int = GRACE_US,
        on_blocked: Callable[[Blocked], None] | None = None,
        gates: GatesOf = no_gates,
    ) -> None:
        self._clock = clock
        self._post = post
        self._logs = logs
        self._epoch = epoch
        self._fence = fence
        self._resolve = resolve
        self._grace_us = grace_us
        self._loop = asyncio.get_running_loop()
        self._live: dict[int, Attempt] = {}
        self._pressing: set[asyncio.Task[None]] = set()
        self._threads = Threads(threads)
        self._gates = Gates(gates, self._threads, clock)
        self._flush_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._on_blocked = on_blocked
        self.enter_trace: Callable[[Start], str] | None = None
        """Called in the task of each attempt before its body begins: its `traceparent`."""
        self._told_of_rests = self._whole_rests  # one for all attempts
        self.watchdog = Watchdog(self._blocked, loop=self._loop)
        logs.on_dirty = self._dirty

    # --- orders

    def start(self, order: Start) -> None:
        """Start the body of an attempt. Never raises; what goes wrong ends the attempt."""
        if self._closing:
            return
        attempt = Attempt(order, self._epoch, self._loop, self._post, self._logs, self._fence)
        attempt.gates = self._gates
        self._live[order.attempt_id] = attempt
        name = f"bide:attempt:{order.attempt_id}"
        attempt.task = self._loop.create_task(self._run(attempt, name), name=name)

    def stop(self, order: Stop) -> None:
        """End an attempt as CANCELLED or TIMED_OUT. Nothing happens when it has already ended."""
        attempt = self._live.get(order.attempt_id)
        if attempt is None or attempt.stop is not None:
            return
        attempt.stop = order
        attempt.stopping = True
        attempt.log(f"stopping: {order.reason}", "WARNING")
        self._interrupt(attempt)
        self._press(attempt)

    def answer(self, order: Answer) -> None:
        """Hand the end of a wait to the body that awaits it."""
        if (attempt := self._live.get(order.attempt_id)) is not None:
            attempt.answer(order)

    def asset_answered(self, order: AssetAnswered) -> None:
        """Hand a body the answer to what it said of an asset."""
        if (attempt := self._live.get(order.attempt_id)) is not None:
            attempt.asset_answered(order)

    def acknowledge(self, order: Acknowledge) -> None:
        """A step is committed; with the name "", the attempt's process is recorded."""
        attempt = self._live.get(order.attempt_id)
        if attempt is None:
            return
        waiter = attempt.recorded if not order.name else (attempt.steps or {}).get(order.name)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def close(self, grace_us: int = GRACE_US) -> list[int]:
        """Stop every attempt and leave nothing behind, within about `grace_us`.

        Nothing is posted for attempts stopped here: the next epoch finds them lost and goes by
        their policy. Returns the ids of attempts that did not end in time: only a thread can stay behind.
        """
        self._closing = True
        for attempt in list(self._live.values()):
            attempt.closing = attempt.stopping = True
            attempt.log("stopping: shutdown", "WARNING")
            self._interrupt(attempt)
        for task in self._pressing:
            task.cancel()
        left = await self._ended(grace_us)
        for attempt in left:
            if attempt.task is not None:
                attempt.task.cancel()
        if left:
            await self._ended(min(SECOND, grace_us))
        self.watchdog.close()
        self._threads.dismiss()
        self._threads.join(0.001 if left else 0.5)
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._logs.on_dirty = None
        self._logs.flush()
        return [attempt.id for attempt in left]

    # --- views

    @property
    def running(self) -> int:
        """Attempts that have started and not ended, parked ones included."""
        return len(self._live)

    @property
    def ids(self) -> frozenset[int]:
        """The attempts of `running`, by id."""
        return frozenset(self._live)

    @property
    def awaited(self) -> dict[int, tuple[str, ...]]:
        """The keys of the waits that bodies have had no answer to, by attempt."""
        return {attempt_id: tuple(each.waits) for attempt_id, each in self._live.items() if each.waits}

    def progress(self, attempt_id: int) -> tuple[float, float | None] | None:
        """(done, total) as the body last said, None when it said nothing."""
        attempt = self._live.get(attempt_id)
        return attempt.progress if attempt is not None else None

    def stuck(self) -> list[int]:
        """Attempts that were told to stop and have not, long after."""
        return [attempt.id for attempt in self._live.values() if attempt.stuck]

    # --- the life of one attempt

    async def _run(self, attempt: Attempt, name: str) -> None:
        order = attempt.order
        doing.set(name)
        ended: AttemptEnded | CodeMissing | None
        try:
            ended = await self._body(attempt)
        except Fenced:
            ended = None
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the one place that records how a body ended
            ended = self._failed(attempt, error)
        attempt.end()
        self._live.pop(order.attempt_id, None)
        self._logs.flush(order.attempt_id)
        if ended is not None and not attempt.closing:
            self._post(ended)

    async def _body(self, attempt: Attempt) -> AttemptEnded | CodeMissing:
        order = attempt.order
        context = Context(attempt)
        _current.set(context)
        if attempt.stopping:
            raise asyncio.CancelledError
        attempt.begun = True
        if self.enter_trace is not None:
            attempt.traceparent = self.enter_trace(order)
        if order.task.lane is Lane.SHELL:  # its command may be made by a function of the author's
            self.watchdog.touch()
        try:
            job = self._resolve(order, context)
            if not isinstance(job, Job):
                job = await job
        except CodeNotLoaded as error:
            return CodeMissing(order.instance_id, one_line(error))
        except BideError as error:
            attempt.log(one_line(error), "ERROR")
            return AttemptEnded(order.attempt_id, AttemptState.FAILED, failure=failure_of(error, final=True))
        attempt.job = job
        if attempt.stopping:
            raise asyncio.CancelledError
        if not self._fence(order.attempt_id):
            raise Fenced
        output: Any
        match order.task.lane:
            case Lane.ASYNC:
                attempt.whole_rests = self._told_of_rests
                self.watchdog.enter()
                try:
                    output = await run_coroutine(job)
                finally:
                    self.watchdog.leave()
            case Lane.SHELL:
                from bide.runtime.executor.lanes.shell import run_shell

                output = await run_shell(attempt, job)
            case Lane.PROCESS:
                from bide.runtime.executor.lanes.process import run_process

                output = await run_process(attempt, job)
            case _:
                output = await run_in_thread(self._threads, attempt, job)
        if attempt.stop is not None:
            raise asyncio.CancelledError
        if order.task.branch and order.task.lane is not Lane.PROCESS:
            output = names_of(output)
        if output is not None and order.task.lane is not Lane.PROCESS:  # that one comes as JSON
            output = encode(output)
        checks = None
        if order.task.outlets and order.map_index < 0:
            checks = await self._gates.after(attempt)
            if attempt.stop is not None:
                raise asyncio.CancelledError
        return AttemptEnded(
            order.attempt_id,
            AttemptState.SUCCESS,
            output=output,
            watermark=attempt.watermark,
            metrics=_metrics(attempt),
            checks=checks,
        )

    def _failed(self, attempt: Attempt, error: BaseException) -> AttemptEnded | None:
        stop = attempt.stop
        cancelled = isinstance(error, asyncio.CancelledError)
        if not cancelled and not isinstance(error, SkipTask | FailTask | Told | ProcessFailed):
            attempt.log(user_traceback(error), "ERROR")
        if attempt.closing:
            return None
        metrics = _metrics(attempt)
        if stop is not None:
            as_told = cancelled or isinstance(error, Told | ProcessFailed)
            reason = stop.reason if as_told else f"{stop.reason} (while stopping: {one_line(error)})"
            return AttemptEnded(attempt.id, stop.state, failure=Failure(reason), metrics=metrics)
        if isinstance(error, SkipTask) or (isinstance(error, Told) and error.skipped):
            failure = _failure(error)
            attempt.log(f"skipped: {failure.message}")
            return AttemptEnded(
                attempt.id, AttemptState.SKIPPED, failure=failure, metrics=metrics, cuts=error.downstream
            )
        if cancelled:
            failure = Failure(
                "the body was cancelled from within: a CancelledError left it, and nobody had asked to stop it",
                failure_of(error).mro,
            )
        else:
            failure = _failure(error)
        attempt.log(f"failed: {failure.message}", "ERROR")
        return AttemptEnded(attempt.id, AttemptState.FAILED, failure=failure, metrics=metrics)

    def _whole_rests(self, rests: bool) -> None:
        """A body of one task that waits for the world runs no code: nothing to watch."""
        if rests:
            self.watchdog.leave()
        else:
            self.watchdog.enter()

    # --- stopping

    def _interrupt(self, attempt: Attempt) -> None:
        """Tell the lane. A task that has not had its first step sees `stopping` there instead."""
        if attempt.interrupt is not None:
            attempt.interrupt()
        elif attempt.begun and attempt.task is not None:
            attempt.task.cancel()

    def _press(self, attempt: Attempt) -> None:
        task = self._loop.create_task(self._keep_pressing(attempt), name=f"bide:stop:{attempt.id}")
        self._pressing.add(task)
        task.add_done_callback(self._pressing.discard)

    async def _keep_pressing(self, attempt: Attempt) -> None:
        """Interrupt again a body that swallowed it, a few times; then say that it is stuck."""
        for _ in range(_PRESSES):
            await self._clock.sleep_until(self._clock.now() + self._grace_us)
            if attempt.over:
                return
            self._interrupt(attempt)
        attempt.stuck = True
        attempt.log("does not stop: its slot is kept until it ends", "ERROR")

    async def _ended(self, within_us: int) -> list[Attempt]:
        """Wait for live attempts to end; those that have not, after `within_us` of the loop's own time.

        Not of the clock: a simulated one stands still when a runtime is closed.
        """
        tasks = {a.task: a for a in self._live.values() if a.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=within_us / SECOND)
        return [attempt for task, attempt in tasks.items() if not task.done()]

    # --- logs

    def _blocked(self, blocked: Blocked) -> None:
        """In the watchdog's thread: the log of the attempt at fault says so."""
        if (attempt_id := blocked.attempt_id) is not None:
            text = (
                f"holds the loop for {blocked.for_s:.2f} s and more, nothing else can run:\n{blocked.stack}"
            )
            self._logs.write(attempt_id, text, "WARNING")
        if self._on_blocked is not None:
            self._on_blocked(blocked)

    def _dirty(self) -> None:
        """The log book has something to write out soon. Called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._flush_soon)
        except RuntimeError:  # the loop is gone: `close` has flushed, late lines wait to be read
            pass

    def _flush_soon(self) -> None:
        if self._flush_timer is None and not self._closing:
            self._flush_timer = self._loop.call_later(_FLUSH_EVERY_S, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        self._logs.flush()


def _failure(error: BaseException) -> Failure:
    if not isinstance(error, Told):
        return failure_of(error)
    return msgspec.structs.replace(error.failure, message=redactor(error.failure.message))


def _metrics(attempt: Attempt) -> bytes | None:
    return _numbers.encode(attempt.metrics) if attempt.metrics else None
