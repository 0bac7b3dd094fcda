"""A small engine for the executor: jobs by attempt id, inputs collected, acknowledgements automatic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bide.runtime.clock import SystemClock
from bide.runtime.engine.messages import (
    Acknowledge,
    AttemptEnded,
    Input,
    ProcessStarted,
    Start,
    StepDone,
    Stop,
)
from bide.runtime.engine.states import AttemptState
from bide.runtime.executor.context import Context
from bide.runtime.executor.executor import Executor
from bide.runtime.executor.job import Job
from bide.runtime.executor.logs import LogBook
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import Lane, TaskSpec

LIMIT_S = 20.0


class Desk:
    """What the engine does for an executor, and no more."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.logs = LogBook(folder / "bide.db.logs", self.clock)
        self.posted: list[Input] = []
        self.jobs: dict[int, Callable[[Context], Any]] = {}
        self.fenced_off: set[int] = set()
        self.acknowledges = True
        self.executor = Executor(
            self.clock,
            self._post,
            logs=self.logs,
            epoch=7,
            fence=lambda attempt_id: attempt_id not in self.fenced_off,
            resolve=lambda start, context: self.jobs[start.attempt_id](context),
            threads=4,
            grace_us=300_000,
        )
        self._arrived = asyncio.Event()
        self._next = 0

    def _post(self, message: Input) -> None:
        self.posted.append(message)
        self._arrived.set()
        if self.acknowledges and isinstance(message, StepDone):
            self.executor.acknowledge(Acknowledge(message.attempt_id, message.name))
        if self.acknowledges and isinstance(message, ProcessStarted):
            self.executor.acknowledge(Acknowledge(message.attempt_id, ""))

    def start(
        self,
        fn: Callable[..., Any] | None,
        *args: Any,
        lane: Lane = Lane.ASYNC,
        name: str = "load",
        number: int = 1,
        takes_context: bool = False,
        memory_limit: int | None = None,
        folder: str = ".",
        **job: Any,
    ) -> int:
        """Start an attempt of the DAG `daily`, run 3; its id."""
        self._next += 1
        attempt_id = self._next
        facts = Facts(
            dag="daily",
            task=name,
            run_id=3,
            attempt=number,
            logical_us=1_781_481_600_000_000,
            start_us=1_781_481_600_000_000,
            end_us=1_781_568_000_000_000,
            scheduled_us=1_781_568_000_000_000,
            params={"size": 2},
            tz="Europe/Berlin",
            folder=folder,
        )
        kwargs = job.pop("kwargs", {})
        self.jobs[attempt_id] = lambda context: Job(
            fn, (*args, context) if takes_context else args, kwargs, facts, **job
        )
        spec = TaskSpec(name=name, lane=lane, memory_limit=memory_limit)
        self.executor.start(Start(attempt_id, 100 + attempt_id, 3, number, "daily", spec, -1, False))
        return attempt_id

    def stop(
        self, attempt_id: int, state: AttemptState = AttemptState.CANCELLED, reason: str = "by hand"
    ) -> None:
        self.executor.stop(Stop(attempt_id, state, reason))

    async def seen(self, kind: type[Any], attempt_id: int) -> Any:
        """The first message of this kind about the attempt, as soon as there is one."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for message in self.posted:
                    if isinstance(message, kind) and getattr(message, "attempt_id", None) == attempt_id:
                        return message
                self._arrived.clear()
                await self._arrived.wait()

    async def ended(self, attempt_id: int) -> AttemptEnded:
        message: AttemptEnded = await self.seen(AttemptEnded, attempt_id)
        return message

    async def run(self, fn: Callable[..., Any] | None, *args: Any, **options: Any) -> AttemptEnded:
        return await self.ended(self.start(fn, *args, **options))

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.posted if isinstance(message, kind)]
