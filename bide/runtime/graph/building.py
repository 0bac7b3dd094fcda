"""The body of a DAG while it runs: tasks, commands and sensors declare their nodes here.

One body at a time in one context. Declaring is O(1) a node: nothing looks at the nodes before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec

from bide.runtime.errors import GraphError
from bide.runtime.graph.binding import encode_value
from bide.runtime.graph.code import Code
from bide.runtime.graph.handle import Output
from bide.runtime.graph.spec import Lane, SensorSpec, ShellSpec, TaskSpec
from bide.runtime.graph.validate import check_name

_body: ContextVar[Body | None] = ContextVar("bide_dag_body", default=None)


class Node:
    """One node of a body. `fields` are those of `TaskSpec` but name, upstream and arguments."""

    __slots__ = ("body", "code", "encoded", "fields", "name", "upstream")

    def __init__(self, body: Body, name: str, fields: Mapping[str, Any], code: Code) -> None:
        self.body = body
        self.name = name
        self.fields = fields
        self.code = code
        self.upstream: dict[str, None] = {}
        self.encoded: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    @property
    def output(self) -> Output:
        """The handle of what this node returns."""
        return Output(self)

    def after(self, other: Node) -> None:
        """Make an edge from `other` to this node."""
        if other.body is not self.body:
            raise GraphError(
                f"the task {self.name!r} of the DAG {self.body.name!r} cannot stand after "
                f"{other.name!r} of the DAG {other.body.name!r}: edges join tasks of one DAG; "
                "wait for another DAG with an ExternalTaskSensor"
            )
        if other is self:
            raise GraphError(f"the task {self.name!r} cannot stand after itself")
        self.upstream[other.name] = None

    def use(self, output: Output) -> None:
        """Note an output among the arguments."""
        self.after(output.node)

    def spec(self) -> TaskSpec:
        args, kwargs = self.encoded
        return TaskSpec(
            name=self.name, upstream=tuple(self.upstream), args=args, kwargs=kwargs, **self.fields
        )


class Body:
    """The nodes of one DAG, in the order of their declaration."""

    __slots__ = ("_used", "groups", "name", "nodes", "open_groups")

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.groups: dict[str, None] = {}
        self.open_groups: list[str] = []  # within which nodes are declared now, outermost first
        self._used: dict[str, int] = {}

    def free_name(self, base: str) -> str:
        """`base`, or `base_2`, `base_3`, ... when it is taken."""
        count = self._used.get(base, 0) + 1
        name = base if count == 1 else f"{base}_{count}"
        while name in self.nodes or name in self.groups:
            count += 1
            name = f"{base}_{count}"
        self._used[base] = count
        return name


@contextmanager
def in_body(body: Body) -> Iterator[None]:
    """Within: tasks that are called become nodes of `body`."""
    outer = _body.get()
    if outer is not None:
        raise GraphError(
            f"the DAG {body.name!r} is declared in the body of {outer.name!r}: declare it beside it"
        )
    token = _body.set(body)
    try:
        yield
    finally:
        _body.reset(token)


def current_body() -> Body | None:
    """The body of the DAG that is being declared, None outside."""
    return _body.get()


def declare(
    name: str,
    *,
    fields: Mapping[str, Any],
    code: Code,
    numbered: bool = False,
) -> Node:
    """Declare a node in the body of the current DAG.

    `fields` are fields of `TaskSpec` (but name, upstream, args, kwargs), with `lane` at least.
    The arguments are those of `code`. A sensor gives `fields["sensor"]` with empty `params`
    and its parameters as `code.kwargs`; a command `fields["shell"]` and its environment likewise.
    Outputs among them become edges. `numbered`: a name that is taken gets a number
    (`load_2`), otherwise it is an error.
    """
    body = _body.get()
    if body is None:
        raise GraphError(f"{name!r} is declared outside of a DAG: put it into a function with @dag")
    check_name(name, "task")
    if body.open_groups:
        around = body.open_groups[-1]
        name = check_name(f"{around}.{name}", "task")
        fields = {**fields, "group": around}
    if numbered:
        name = body.free_name(name)
    elif name in body.nodes or name in body.groups:
        raise GraphError(f"the DAG {body.name!r} has two tasks named {name!r}: give one of them another name")
    node = Node(body, name, fields, code)
    lane: Lane = fields["lane"]
    if code.args or code.kwargs:
        args = tuple([encode_value(value, node.use) for value in code.args])
        kwargs = {key: encode_value(value, node.use) for key, value in code.kwargs.items()}
        if type(code.kwargs) is dict and all(kwargs[key] is value for key, value in code.kwargs.items()):
            kwargs = code.kwargs  # plain JSON throughout: one dict serves both
        if lane is Lane.WAIT or lane is Lane.SHELL:
            node.fields = _with_parameters(fields, kwargs)
        else:
            node.encoded = (args, kwargs)
    body.nodes[name] = node
    return node


def _with_parameters(fields: Mapping[str, Any], params: dict[str, Any]) -> Mapping[str, Any]:
    sensor: SensorSpec | None = fields.get("sensor")
    if sensor is not None:
        return {**fields, "sensor": msgspec.structs.replace(sensor, params=params)}
    shell: ShellSpec = fields["shell"]
    return {**fields, "shell": msgspec.structs.replace(shell, env=params)}
