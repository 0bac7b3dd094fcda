"""What a body sees of its attempt: facts, log, durable waits and steps, watermark, metrics.

A context lives as long as its attempt. What reaches the database goes through the engine: a wait
and a step come back after their commit, the watermark and the metrics land with the success.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import LONGEST, span_us
from bide.runtime.engine.messages import Answer, WaitAsked, WaitDropped
from bide.runtime.errors import UsageError, WaitBroken, WaitTimedOut
from bide.runtime.executor.attempt import Attempt, AttemptOver
from bide.runtime.graph.facts import RERUN, Facts, Interval, Rerun
from bide.runtime.graph.spec import Lane
from bide.runtime.values import decode, encode

if TYPE_CHECKING:
    from bide.runtime.assets.asset import Asset
    from bide.runtime.assets.delivery import Delivery
    from bide.runtime.executor.making import MadeAsset
    from bide.triggers.base import Trigger

DEFAULT_TIMEOUT: Final = timedelta(days=1)
DEFAULT_POLL: Final = timedelta(seconds=30)

_current: ContextVar[Context] = ContextVar("bide_context")


def about() -> dict[str, str]:
    """Whose body runs here, as fields of the journal; none outside of a body."""
    context = _current.get(None)
    if context is None:
        return {}
    order = context._attempt.order
    mapped = f"[{order.map_index}]" if order.map_index >= 0 else ""
    return {
        "BIDE_RUN": str(order.run_id),
        "BIDE_DAG": order.dag,
        "BIDE_TASK": f"{order.task.name}{mapped}",
        "BIDE_ATTEMPT": str(order.number),
    }


def current() -> Context:
    """The context of the attempt that this code runs in: in its body, its threads and its tasks."""
    try:
        return _current.get()
    except LookupError:
        raise UsageError(
            "bide.current() was called outside of a running task: take a parameter `ctx: Context` instead"
        ) from None


class TaskLog:
    """The log of one attempt: `ctx.log.info("loading", rows=3)` writes `loading rows=3`."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def debug(self, message: object, /, **fields: object) -> None:
        """Write a line at DEBUG."""
        self._attempt.log(_line(message, fields), "DEBUG")

    def info(self, message: object, /, **fields: object) -> None:
        """Write a line at INFO."""
        self._attempt.log(_line(message, fields), "INFO")

    def warning(self, message: object, /, **fields: object) -> None:
        """Write a line at WARNING."""
        self._attempt.log(_line(message, fields), "WARNING")

    def error(self, message: object, /, **fields: object) -> None:
        """Write a line at ERROR."""
        self._attempt.log(_line(message, fields), "ERROR")

    def exception(self, message: object, /, **fields: object) -> None:
        """Write a line at ERROR, and the traceback of the exception being handled."""
        import traceback

        self._attempt.log(f"{_line(message, fields)}\n{traceback.format_exc().rstrip()}", "ERROR")


