"""Groups: tasks under one name, joined by `>>` as one; their names become `extract.load`.

A group is names and edges alone: what runs are its tasks. Groups stand within groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, overload

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import Body, Node, current_body
from bide.runtime.graph.handle import Linked, Output
from bide.runtime.graph.spec import Role
from bide.runtime.graph.validate import check_name

P = ParamSpec("P")


class Group(Linked):
    """A group of a DAG's body. `name` is whole, with those around it: `extract.daily`.

    On the left of `>>` stand its last tasks (tear-downs are none of them: nobody waits for those),
    on the right its first ones. `output` is what the decorated function returned.
    """

    __slots__ = ("body", "name", "returned")

    def __init__(self, body: Body, name: str) -> None:
        self.body = body
        self.name = name
        self.returned: object = None

    def __repr__(self) -> str:
        return f"<group {self.name!r}>"

    @property
    def output(self) -> Any:
        if isinstance(self.returned, Linked):
            return self.returned.output
        raise GraphError(
            f"the group {self.name!r} has no output: hand over that of one of its tasks, "
            "or return it from the function with @group"
        )

    def __getitem__(self, key: str | int) -> Output:
        part: Output = self.output[key]
        return part

    @property
    def nodes(self) -> list[Node]:
        """Its tasks and those of the groups within it, in the order of their declaration."""
        if self.name in self.body.open_groups:
            raise GraphError(
                f"the group {self.name!r} is joined within itself: do that after its `with` block"
            )
        within = f"{self.name}."
        found = [
            node
            for node in self.body.nodes.values()
            if ((of := node.fields.get("group", "")) == self.name or of.startswith(within))
            and node.role is Role.TASK
        ]
        if not found:
            raise GraphError(f"the group {self.name!r} has no tasks, so there is nothing to join")
        return found

    def firsts(self) -> Iterable[Node]:
        """The tasks that no other of the group stands before."""
        nodes = self.nodes
        names = {node.name for node in nodes}
        return [node for node in nodes if names.isdisjoint(node.upstream)]

    def lasts(self) -> Iterable[Node]:
        """The tasks that no other of the group stands behind, tear-downs left aside."""
        nodes = [node for node in self.nodes if not node.fields.get("teardown")]
        followed = {up for node in nodes for up in node.upstream}
        return [node for node in nodes if node.name not in followed]


class Grouping:
    """What `group("name")` makes: `with` it, or decorate a function with it."""

    def __init__(self, name: str) -> None:
        self._name = check_name(name, "group")

    def __enter__(self) -> Group:
        return _open(self._name, numbered=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close()

    def __call__(self, fn: Callable[P, Any]) -> Callable[P, Group]:
        return _decorated(fn, self._name)


@overload
def group(name: str, /) -> Grouping: ...
@overload
def group(name: Callable[P, Any], /) -> Callable[P, Group]: ...
def group(name: Any, /) -> Any:
    """Put tasks under one name, in the body of a DAG: `with` it, or `@group` on a function.

    The tasks declared within are named `extract.load`; `>>` joins the group as one. The decorated
    function makes a group each time it is called (`extract`, `extract_2`), and what it returns is
    the group's output.
    """
    if isinstance(name, str):
        return Grouping(name)
    if not callable(name):
        raise GraphError(f"a group has a name or decorates a function, and {name!r} is neither")
    return _decorated(name, check_name(name.__name__, "group"))


def _decorated(fn: Callable[P, Any], name: str) -> Callable[P, Group]:
    @wraps(fn)
    def make(*args: P.args, **kwargs: P.kwargs) -> Group:
        made = _open(name, numbered=True)
        try:
            made.returned = fn(*args, **kwargs)
        finally:
            _close()
        return made

    return make


def _open(name: str, *, numbered: bool) -> Group:
    body = current_body()
    if body is None:
        raise GraphError(f"the group {name!r} is declared outside of a DAG: put it into a function with @dag")
    whole = f"{body.open_groups[-1]}.{name}" if body.open_groups else name
    if numbered:
        whole = body.free_name(whole)
    elif whole in body.nodes or whole in body.groups:
        raise GraphError(
            f"the DAG {body.name!r} has two tasks or groups named {whole!r}: give one of them another name"
        )
    check_name(whole, "group")
    body.groups[whole] = None
    body.open_groups.append(whole)
    return Group(body, whole)


def _close() -> None:
    body = current_body()
    if body is not None:
        body.open_groups.pop()
