"""Runs the gates of what a task has made: async ones in the loop, others in a thread.

One that raises, or returns neither a `Check` nor a bool, is a check that failed, with its severity.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.assets.gate import Check, CheckResult, Gate
from bide.runtime.assets.staged import Staged
from bide.runtime.clock import Clock
from bide.runtime.executor.ending import one_line
from bide.runtime.values import redactor

if TYPE_CHECKING:
    from bide.runtime.executor.attempt import Attempt
    from bide.runtime.executor.lanes.threads import Threads

GatesOf = Callable[[str], Sequence[Gate]]


def no_gates(_asset: str) -> Sequence[Gate]:
    return ()


class Gates:
    """The gates that are loaded, by asset, and where they run."""

    def __init__(self, of: GatesOf, threads: Threads, clock: Clock) -> None:
        self.of = of
        self._threads = threads
        self._clock = clock

    async def after(self, attempt: Attempt) -> bytes | None:
        """What the gates of the task's outlets found, of those that its body has not had run; None: none are."""
        found: dict[str, list[CheckResult]] = {}
        for asset in attempt.order.task.outlets:
            if asset not in attempt.validated and self.of(asset):
                found[asset] = await self.run(attempt, asset)
        return msgspec.json.encode(found) if found else None

    async def run(self, attempt: Attempt, asset: str) -> list[CheckResult]:
        """Run them on what is staged, one after the other."""
        staged = self._staged(attempt, asset)
        results = []
        for gate in self.of(asset):
            result = await self._one(gate, staged)
            word = "passed" if result.passed else "failed"
            attempt.log(f"gate {word}: {result.words}", "INFO" if result.passed else "WARNING")
            results.append(result)
        return results

    def _staged(self, attempt: Attempt, asset: str) -> Staged:
        assert attempt.job is not None
        interval = attempt.job.facts.interval
        said = attempt.making.staged.get(asset)
        return Staged(
            asset=asset,
            uri=said.label if said else "",
            rows=said.rows if said else _rows(attempt),
            schema=said.schema if said else None,
            meta=dict(said.meta) if said else {},
            start=interval.start,
            end=interval.end,
            at_us=self._clock.now(),
        )

    async def _one(self, gate: Gate, staged: Staged) -> CheckResult:
        try:
            if inspect.iscoroutinefunction(gate.fn):
                answer = await gate.fn(*_handed(gate.fn, staged))
            else:
                answer = await self._in_thread(gate.fn, staged)
            check = answer if isinstance(answer, Check) else _of_bool(answer)
            observed, expected = (msgspec.to_builtins(each) for each in (check.observed, check.expected))
            msgspec.json.encode((observed, expected))
        except Exception as error:  # noqa: BLE001 - a gate is its author's code: what it raises is a check that failed
            return _result(gate, Check(False, message=f"it raised {one_line(error)}"))
        return _result(gate, Check(check.passed, observed, expected, redactor(check.message)))

    async def _in_thread(self, fn: Callable[..., Any], staged: Staged) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def work() -> None:
            value: Any = None
            raised: Exception | None = None
            try:
                value = fn(*_handed(fn, staged))
            except Exception as error:  # noqa: BLE001 - carried over to who waits for it
                raised = error
            try:
                loop.call_soon_threadsafe(_hand_over, done, value, raised)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                pass

        self._threads.run(work)
        return await done


def _handed(fn: Callable[..., Any], staged: Staged) -> tuple[Staged, ...]:
    """What a gate gets: what is staged, or nothing, when it takes nothing."""
    try:
        return (staged,) if inspect.signature(fn).parameters else ()
    except (TypeError, ValueError):  # of some callables nobody knows what they take
        return (staged,)


def _hand_over(done: asyncio.Future[Any], value: Any, raised: Exception | None) -> None:
    if done.done():
        return
    if raised is not None:
        done.set_exception(raised)
    else:
        done.set_result(value)


def _of_bool(answer: Any) -> Check:
    if isinstance(answer, bool):
        return Check(answer)
    return Check(False, message=f"it returned {type(answer).__name__}, and a gate returns a Check or a bool")


def _result(gate: Gate, check: Check) -> CheckResult:
    spec = gate.spec
    return CheckResult(
        spec.name, spec.severity, check.passed, check.observed, check.expected, check.message, spec.owner
    )


def _rows(attempt: Attempt) -> int | None:
    """What the body said with `ctx.metrics(rows=...)`."""
    rows = (attempt.metrics or {}).get("rows")
    return int(rows) if rows is not None else None