class Context:
    """Handed to a parameter annotated `Context`; `bide.current()` returns it anywhere below a task."""

    __slots__ = ("_attempt", "_log")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._log: TaskLog | None = None

    def __repr__(self) -> str:
        return f"<Context of attempt {self._attempt.id}: {self._attempt.order.dag}.{self._attempt.order.task.name}>"

    @property
    def _facts(self) -> Facts:
        job = self._attempt.job
        if job is None:
            raise UsageError("the context is not ready while arguments are built: use it in the body")
        return job.facts

    @property
    def dag(self) -> str:
        return self._attempt.order.dag

    @property
    def task(self) -> str:
        return self._attempt.order.task.name

    @property
    def run_id(self) -> str:
        """The run, as a string: ids are not for arithmetic."""
        return str(self._attempt.order.run_id)

    @property
    def map_index(self) -> int:
        """The place among the expanded instances of a mapped task; -1 when it is not mapped."""
        return self._attempt.order.map_index

    @property
    def attempt(self) -> int:
        """Which start of this instance this is, from 1."""
        return self._attempt.order.number

    @property
    def shadow(self) -> bool:
        """Whether this is a shadow run: nothing of it is published, and it should change nothing outside."""
        return self._attempt.order.shadow

    @property
    def logical_date(self) -> datetime:
        """The start of the interval, in the DAG's zone."""
        return self._facts.logical_date

    @property
    def interval(self) -> Interval:
        """The data interval `[start, end)`, in the DAG's zone."""
        return self._facts.interval

    @property
    def scheduled_for(self) -> datetime:
        """The instant the run was due, in the DAG's zone."""
        return self._facts.scheduled_for

    @property
    def params(self) -> Mapping[str, Any]:
        params = self._facts.params
        return params if RERUN not in params else {k: v for k, v in params.items() if k != RERUN}

    @property
    def rerun(self) -> Rerun | None:
        """What is made anew, in a run of a rerun plan: which asset, how, instead of which versions; else None.

        What appends to an append-only asset writes corrections then, instead of what it wrote before.
        """
        said = self._facts.params.get(RERUN)
        return None if said is None else typed.convert(said, Rerun)

    @property
    def log(self) -> TaskLog:
        """Writes to this attempt's log. Never touches the `logging` module."""
        if self._log is None:
            self._log = TaskLog(self._attempt)
        return self._log

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this instance: `dag/run_id/task/map_index`; of an effect its delivery's."""
        job = self._attempt.job
        if job is not None and job.delivery is not None:
            return job.delivery.key
        order = self._attempt.order
        return f"{order.dag}/{order.run_id}/{order.task.name}/{order.map_index}"

    @property
    def traceparent(self) -> str | None:
        """Of this attempt's span in a trace (W3C), to be handed on; None when nothing is traced."""
        return self._attempt.traceparent or None

    @property
    def delivery(self) -> Delivery:
        """What an effect delivers now: its key, its inputs, and the delivery that stands. `UsageError` in any other task."""
        job = self._attempt.job
        if job is None or job.delivery is None:
            raise UsageError(
                f"the task {self.task!r} is no effect and delivers nothing: make it one with @effect"
            )
        return job.delivery

    @property
    def attempt_key(self) -> str:
        """Different for every attempt, over restarts too: the epoch and the attempt's id."""
        return f"{self._attempt.epoch}:{self._attempt.id}"

    @property
    def stopping(self) -> bool:
        """True once the attempt should end: cancelled, out of time, or the runtime shuts down.

        The body of a plain `def` cannot be interrupted: long loops should read this.
        """
        return self._attempt.stopping

    def progress(self, done: float, total: float | None = None) -> None:
        """Say how far the body is, in any unit; seen in live pictures, never stored."""
        self._attempt.progress = (done, total)

    def metrics(self, **numbers: float) -> None:
        """Numbers kept with the attempt: `ctx.metrics(rows=42)`. The last value of a name counts."""
        given: dict[str, Any] = numbers
        for name, number in given.items():
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise UsageError(f"ctx.metrics({name}={number!r}): a metric is a finite number")
            encode(name, "the name of a metric")
        if self._attempt.metrics is None:
            self._attempt.metrics = {}
        self._attempt.metrics.update(numbers)

    @property
    def watermark(self) -> Any:
        """How far this task has come, over all its runs; None at first. Committed with the success.

        It moves with the intervals: what a run of an earlier interval than the last one that moved it says
        (a backfill, a rerun, a slower neighbour) is left out, and the journal says so. A run of the past
        reads `ctx.interval`, not the watermark. Of a mapped task it cannot be set.
        """
        attempt = self._attempt
        data = attempt.watermark
        if data is None and attempt.job is not None:
            data = attempt.job.watermark
        return None if data is None else decode(data)

    @watermark.setter
    def watermark(self, value: Any) -> None:
        if self.map_index >= 0:
            raise UsageError(
                f"ctx.watermark of {self.task}[{self.map_index}]: a watermark is the task's, over all its runs, "
                "not one for each mapped instance: set it in a task downstream of all of them"
            )
        self._attempt.watermark = encode(value, "the watermark", 16 * 1024)

    async def wait(
        self,
        trigger: Trigger,
        *,
        timeout: timedelta | float | None = None,
        name: str | None = None,
        poll_interval: timedelta | float | None = None,
    ) -> Any:
        """Wait for the world without holding a slot, and return the trigger's event.

        The wait is a row in the database: it survives a crash, after which the body runs again
        from its top and a wait already over is answered from the store. `name` makes its key
        stable when the code changes; without one the key is the trigger's content and its count.
        `timeout` (default one day; of a `TimeTrigger`, one day from its instant) and
        `poll_interval` (30 s) are timedeltas or seconds. Raises `WaitTimedOut`, or `WaitBroken` when it can never come true. The relative path of a
        `FileTrigger` is under the folder of the DAG's file.
        """
        attempt = self._attempt
        if attempt.order.task.lane is not Lane.ASYNC:
            raise UsageError(
                f"ctx.wait works in `async def` tasks, and {self.task!r} runs in the "
                f"{attempt.order.task.lane} lane: make it `async def`, or put a sensor before it"
            )
        if attempt.over or attempt.job is None:
            raise AttemptOver(f"ctx.wait was called after the attempt of {self.task!r} had ended")
        data, kind = _trigger_data(trigger, attempt.job.facts.folder)
        timeout_us = _span(DEFAULT_TIMEOUT if timeout is None else timeout, "timeout")
        not_before_us = trigger.not_before() if timeout is None else None
        poll_us = _span(DEFAULT_POLL if poll_interval is None else poll_interval, "poll_interval")
        key = self._key(data, name)
        if (recorded := attempt.job.recorded_waits.get(key)) is not None:
            return _event_of(recorded, trigger)
        wait = attempt.open_wait(key)
        attempt.post(WaitAsked(attempt.id, key, data, kind, timeout_us, poll_us, not_before_us))
        attempt.asked(wait)
        rests = attempt.whole_rests if wait.task is attempt.task else None
        if rests is not None:
            rests(True)
        try:
            answer = await wait.answer
        finally:
            if rests is not None:
                rests(False)
            if attempt.drop_wait(key, wait) and not attempt.stopping:
                attempt.post(WaitDropped(attempt.id, key))
        return _event_of(answer, trigger)

    def _key(self, data: bytes, name: str | None) -> str:
        attempt = self._attempt
        if attempt.wait_count is None:
            attempt.wait_count = {}
        base = name if name is not None else hashlib.blake2b(data, digest_size=12).hexdigest()
        count = attempt.wait_count[base] = attempt.wait_count.get(base, 0) + 1
        if name is None:
            return f"{base}:{count}"
        encode(name, "the name of a wait")
        if not name or count > 1:
            raise UsageError(
                f"ctx.wait(..., name={name!r}): a name stands for one wait of the body; give each wait its own"
            )
        return name

    def asset(self, asset: Asset | str) -> MadeAsset:
        """An asset that this task makes (one of its outlets): `inputs`, `stage`, `validate`, `publish`.

        In an `async def` task these are awaited, in a plain `def` they block its thread. What the body does not do
        itself its success does: an outlet that it never stages is staged, validated and published then.
        Raises `UsageError` in isolated processes, shell commands and mapped instances.
        """
        from bide.runtime.executor.making import making

        return making(self._attempt, asset)

    def once(self, name: str, fn: Callable[[], Any]) -> Any:
        """A recorded step: `fn()` runs once per instance, also when the body runs again after a crash.

        In an `async def` task: `value = await ctx.once("charge", fn)`, `fn` sync or async. In a plain
        `def` task: `value = ctx.once("charge", fn)`, `fn` sync. The result is JSON, and the body
        goes on when it is committed. A crash between the effect and the commit repeats it once:
        hand `ctx.idempotency_key` to the other side.
        """
        if not name:
            raise UsageError("ctx.once needs a name for its step")
        encode(name, "the name of a step")
        if self._attempt.order.task.lane is Lane.ASYNC:
            return self._once(name, fn)
        return self._once_here(name, fn)

    async def _once(self, name: str, fn: Callable[[], Any]) -> Any:
        attempt = self._attempt
        if (known := await attempt.recorded_step(name)) is not None:
            return decode(known)
        with attempt.step(name) as commit:
            value = fn()
            if inspect.isawaitable(value):
                value = await value
            data = encode(value, f"the result of the step {name!r}")
            await commit(data)
        return decode(data)

    def _once_here(self, name: str, fn: Callable[[], Any]) -> Any:
        """Outside of the loop: the commit is one blocking round trip."""
        attempt = self._attempt
        if attempt.over:
            raise AttemptOver(f"ctx.once was called after the attempt of {self.task!r} had ended")
        job = attempt.job
        if job is not None and (known := job.recorded_steps.get(name)) is not None:
            return decode(known)
        value = fn()
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise UsageError(
                f"ctx.once({name!r}, ...) in a plain `def` task takes a plain function, not an async one"
            )
        data = encode(value, f"the result of the step {name!r}")
        attempt.commit_step_from_thread(name, data)
        return decode(data)


