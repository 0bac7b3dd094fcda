"""`call(fn, *args)`: a task that is to run once in a graph, as an immutable value.

A call is what it is by identity: one call is one node of a graph, and two calls of one function are two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Unpack

from bide.runtime.errors import GraphError
from bide.runtime.graph.approval import approval
from bide.runtime.graph.building import Body, Node
from bide.runtime.graph.command import shell
from bide.runtime.graph.handle import Linked, Output
from bide.runtime.graph.task import Task

if TYPE_CHECKING:
    from bide.runtime.graph.options import TaskOptions

_PLAIN: Final = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function with its arguments, made by `call`. `call["key"]`, as an argument of another, picks a part.

    Nothing runs when it is made. Options are those of `@task`; `.options(...)` gives a new call.
    """

    fn: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(map(_as_it_is, self.args)))
        for name in ("kwargs", "overrides"):
            given = {key: _as_it_is(value) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(given))
        if not declares(self.fn) and self.base_name != "<lambda>":  # a mistake is told where it is written
            task = self.task()
            if not self.mapped:
                task.takes(self.args, self.kwargs)

    def options(self, **overrides: Unpack[TaskOptions]) -> Call:
        """The same call with other options: `call(load, "a").options(name="load_a", retries=5)`."""
        return Call(self.fn, self.args, self.kwargs, {**self.overrides, **overrides})

    @property
    def base_name(self) -> str:
        """The name of its node, before a number is put behind it."""
        if "name" in self.overrides:
            return str(self.overrides["name"])
        if declares(self.fn):
            return str(self.kwargs.get("name", self.args[0] if self.args else self.fn.__name__))
        fn = self.fn.__self__ if self.mapped else self.fn
        return str(getattr(fn, "name", None) or getattr(fn, "__name__", fn))

    @property
    def mapped(self) -> bool:
        """Whether it is a call of a task's `map`."""
        return getattr(self.fn, "__func__", None) is Task.map

    @property
    def named(self) -> bool:
        """Whether its name was said at this place: taken twice it is an error, not a number."""
        return "name" in self.overrides or declares(self.fn)

    def task(self) -> Task[Any, Any]:
        fn = self.fn.__self__ if self.mapped else self.fn
        if isinstance(fn, Task):
            return fn.options(**self.overrides) if self.overrides else fn
        return Task(self.fn, dict(self.overrides))

    def declare(self, body: Body, name: str | None = None) -> Node:
        """Its node in the body that is being declared, made at the first time."""
        made = body.called.get(id(self))
        if made is None:
            args = [resolved(value, body) for value in self.args]
            kwargs = {key: resolved(value, body) for key, value in self.kwargs.items()}
            if declares(self.fn):
                options = {key: value for key, value in self.overrides.items() if key != "name"}
                if "name" in self.overrides and args:
                    args[0] = self.overrides["name"]
                elif "name" in self.overrides:
                    kwargs["name"] = self.overrides["name"]
                made = self.fn(*args, **kwargs, **options).output.node
            else:
                task = self.task()
                task = task if name is None else task.options(name=name)
                made = (task.map if self.mapped else task)(*args, **kwargs).output.node
            body.called[id(self)] = made
        return made

    def handler_in(self, body: Body) -> Node:
        """One handler, however many tasks it is given to: it starts at the first failure of them."""
        return self.declare(body)

    def __getitem__(self, key: str | int) -> Part:
        return Part(self, (key,))

    def __iter__(self) -> Iterator[Any]:
        raise GraphError(f"what {self!r} returns is not known before it runs, so it cannot be iterated over")

    def __repr__(self) -> str:
        return f"<call of {self.base_name!r}>"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of what a call will return: `fetched["path"]`."""

    call: Call
    at: tuple[str | int, ...]

    def __getitem__(self, key: str | int) -> Part:
        return Part(self.call, (*self.at, key))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.call)


def call(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
    """A call of a task or of a plain function, to be put into a graph.

    Arguments are JSON, or other calls of the graph, whose outputs they then get. Sensors and `shell` are
    called the same way, with their name first: `call(FileSensor, "drop", path="in.csv")`; a task is mapped
    by a call of its `map`: `call(load.map, path=listed)`, `call(FileSensor.map, "drops", path=listed)`.

    >>> def fetch(url): ...
    >>> call(fetch, "https://example.org").options(retries=3)
    <call of 'fetch'>
    """
    if not callable(fn):
        raise GraphError(f"call(...) takes a task or a function and its arguments, not {fn!r}")
    return Call(fn, args, kwargs)


def declares(fn: Any) -> bool:
    """Whether calling it makes a node by itself: a sensor, a command, an approval, one of these mapped."""
    if getattr(fn, "__name__", "") == "map" and not isinstance(fn, type):
        fn = getattr(fn, "__self__", fn)
    return fn is shell or fn is approval or (isinstance(fn, type) and issubclass(fn, Linked))


def resolved(value: Any, body: Body) -> Any:
    """An argument with the calls in it replaced by the outputs of their nodes."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Call):
        return Output(_node(value, body))
    if isinstance(value, Part):
        return Output(_node(value.call, body), value.at)
    if type(value) in (list, tuple):
        return type(value)([resolved(item, body) for item in value])
    if type(value) is dict:
        return {key: resolved(item, body) for key, item in value.items()}
    return value


def _as_it_is(value: Any) -> Any:
    """A copy of lists and dicts: what their owner does with them later is no part of the call."""
    if type(value) is list:
        return [_as_it_is(item) for item in value]
    if type(value) is dict:
        return {key: _as_it_is(item) for key, item in value.items()}
    return value


def _node(wanted: Call, body: Body) -> Node:
    node = body.called.get(id(wanted))
    if node is None:
        raise GraphError(
            f"{wanted!r} is an argument of another call, and is not in the graph {body.name!r} yet: add it first"
        )
    return node
