"""`TaskGraphBuilder`: a DAG in one fluent sentence, by boilermaker's cursor rules (S2-1 to S2-31).

The builder keeps a *cursor*: the tasks that were added last. What is added next stands after them,
unless it says otherwise. docs/task-graphs.md has the rules in a table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self, Unpack

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import Body
from bide.runtime.graph.call import Call
from bide.runtime.graph.dag import Dag, DagOptions, made_of
from bide.runtime.graph.handle import Output
from bide.runtime.graph.validate import suggestion


class LastAdded:
    """The type of `LAST_ADDED`."""

    def __repr__(self) -> str:
        return "LAST_ADDED"


LAST_ADDED: Final = LastAdded()
"""`depends_on=LAST_ADDED`, the default: after whatever was added last."""


class TaskChain:
    """Calls that run one after the other, to be put into a graph as a whole by `add_chain`.

    `on_any_failure` handles the failure of each of them: one call is one handler, which starts once, at the
    first failure. Raises `GraphError` without calls.
    """

    __slots__ = ("_calls", "on_any_failure")

    def __init__(self, *calls: Call, on_any_failure: Call | None = None) -> None:
        if not calls:
            raise GraphError("a TaskChain needs a call: TaskChain(call(a), call(b))")
        self._calls = tuple([as_call(each, "TaskChain") for each in calls])
        self.on_any_failure = None if on_any_failure is None else as_call(on_any_failure, "on_any_failure")

    @property
    def head(self) -> Call:
        """The first of its calls."""
        return self._calls[0]

    @property
    def last(self) -> Call:
        """The last of its calls: what stands after the chain stands after this one."""
        return self._calls[-1]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __repr__(self) -> str:
        return f"<chain {' -> '.join(each.base_name for each in self)}>"


Upstreams = LastAdded | Call | TaskChain | str | Iterable[Call | TaskChain | str] | None


class _Added:
    """A call of the graph: its name, what it stands after, and what handles its failure."""

    __slots__ = ("after", "call", "handler", "name")

    def __init__(self, call: Call, name: str, after: Iterable[str], handler: Call | None) -> None:
        self.call = call
        self.name = name
        self.after = tuple(dict.fromkeys(after))
        self.handler = handler


class TaskGraphBuilder:
    """Builds a DAG call by call; each method but `build` returns the builder.

    Options are those of `@dag`. A call that is refused (`GraphError`, a `ValueError`) changes nothing.
    """

    # `name` is positional only: the option of that name cannot reach it, and is refused below
    def __init__(self, name: str = "graph", /, **options: Unpack[DagOptions]) -> None:  # pyright: ignore[reportGeneralTypeIssues]
        if "name" in options:
            raise GraphError(f"the graph {name!r} is named once: leave name={options['name']!r} out")
        self.name = name
        self._options: dict[str, Any] = dict(options)
        self._added: dict[str, _Added] = {}
        self._names: dict[int, str] = {}  # by id of the call, which `_added` keeps
        self._used: dict[str, int] = {}
        self._cursor: list[str] = []
        self._file = Path(sys._getframe(1).f_code.co_filename)

    # --- the calls of a graph --------------------------------------------------------------------

    def add(self, task: Call, *, depends_on: Upstreams = LAST_ADDED, on_failure: Call | None = None) -> Self:
        """Add a call after the last ones added; after `depends_on` where given; `None`: after nothing.

        The cursor becomes this call. `depends_on` takes calls, names, chains (their last call), one or
        several.
        """
        self._cursor = self._take([task], self._upstreams(depends_on), on_failure, "add")
        return self

    def then(self, task: Call, *, on_failure: Call | None = None) -> Self:
        """Add a call after the last ones added. `GraphError` when there are none yet."""
        if not self._cursor:
            raise GraphError(
                f"the graph {self.name!r} has nothing yet that `then` could follow: begin with .add(...)"
            )
        return self.add(task, on_failure=on_failure)

    def parallel(
        self, *tasks: Call, depends_on: Upstreams = LAST_ADDED, on_failure: Call | None = None
    ) -> Self:
        """Add calls side by side: each of them stands after the same; the cursor becomes all of them."""
        if not tasks:
            raise GraphError("parallel needs a call: .parallel(call(a), call(b))")
        self._cursor = self._take(tasks, self._upstreams(depends_on), on_failure, "parallel")
        return self

    def add_chain(self, chain: TaskChain, *, depends_on: Upstreams = LAST_ADDED) -> Self:
        """Add the calls of a chain, each after the one before; its first as `add` would.

        The cursor becomes the chain's last call. With `depends_on=None` it is put BESIDE what the cursor
        has: several chains that begin on their own, and one `.then(join)` that waits for all of them.
        """
        if not isinstance(chain, TaskChain):
            raise GraphError(f"add_chain takes a TaskChain(call(a), call(b)), not {chain!r}")
        [last] = self._take(chain, self._upstreams(depends_on), chain.on_any_failure, "add_chain", row=True)
        self._cursor = [*self._cursor, last] if depends_on is None else [last]
        return self

    def sequence(self, *tasks: Call) -> Self:
        """Add calls one after the other, the first after the last ones added."""
        if tasks:
            self._cursor = self._take(tasks, self._cursor, None, "sequence", row=True)
        return self

    def on_all_failed(self, task: Call) -> Self:
        """Have a call run once when all else of the graph has ended and something of it failed."""
        self._options["on_all_failed"] = self._callback(task, self._options.get("on_all_failed"))
        return self

    def build(self, on_all_failed: Call | None = None) -> Dag:
        """The DAG of what was added so far. It may be built again, and more may be added after it."""
        if not self._added:
            raise GraphError(f"the graph {self.name!r} is empty: add a call before it is built")
        options = dict(self._options)
        if on_all_failed is not None:
            options["on_all_failed"] = self._callback(on_all_failed, options.get("on_all_failed"))
        return made_of(Body(self.name, reserved=self._added), self._declare, options, file=self._file)

    def _declare(self, body: Body) -> None:
        made = {}
        for each in self._added.values():
            node = made[each.name] = each.call.declare(body, each.name)
            for up in each.after:
                node.after(made[up])
        for each in self._added.values():
            if each.handler is not None:
                body.handle(made[each.name], each.handler)

    # --- names and edges -------------------------------------------------------------------------

    def _take(
        self, tasks: Iterable[Call], after: list[str], handler: Call | None, doing: str, *, row: bool = False
    ) -> list[str]:
        """Add calls, side by side or in a row; the names that the next one stands after."""
        calls = [as_call(task, doing) for task in tasks]
        if handler is not None:
            handler = as_call(handler, "on_failure")
        names = self._free_names(calls)
        for each, name in zip(calls, names, strict=True):
            self._added[name] = _Added(each, name, after, handler)
            self._names[id(each)] = name
            if row:
                after = [name]
        return after if row else names

    def _free_names(self, calls: list[Call]) -> list[str]:
        """A name for each call: its own, with a number behind it when that is taken (`load_2`)."""
        said: dict[str, None] = {}
        seen: set[int] = set()
        for each in calls:
            if id(each) in self._names or id(each) in seen:
                raise GraphError(
                    f"{each!r} is in the graph {self.name!r} already: a call stands for one run of its "
                    "function; make another call to run it again"
                )
            seen.add(id(each))
            if each.named:
                if each.base_name in self._added or each.base_name in said:
                    raise GraphError(
                        f"the graph {self.name!r} has two calls named {each.base_name!r}: give one another name"
                    )
                said[each.base_name] = None
        names: dict[str, None] = {}
        for each in calls:
            name = base = each.base_name
            if not each.named:
                count = self._used.get(base, 0) + 1
                name = base if count == 1 else f"{base}_{count}"
                while name in self._added or name in said or name in names:
                    count += 1
                    name = f"{base}_{count}"
                self._used[base] = count
            names[name] = None
        return list(names)

    def _upstreams(self, depends_on: Upstreams) -> list[str]:
        if depends_on is None:
            return []
        if isinstance(depends_on, LastAdded):
            return list(self._cursor)
        if isinstance(depends_on, (Call, TaskChain, str)):
            return [self._name_of(depends_on)]
        if not isinstance(depends_on, Iterable):
            raise GraphError(f"depends_on takes calls, names and chains, not {depends_on!r}")
        return [self._name_of(each) for each in depends_on]

    def _name_of(self, wanted: object) -> str:
        if isinstance(wanted, TaskChain):
            wanted = wanted.last
        name = wanted if isinstance(wanted, str) else self._names.get(id(wanted))
        if name is None or name not in self._added:
            near = suggestion(name, self._added) if name is not None else ""
            raise GraphError(
                f"depends_on names {wanted!r}, which is not in the graph {self.name!r}"
                f"{near or ': add it before what depends on it'}"
            )
        return name

    def _callback(self, task: Call, there: object) -> Call:
        given = as_call(task, "on_all_failed")
        if there is not None:
            raise GraphError(f"the graph {self.name!r} has an on_all_failed already: there is one a graph")
        return given

    def __repr__(self) -> str:
        return f"<graph {self.name!r} being built: {len(self._added)} calls>"


def as_call(task: object, where: str) -> Call:
    if isinstance(task, Call):
        return task
    if isinstance(task, Output) or not callable(task):
        raise GraphError(f"{where} takes calls, as in call(fn, ...), not {task!r}")
    raise GraphError(f"{where} takes calls: write call({getattr(task, '__name__', 'fn')}, ...), not {task!r}")
