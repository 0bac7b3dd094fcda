"""The body of a DAG while it runs: tasks, commands and sensors declare their nodes here.

One body at a time in one context. Declaring is O(1) a node: nothing looks at the nodes before.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from bide.runtime.errors import GraphError
from bide.runtime.graph.binding import encode_value
from bide.runtime.graph.code import Code
from bide.runtime.graph.handle import Output
from bide.runtime.graph.spec import Lane, Role, SensorSpec, ShellSpec, TaskSpec
from bide.runtime.graph.validate import check_name

_body: ContextVar[Body | None] = ContextVar("bide_dag_body", default=None)


class Handling(Protocol):
    """What can be given as `on_failure`: a task, which makes a node at each place, or a call, which is one."""

    def handler_in(self, body: Body) -> Node:
        """The node of it in the body that is being declared, with the role that the body gives it."""
        ...


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_NO_ARGUMENTS: Final[tuple[tuple[Any, ...], dict[str, Any]]] = ((), {})
_NO_NAMES: Final[dict[str, None]] = {}


class Node:
    """One node of a body. `fields` are those of `TaskSpec` but name, upstream, arguments and handling."""

    __slots__ = ("body", "code", "encoded", "fields", "handles", "name", "role", "upstream")

    def __init__(self, body: Body, name: str, fields: Mapping[str, Any], code: Code) -> None:
        self.body = body
        self.name = name
        self.fields = fields
        self.code = code
        self.upstream: dict[str, None] = {}
        self.role = body.role
        self.handles: dict[str, None] = {}
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
        if self.fields is _NOTHING:
            raise GraphError(
                f"the DAG {self.body.name!r} is declared already, so that {self.name!r} cannot be put after "
                f"{other.name!r}: write the edge in its body"
            )
        self.upstream[other.name] = None

    def use(self, output: Output) -> None:
        """Note an output among the arguments. A handler waits for none: it gets what is there when it starts."""
        if self.role is Role.TASK or output.node.body is not self.body:
            self.after(output.node)

    def spec(self) -> TaskSpec:
        args, kwargs = self.encoded
        return TaskSpec(
            name=self.name, upstream=tuple(self.upstream), args=args, kwargs=kwargs, role=self.role,
            handles=tuple(self.handles), **self.fields,
        )  # fmt: skip

    def forget(self) -> None:
        """Its DAG stands: what it was made of is let go. A sensor keeps its node, for its name and its DAG's."""
        self.fields, self.encoded = _NOTHING, _NO_ARGUMENTS
        self.upstream = self.handles = _NO_NAMES


class Body:
    """The nodes of one DAG, in the order of their declaration."""

    __slots__ = ("_used", "called", "groups", "name", "nodes", "open_groups", "reserved", "role")

    def __init__(self, name: str, reserved: Container[str] = ()) -> None:
        """`reserved`: names that no number is given to make, because somebody has them already."""
        self.name = name
        self.reserved = reserved
        self.nodes: dict[str, Node] = {}
        self.groups: dict[str, None] = {}
        self.open_groups: list[str] = []  # within which nodes are declared now, outermost first
        self.called: dict[int, Node] = {}  # by id of the call, which the author's code keeps
        self.role = Role.TASK
        self._used: dict[str, int] = {}

    def free_name(self, base: str) -> str:
        """`base`, or `base_2`, `base_3`, ... when it is taken."""
        count = self._used.get(base, 0) + 1
        name = base if count == 1 else f"{base}_{count}"
        while name in self.nodes or name in self.groups or name in self.reserved:
            count += 1
            name = f"{base}_{count}"
        self._used[base] = count
        return name

    @contextmanager
    def declaring(self, role: Role) -> Iterator[None]:
        """Within: the nodes that are declared have this role."""
        before, self.role = self.role, role
        try:
            yield
        finally:
            self.role = before

    def handle(self, node: Node, handler: Handling) -> None:
        """Have the failure of a node start a handler."""
        with self.declaring(Role.HANDLER):
            found = handler.handler_in(self)
        if found.role is not Role.HANDLER:
            raise GraphError(
                f"{found.name!r} is a {found.role.value} of the DAG {self.name!r}, and cannot handle the failure "
                f"of {node.name!r} as well: give it a call of its own"
            )
        found.handles[node.name] = None

    def call_back(self, role: Role, callback: Handling) -> None:
        """Have the end of the whole graph start a callback."""
        with self.declaring(role):
            found = callback.handler_in(self)
        if found.role is not role:
            raise GraphError(
                f"{found.name!r} is a {found.role.value} of the DAG {self.name!r}, and cannot be its {role.value} "
                "as well: give it a call of its own"
            )


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

    `fields` are fields of `TaskSpec` (but name, upstream, args, kwargs), with `lane` at least, and
    `on_failure`, which makes a node of its own.
    The arguments are those of `code`. A sensor gives `fields["sensor"]` with empty `params`
    and its parameters as `code.kwargs`; a command `fields["shell"]` and its environment likewise;
    what these are mapped over stands in `code.mapped`.
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
    on_failure: Handling | None = None
    if "on_failure" in fields:
        on_failure = fields["on_failure"]
        fields = {key: value for key, value in fields.items() if key != "on_failure"}
    node = Node(body, name, fields, code)
    lane: Lane = fields["lane"]
    if code.args or code.kwargs:
        args = tuple([encode_value(value, node.use) for value in code.args])
        kwargs = {key: encode_value(value, node.use) for key, value in code.kwargs.items()}
        if _as_written(kwargs, code.kwargs):
            node.code = replace(code, kwargs=kwargs)  # plain JSON throughout: one dict serves both
        if lane is Lane.WAIT or lane is Lane.SHELL:
            node.fields = _with_parameters(fields, kwargs)
        else:
            node.encoded = (args, kwargs)
    if code.mapped:
        node.encoded = ((), {key: encode_value(value, node.use) for key, value in code.mapped.items()})
    body.nodes[name] = node
    if on_failure is not None:
        body.handle(node, on_failure)
    return node


def _as_written(encoded: Any, written: Any) -> bool:
    """Whether nothing was encoded. Values of users are never compared: `==` of an array is no bool."""
    if encoded is written:
        return True
    if type(encoded) is list and type(written) is list:
        return all(map(_as_written, encoded, written))
    if type(encoded) is dict and type(written) is dict:
        return encoded.keys() == written.keys() and all(
            _as_written(encoded[key], written[key]) for key in encoded
        )
    return False


def _with_parameters(fields: Mapping[str, Any], params: dict[str, Any]) -> Mapping[str, Any]:
    sensor: SensorSpec | None = fields.get("sensor")
    if sensor is not None:
        return {**fields, "sensor": msgspec.structs.replace(sensor, params=params)}
    shell: ShellSpec = fields["shell"]
    return {**fields, "shell": msgspec.structs.replace(shell, env=params)}
