"""`@task`: a function becomes a node when it is called in a DAG's body."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, overload

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import Body, Node, current_body, declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.handle import Linked, Output
from bide.runtime.graph.mapping import MOST, each, mapped_call
from bide.runtime.graph.options import TaskOptions, lane_of, task_fields
from bide.runtime.graph.signature import Parameters
from bide.runtime.graph.spec import Role

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function with options. Called in a DAG's body it makes a node and returns its output.

    Called anywhere else it runs the function, so that task code is tested as plain Python; `fn`
    is the function itself, with its types.
    """

    def __init__(self, fn: Callable[P, R], options: Mapping[str, Any], given: bool = False) -> None:
        if not inspect.isroutine(fn):
            raise GraphError(f"@task is for functions, not for {fn!r}")
        if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
            raise GraphError(f"the task {fn.__name__!r} is a generator: return a list, or a path to a file")
        update_wrapper(self, fn)
        self.fn: Callable[P, R] = fn
        self.name: str = str(options.get("name", fn.__name__))
        self._options = dict(options)
        self._given = given  # named at one place: taken twice is an error, not a number
        owner = f"the task {self.name!r}"
        if self.name == "<lambda>":
            raise GraphError('a lambda has no name: write @task(name="...") or a function')
        self._fields = task_fields(owner, options)
        self._fields["lane"] = lane_of(owner, options, inspect.iscoroutinefunction(fn))
        self._most = int(options.get("max_map", MOST))
        doc = inspect.getdoc(fn)
        if doc and "doc" not in self._fields:
            self._fields["doc"] = doc
        self._parameters = Parameters.of(fn)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_body() is None:
            if any(isinstance(value, Linked) for value in (*args, *kwargs.values())):
                raise GraphError(
                    f"the task {self.name!r} is called with the output of another task outside of a DAG's body: "
                    "move the call into the function with @dag"
                )
            return self.fn(*args, **kwargs)
        return Output(self._declare(args, kwargs, numbered=not self._given))

    def _declare(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, numbered: bool) -> Node:
        self.takes(args, kwargs)
        code = Code(fn=self.fn, args=args, kwargs=kwargs)
        node = declare(self.name, fields=self._fields, code=code, numbered=numbered)
        if self._parameters.must_fail and node.role in (Role.TASK, Role.ON_SUCCESS):
            raise GraphError(
                f"the task {self.name!r} takes a Failure ({', '.join(self._parameters.must_fail)}), and here it "
                "handles none: give it as on_failure= or on_all_failed=, or give the parameter a default"
            )
        return node

    def takes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the function does not take."""
        self._parameters.check(self.name, args, dict(kwargs))

    def handler_in(self, _body: Body) -> Node:
        """A failure handler of its own at each place where it is given as one."""
        return self._declare((), {}, numbered=True)

    def map(self, *args: Any, shard: int | None = None, **kwargs: Any) -> Any:
        """Run it once for each item of a list that may be known only at run time.

        Arguments that are outputs, lists, tuples or ranges are mapped, several side by side;
        `unmapped(x)` and any other value go whole to every instance. `shard=100`: the body gets
        lists of up to 100 items. Returns the handle of the list of what the instances return.
        Outside of a DAG's body it calls the function for each item and returns the list.
        """
        return self._map({}, args, kwargs, shard)

    def partial(self, **given: Any) -> Partial:
        """Arguments that are the same for every instance: `load.partial(day=1).map(path=...)`."""
        return Partial(self._map, given)

    def _map(
        self, given: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], shard: int | None
    ) -> Any:
        if self._fields.get("branch"):
            raise GraphError(
                f"the branch {self.name!r} cannot be mapped, as there is one choice in a run: map a task above it, "
                "and choose by what that returns"
            )
        call = mapped_call(self.name, self._parameters, given, args, kwargs, shard, self._most)
        if current_body() is None:
            return each(self.fn, call)
        code = Code(fn=self.fn, kwargs=call.kwargs)
        fields = {**self._fields, "map": call.spec}
        return Output(declare(self.name, fields=fields, code=code, numbered=not self._given))

    def options(self, **overrides: Unpack[TaskOptions]) -> Task[P, R]:
        """The same task with other options at one place: `load.options(name="x", retries=5)(...)`."""
        return Task(self.fn, {**self._options, **overrides}, "name" in overrides or self._given)

    def __repr__(self) -> str:
        return f"<task {self.name!r}>"


class Partial:
    """A task with the arguments that all of its mapped instances share."""

    def __init__(self, declare_mapped: Callable[..., Any], given: Mapping[str, Any]) -> None:
        self._map = declare_mapped
        self._shared = dict(given)

    def map(self, *args: Any, shard: int | None = None, **kwargs: Any) -> Any:
        """As `Task.map`, beside what was given to `partial`, which is never mapped."""
        return self._map(self._shared, args, kwargs, shard)


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a task, bare or with options.

    `async def` runs in the loop, `def` in a thread, with `isolate=True` in its own killable
    process. Raises `GraphError` for an option that is unknown or out of range.

    >>> @task
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> double(21)
    42
    """
    if fn is not None:
        return Task(fn, options)
    return lambda wrapped: Task(wrapped, options)


@overload
def branch(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def branch(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def branch(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a task that chooses what runs right downstream of it: `@task(branch=True)`.

    It returns a name, a list of names, the tasks themselves, or None for none of them. The others
    are skipped ("not chosen by ..."), and what stands below follows its trigger rule: a join of the
    alternatives wants `trigger_rule="none_failed_min_one_success"`. A name that is no task right
    downstream fails the branch.

    >>> @branch
    ... def pick(rows: int) -> str:
    ...     return "full" if rows > 1000 else "delta"
    >>> pick(5)
    'delta'
    """
    if fn is not None:
        return Task(fn, {"branch": True})
    return lambda wrapped: Task(wrapped, {**options, "branch": True})
