"""`ctx.asset(gold)`: what a body stages, validates and publishes of an asset that it makes.

Every step is answered after its commit. In an `async def` task each is awaited; in a plain `def` it blocks its
thread and returns the value.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import Asset
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.judged import Decision, Version
from bide.runtime.assets.staged import Candidate
from bide.runtime.engine.messages import AssetAnswered, AssetCalled
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.executor.attempt import Attempt, AttemptOver
from bide.runtime.graph.spec import Lane
from bide.runtime.values import encode

if TYPE_CHECKING:
    from bide.runtime.executor.gates import Gates


class MadeAsset:
    """One asset as its task makes it."""

    __slots__ = ("_attempt", "name")

    def __init__(self, attempt: Attempt, name: str) -> None:
        self._attempt = attempt
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} as attempt {self._attempt.id} makes it>"

    @property
    def inputs(self) -> list[Version]:
        """The versions that this task may read, as decided before it began: assets with their intervals and labels."""
        job = self._attempt.job
        return list(job.inputs) if job is not None else []

    def stage(
        self, uri: str, *, rows: int | None = None, schema: Any = None, meta: dict[str, Any] | None = None
    ) -> Any:
        """Say where a candidate is, before anybody sees it: its place or a name, and what is known of it.

        `schema` is JSON (a list of columns, a JSON Schema), `meta` too. Staged again it takes the place of what was
        staged before. Nobody reads it until it is published.
        """
        staged = Candidate(uri, rows, schema, dict(meta or {}))
        data = encode(msgspec.to_builtins(staged), f"what is staged of {self.name!r}")
        return self._do(self._stage(staged, data))

    async def _stage(self, staged: Candidate, data: bytes) -> None:
        self._attempt.making.staged[self.name] = staged
        self._attempt.making.validated.discard(self.name)
        self._attempt.making.decided.pop(self.name, None)
        await self._call("stage", data)

    def validate(self) -> Any:
        """Run its gates on what is staged; the list of what they found (`CheckResult`: name, severity, passed, ...)."""
        return self._do(self._validate())

    async def _validate(self) -> list[CheckResult]:
        gates: Gates = self._attempt.gates
        if self.name not in self._attempt.making.staged:
            raise RefusedError(f"nothing of {self.name!r} is staged: call stage() first")
        found = await gates.run(self._attempt, self.name)
        answer = msgspec.json.decode(await self._call("check", msgspec.json.encode(found)))
        if "refused" in answer:
            self._attempt.making.decided[self.name] = typed.convert(answer["refused"], Decision)
        self._attempt.making.validated.add(self.name)
        return found

    def publish(self) -> Any:
        """Ask the contracts, and publish what is validated; returns the `Decision`, raises nothing for a "no".

        What may not be published now is held, and let out later when nothing stands against it any more. What a
        critical gate has put into quarantine is not. Asked again, what is published says what it said.
        """
        return self._do(self._publish())

    async def _publish(self) -> Decision:
        if self.name in self._attempt.making.staged and self.name not in self._attempt.validated:
            await self._validate()
        made = self._attempt.making
        if self.name not in made.decided:
            decision = typed.decode(await self._call("publish"), Decision)
            if not decision.allowed:
                return decision
            made.decided[self.name] = decision
        return made.decided[self.name]

    async def _call(self, verb: str, data: bytes = b"{}") -> bytes:
        attempt = self._attempt
        if attempt.over or attempt.closing:
            raise AttemptOver(f"{verb} of {self.name!r} was called after its attempt had ended")
        call, answered = attempt.making.open_call(attempt.loop)
        attempt.post(AssetCalled(attempt.id, call, verb, self.name, data))
        answer: AssetAnswered = await answered
        if answer.error:
            raise RefusedError(answer.error)
        return answer.value

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        attempt = self._attempt
        if attempt.order.task.lane is Lane.ASYNC:
            return work
        try:
            return asyncio.run_coroutine_threadsafe(work, attempt.loop).result()
        except (concurrent.futures.CancelledError, RuntimeError) as error:
            raise RefusedError(f"{self.name!r} was left as it is: the attempt is being stopped") from error


def making(attempt: Attempt, asset: Asset | str) -> MadeAsset:
    """What `ctx.asset` returns, or `UsageError`; the version begins with the first call."""
    name = asset.name if isinstance(asset, Asset) else asset
    task = attempt.order.task
    if task.lane in (Lane.PROCESS, Lane.SHELL):
        raise UsageError(
            f"ctx.asset works in async and thread tasks, and {task.name!r} runs in a process of its own: stage what it "
            "made in a task after it"
        )
    if attempt.order.map_index >= 0:
        raise UsageError(
            f"ctx.asset of {task.name}[{attempt.order.map_index}]: a mapped task makes its assets as a whole: stage "
            "them in a task downstream of all of it"
        )
    if name not in task.outlets:
        made = ", ".join(task.outlets) or "none"
        raise UsageError(f"the task {task.name!r} does not make {name!r}: its outlets are {made}")
    if name not in attempt.making.begun:
        attempt.making.begun.add(name)
        begin = AssetCalled(attempt.id, 0, "begin", name)
        if task.lane is Lane.ASYNC:
            attempt.post(begin)
        else:
            attempt.loop.call_soon_threadsafe(attempt.post, begin)
    return MadeAsset(attempt, name)
