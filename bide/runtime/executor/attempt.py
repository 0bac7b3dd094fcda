"""One live attempt, as its lane, its context and the executor share it. Owned by the loop's thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.engine.messages import Answer, AssetAnswered, Input, Parked, Start, StepDone, Stop
from bide.runtime.errors import BideError, RefusedError

if TYPE_CHECKING:
    from bide.runtime.assets.judged import Decision
    from bide.runtime.assets.staged import Candidate
    from bide.runtime.executor.gates import Gates
    from bide.runtime.executor.job import Job
    from bide.runtime.executor.logs import LogBook


class AttemptOver(BideError):  # noqa: N818 - a finding about the caller, raised into code that outlived its body
    """The context of an attempt that has ended was used for something durable."""


class Fenced(Exception):  # noqa: N818 - a finding: the engine has moved on, the body must not begin
    """The attempt is no longer the current one of its instance."""


class OpenWait:
    """A wait that the body asked for and the engine has not answered."""

    __slots__ = ("answer", "task")

    def __init__(self, answer: asyncio.Future[Answer], task: asyncio.Task[Any] | None) -> None:
        self.answer = answer
        self.task = task


class Making:
    """What a body has said of the assets it makes: where they are staged, whose gates were run, open calls.

    `decided` are the decisions that are final for what is staged now: it is in quarantine, or published.
    """

    __slots__ = ("begun", "calls", "count", "decided", "staged", "validated")

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.staged: dict[str, Candidate] = {}
        self.validated: set[str] = set()
        self.decided: dict[str, Decision] = {}
        self.calls: dict[int, asyncio.Future[AssetAnswered]] = {}
        self.count = 0

    def open_call(self, loop: asyncio.AbstractEventLoop) -> tuple[int, asyncio.Future[AssetAnswered]]:
        self.count += 1
        answered = self.calls[self.count] = loop.create_future()
        return self.count, answered


class Attempt:
    """What is known of an attempt between its `Start` and its end.

    `stop` is the order to end it; `closing` says that the runtime shuts down. Either sets
    `stopping`, which the body may read from any thread. `interrupt` is how its lane is told;
    `whole_rests` is told when the body's own task begins (True) and ends (False) a wait.
    """

    __slots__ = (
        "_answers",
        "_awake",
        "_making",
        "begun",
        "closing",
        "epoch",
        "fence",
        "gates",
        "interrupt",
        "job",
        "logs",
        "loop",
        "metrics",
        "order",
        "over",
        "post",
        "progress",
        "recorded",
        "started",
        "steps",
        "stop",
        "stopping",
        "stuck",
        "task",
        "traceparent",
        "unprinted",
        "wait_count",
        "waits",
        "watermark",
        "whole_rests",
    )

    def __init__(
        self,
        order: Start,
        epoch: int,
        loop: asyncio.AbstractEventLoop,
        post: Callable[[Input], None],
        logs: LogBook,
        fence: Callable[[int], bool],
    ) -> None:
        self.order = order
        self.epoch = epoch
        self.loop = loop
        self.post = post
        self.logs = logs
        self.fence = fence
        self.job: Job | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.over = False
        self.stop: Stop | None = None
        self.closing = False
        self.stopping = False
        self.stuck = False
        self.interrupt: Callable[[], None] | None = None
        self.recorded: asyncio.Future[None] | None = None
        self.waits: dict[str, OpenWait] | None = None
        self.wait_count: dict[str, int] | None = None
        self.steps: dict[str, asyncio.Future[None]] | None = None
        self.watermark: bytes | None = None
        self.metrics: dict[str, int | float] | None = None
        self.whole_rests: Callable[[bool], None] | None = None
        self.progress: tuple[float, float | None] | None = None
        self.unprinted: dict[str, Callable[[Attempt], None]] | None = None
        self._awake: set[asyncio.Task[Any]] | None = None
        self._answers = 0
        self._making: Making | None = None
        self.traceparent = ""
        """Of its span, as W3C has it; "" when nothing is traced."""
        self.gates: Gates

    # --- assets that the body makes

    @property
    def making(self) -> Making:
        """What it has said so far; of most attempts nothing."""
        if self._making is None:
            self._making = Making()
        return self._making

    @property
    def validated(self) -> Collection[str]:
        """Outlets whose gates the body has had run, on what is staged now."""
        return () if self._making is None else self._making.validated

    def asset_answered(self, order: AssetAnswered) -> None:
        answered = self.making.calls.pop(order.call, None)
        if answered is not None and not answered.done():
            answered.set_result(order)

    @property
    def traced(self) -> dict[str, str]:
        """What a process of it is told of its trace."""
        return {"TRACEPARENT": self.traceparent} if self.traceparent else {}

    @property
    def id(self) -> int:
        return self.order.attempt_id

    def may_begin(self) -> bool:
        """Asked right before a body begins, from any thread: still current, and not to be stopped."""
        return not self.stopping and self.fence(self.order.attempt_id)

    def log(self, text: str, level: str = "INFO") -> None:
        self.logs.write(self.order.attempt_id, text, level)

    # --- waits: which parts of the body came back, and when all of them rest again

    def open_wait(self, key: str) -> OpenWait:
        """Note that the current task waits for `key`."""
        task = asyncio.current_task(self.loop)
        wait = OpenWait(self.loop.create_future(), task)
        if self.waits is None:
            self.waits = {}
        self.waits[key] = wait
        return wait

    def asked(self, wait: OpenWait) -> None:
        """`WaitAsked` is posted for `wait`: its task no longer counts as awake."""
        if self._awake and wait.task in self._awake:
            self._rests(wait.task)

    def drop_wait(self, key: str, wait: OpenWait) -> bool:
        """Whether `wait` was still open: it is given up, and its part of the body goes on."""
        if self.waits is None or self.waits.get(key) is not wait:
            return False
        del self.waits[key]
        self._wakes(wait.task)
        return True

    def answer(self, order: Answer) -> None:
        """Hand an answer to the part of the body that awaits it, and count it as awake."""
        self._answers += 1
        wait = self.waits.pop(order.key, None) if self.waits else None
        if wait is None or wait.answer.done():  # given up while the answer was on its way
            if not self._awake:
                self._park()
            return
        self._wakes(wait.task)
        wait.answer.set_result(order)

    def _wakes(self, task: asyncio.Task[Any] | None) -> None:
        """A part of the body goes on, until it ends or waits again."""
        if task is None:
            return
        if self._awake is None:
            self._awake = set()
        if task not in self._awake:
            self._awake.add(task)
            if task is not self.task:
                task.add_done_callback(self._rests)

    def _rests(self, task: asyncio.Task[Any] | None) -> None:
        """A part of the body that had come back has ended, or waits again."""
        if self.over or self._awake is None or task not in self._awake:
            return
        self._awake.discard(task)
        if task is not None:
            task.remove_done_callback(self._rests)
        if not self._awake:
            self._park()

    def _park(self) -> None:
        if self.waits and not self.over and not self.closing:
            self.post(Parked(self.order.attempt_id, self._answers))

    # --- steps: results that are committed before the body goes on

    async def recorded_step(self, name: str) -> bytes | None:
        """The value of a step already recorded; waits for one of this name that is under way."""
        while not self.over and self.steps and (under_way := self.steps.get(name)) is not None:
            await asyncio.wait([under_way])
        if self.over or self.job is None:
            raise AttemptOver(f"ctx.once({name!r}) was called after its attempt had ended")
        return self.job.recorded_steps.get(name)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[bytes], Awaitable[None]]]:
        """A step under way. One that raises leaves no trace: it may be tried again."""
        if self.steps is None:
            self.steps = {}
        done = self.steps[name] = self.loop.create_future()

        async def commit(data: bytes) -> None:
            self.post(StepDone(self.order.attempt_id, name, data))
            await asyncio.shield(done)
            assert self.job is not None
            self.job.recorded_steps[name] = data

        try:
            yield commit
        finally:
            done.cancel()
            self.steps.pop(name, None)

    def commit_step_from_thread(self, name: str, data: bytes) -> None:
        """Have a step committed, and block until it is. `RefusedError` when the runtime ends first."""

        async def commit() -> None:
            with self.step(name) as committed:
                if self.closing:
                    raise asyncio.CancelledError
                await committed(data)

        try:
            asyncio.run_coroutine_threadsafe(commit(), self.loop).result()
        except (concurrent.futures.CancelledError, RuntimeError) as error:
            raise RefusedError(f"the step {name!r} was not recorded: the attempt is being stopped") from error

    def abandon_steps(self) -> None:
        """A thread cannot be interrupted: `stopping` is set, and it is waited for.

        When the runtime ends, steps of its body will not be committed any more: let it go on.
        """
        if self.closing:
            for step in list((self.steps or {}).values()):
                step.cancel()
            for call in list(self._making.calls.values()) if self._making is not None else ():
                call.cancel()

    def end(self) -> None:
        """The body is over: whatever of it still waits for the engine is cut loose, and what holds it is let go.

        A circle would be left to the garbage collector, which then costs a fifth of a task's life.
        """
        self.over = True
        self.task = self.interrupt = None
        if self.job is not None and (self.job.args or self.job.kwargs):  # its context may be among them
            self.job = msgspec.structs.replace(self.job, args=(), kwargs={})
        for end_line in list((self.unprinted or {}).values()):
            end_line(self)
        if self.waits:
            for wait in self.waits.values():
                wait.answer.cancel()
            self.waits.clear()
        for step in list((self.steps or {}).values()):
            step.cancel()
        for call in list(self._making.calls.values()) if self._making is not None else ():
            call.cancel()
