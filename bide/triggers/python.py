"""Waiting until a Python function says so: async in the loop, sync in a thread with a time limit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

import msgspec

from bide.runtime.clock import SECOND
from bide.runtime.values import Secret
from bide.triggers.base import (
    Fire,
    LookFailed,
    NotYet,
    PollSource,
    Registration,
    Source,
    SourceWorld,
    Trigger,
    Verdict,
)

CALL_LIMIT_US: Final = 60 * SECOND


class PythonTrigger(Trigger, frozen=True, kw_only=True, tag="python"):
    """The predicate of the `PythonSensor` called `task` of the DAG `dag`, called with these arguments.

    The function itself is never stored: it is found through its loaded DAG at each look. A falsy
    answer goes on waiting, any other is the event. Secrets among the arguments are stored by
    reference, and reach the function as `Secret` objects. `limit_us` bounds one call.
    """

    dag: str
    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    limit_us: int = CALL_LIMIT_US

    def source_key(self) -> Hashable:
        return ("python", self.dag, self.task)

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        return Fire(seen) if seen else NotYet(f"it returned {seen!r}")

    def describe(self) -> str:
        return f"the predicate of {self.dag}.{self.task}"

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        assert isinstance(key, tuple)
        return PythonSource(world, key[1], key[2])


class PythonSource(PollSource):
    """Calls one sensor's predicate. Identical arguments are one call for all waits."""

    max_in_flight = 4
    floor_us = SECOND // 10
    limit_us = CALL_LIMIT_US

    def __init__(self, world: SourceWorld, dag: str, task: str) -> None:
        self._world = world
        self._dag = dag
        self._task = task
        self._running: dict[Hashable, _Running] = {}

    def add(self, registration: Registration) -> None:
        self.limit_us = registration.trigger.limit_us + SECOND  # a thread's own limit comes first

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        trigger: PythonTrigger = registrations[0].trigger
        before = self._running.get(poll_key)
        if before is not None and not before.returned:
            raise LookFailed(
                "the last call of the predicate has not returned yet: it is not called beside itself"
            )
        try:
            predicate = self._world.predicate(self._dag, self._task)
        except LookupError as error:
            raise LookFailed(f"code not loaded: {error.args[0] if error.args else error}") from None
        args, kwargs = _with_secrets(trigger.args), _with_secrets(trigger.kwargs)
        if _is_async(predicate):
            return _plain(await predicate(*args, **kwargs))
        running = self._running[poll_key] = _Running(predicate, args, kwargs)
        try:
            answer = await self._world.in_thread(running.run, limit_us=trigger.limit_us)
        finally:
            if running.returned:
                self._running.pop(poll_key, None)
        if inspect.isawaitable(answer):
            answer = await answer
        return _plain(answer)


class _Running:
    """One call in a thread; `returned` once it has, also when nobody waits for it any more."""

    def __init__(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._call = (fn, args, kwargs)
        self.returned = False

    def run(self) -> Any:
        fn, args, kwargs = self._call
        try:
            return fn(*args, **kwargs)
        finally:
            self.returned = True


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004 - a callable object's method is meant


def _with_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(ref := value.get("$secret"), str):
            return Secret(ref)
        return {key: _with_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_secrets(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Booleans, numbers of other libraries and structs as the JSON they will be."""
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
