"""`PythonSensor`: waits until a function of yours returns something."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Unpack

from bide.runtime.errors import GraphError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.item import Item, items_in
from bide.runtime.graph.signature import Parameters
from bide.sensors.base import Sensor, SensorOptions, copied
from bide.triggers.python import PythonTrigger
from bide.triggers.secret_refs import name_secrets


class PythonSensor(Sensor):
    """Calls `fn(*args, **kwargs)` each `poll_interval` until it returns something true: the event.

    `async def` runs in the loop, `def` in a thread; one call takes at most `call_timeout`, and no
    call overlaps the one before. An exception is shown and the wait goes on. The arguments may
    hold templates, outputs of other tasks and secrets, which arrive as `Secret`.

    `PythonSensor("name", fn)`, or `PythonSensor(fn)` named after the function.
    """

    __slots__ = ()

    kind = "python"
    poll_interval = timedelta(seconds=30)
    samples: ClassVar[Mapping[str, Any]] = {"args": [], "kwargs": {}}

    def __init__(
        self,
        name: str | Callable[..., Any],
        fn: Callable[..., Any] | None = None,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        call_timeout: timedelta = timedelta(seconds=60),
        **options: Unpack[SensorOptions],
    ) -> None:
        if fn is None and not isinstance(name, str):
            fn = name
            name = getattr(fn, "__name__", type(fn).__name__)
        self._title = f"the sensor {name!r}"
        if not isinstance(name, str) or not callable(fn):
            raise GraphError(f'{self._title} needs a function: PythonSensor("name", fn)')
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise GraphError(f"{self._title}: {fn!r} is a generator: return the answer instead")
        function: Callable[..., Any] = getattr(fn, "fn", fn) if type(fn).__name__ == "Task" else fn
        parameters = Parameters(function)
        if parameters.contexts:
            raise GraphError(
                f"{self._title}: its function takes a Context, and a predicate has none while it waits: "
                'pass what it needs, kwargs={"day": "{interval.start:%Y-%m-%d}"}'
            )
        if not items_in([args, kwargs]):
            parameters.check(name, tuple(args), dict(kwargs or {}))
        params = {
            "args": args if isinstance(args, Item) else list(args),
            "kwargs": copied(kwargs or {}),
            "limit_us": self.span_param(call_timeout, "call_timeout"),
        }
        super().__init__(name, params, options, predicate=function)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> PythonTrigger:
        return PythonTrigger(
            dag=facts.dag,
            task=facts.task,
            args=name_secrets(tuple(params.get("args", ()))),
            kwargs=name_secrets(dict(params.get("kwargs", {}))),
            limit_us=params["limit_us"],
        )