def _trigger_data(trigger: Any, folder: str) -> tuple[bytes, str]:
    config = getattr(trigger, "__struct_config__", None)
    if config is None or not isinstance(config.tag, str) or not hasattr(trigger, "source_key"):
        raise UsageError(
            f"ctx.wait takes a trigger of bide.triggers, as in ctx.wait(FileTrigger(...)), not {trigger!r}"
        )
    if config.tag == "file":
        given = {key: getattr(trigger, key, None) for key in ("path", "glob")}
        under = {key: str(PurePath(folder) / path) for key, path in given.items() if path}
        trigger = msgspec.structs.replace(trigger, **under)
    try:
        return msgspec.json.encode(trigger), config.tag
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise UsageError(f"the trigger {trigger!r} is not plain data: {error}") from None


def _event_of(answer: Answer, trigger: Trigger) -> Any:
    """What a wait brought, now or before a crash: its event, or the error that it ended with."""
    if answer.timed_out:
        raise WaitTimedOut(answer.error or f"the wait for {trigger.describe()} passed its time limit")
    if answer.error or answer.event is None:
        raise WaitBroken(f"the wait for {trigger.describe()} failed: {answer.error or 'no event came'}")
    return decode(answer.event)


def _span(value: timedelta | float, what: str) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 < seconds <= LONGEST.total_seconds():
        raise UsageError(
            f"ctx.wait({what}={value!r}): give seconds or a timedelta, above zero and at most {LONGEST.days} days"
        )
    return span_us(value) if isinstance(value, timedelta) else int(value * 1_000_000)


def _line(message: object, fields: Mapping[str, object]) -> str:
    if not fields:
        return str(message)
    return f"{message} " + " ".join(f"{key}={_word(value)}" for key, value in fields.items())


def _word(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c in text for c in ' "=\n') else text
