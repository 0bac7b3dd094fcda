"""Stands where the executor stands and runs no body: attempts take as long, and end, as scripted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bide.runtime.engine.messages import AttemptEnded, Failure, RunMeta, Start, Stop
from bide.runtime.engine.states import AttemptState
from bide.runtime.executor.executor import Executor
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.values import encode
from bide.testing.clock import Call, SimClock
from bide.testing.simulation.fate import Ending, Fates


class ScriptedBodies(Executor):
    """An `Executor` whose attempts are calls on the clock. `run_of` finds the run of an attempt."""

    def __init__(
        self, clock: SimClock, fates: Fates, run_of: Callable[[int], RunMeta], post: Callable[[Any], None],
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(clock, post, **options)
        self._time = clock
        self._fates = fates
        self._run_of = run_of
        self._ends: dict[int, Call] = {}

    def start(self, order: Start) -> None:
        """Begin: the end is due when the script says, at once without a duration."""
        if self._closing:
            return
        now = self._time.now()
        run = self._run_of(order.run_id)
        ending = self._fates.attempt(run, order.task.name, order.map_index, order.number, now)
        ended = _ended(order, ending)
        if not ending.after_us:
            self._post(ended)
            return

        def end() -> None:
            del self._ends[order.attempt_id]
            self._post(ended)

        self._ends[order.attempt_id] = self._time.call_at(now + ending.after_us, end)

    def stop(self, order: Stop) -> None:
        """It ends at once, as it is told to."""
        call = self._ends.pop(order.attempt_id, None)
        if call is not None:
            call.cancel()
            self._post(AttemptEnded(order.attempt_id, order.state, failure=Failure(order.reason)))

    async def close(self, grace_us: int = 0) -> list[int]:
        for call in self._ends.values():
            call.cancel()
        self._ends.clear()
        return await super().close(grace_us)

    @property
    def running(self) -> int:
        return len(self._ends)

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(self._ends)


def _ended(order: Start, ending: Ending) -> AttemptEnded:
    rule, attempt_id = ending.rule, order.attempt_id
    match ending.kind:
        case "skipped":
            return AttemptEnded(attempt_id, AttemptState.SKIPPED, failure=Failure(rule.error))
        case "failed":
            failure = Failure(rule.error, mro=_classes(order.task), final=rule.final)
            return AttemptEnded(attempt_id, AttemptState.FAILED, failure=failure)
        case _:
            output = None if rule.output is None else encode(rule.output)
            return AttemptEnded(attempt_id, AttemptState.SUCCESS, output=output)


def _classes(task: TaskSpec) -> tuple[str, ...]:
    """What the failure is an instance of: what the task retries on, so that it is retried."""
    return (*task.retry_on, "builtins.RuntimeError", "builtins.Exception")
