"""The handle of a node's output: passed to another task it is an edge and a value; `>>` an edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from bide.runtime.errors import GraphError

if TYPE_CHECKING:
    from bide.runtime.graph.building import Node

T = TypeVar("T")


class Linked:
    """What can stand on either side of `>>` and `<<`: outputs, sensors, and lists of them."""

    __slots__ = ()

    @property
    def output(self) -> Any:
        """The handle of what this node returns."""
        raise NotImplementedError

    def firsts(self) -> Iterable[Node]:
        """The nodes that start after what stands on the left of `>>`."""
        return [self.output.node]

    def lasts(self) -> Iterable[Node]:
        """The nodes that what stands on the right of `>>` starts after."""
        return [self.output.node]

    def __rshift__(self, other: T) -> T:
        """`a >> b`, `a >> [b, c]`: the right side starts after this one; the right side is returned."""
        _link([self], _each(other))
        return other

    def __lshift__(self, other: T) -> T:
        """`a << b`: this one starts after the right side, which is returned."""
        _link(_each(other), [self])
        return other

    def __rrshift__(self, other: Iterable[Linked]) -> Linked:
        """`[a, b] >> c`."""
        _link(_each(other), [self])
        return self

    def __rlshift__(self, other: Iterable[Linked]) -> Linked:
        """`[a, b] << c`."""
        _link([self], _each(other))
        return self


class Output(Linked):
    """What a node will return, not known while the DAG is declared.

    `out["path"]` and `out[0]` pick a part of it. Anything that would need the value now (a loop,
    a condition, an f-string) is refused: that code belongs into a task.
    """

    __slots__ = ("at", "node")

    def __init__(self, node: Node, at: tuple[str | int, ...] = ()) -> None:
        self.node = node
        self.at = at

    @property
    def output(self) -> Output:
        return self

    def __getitem__(self, key: str | int) -> Output:
        if type(key) not in (str, int):
            raise GraphError(f"{self!r} is picked from by a key or an index, not by {key!r}")
        return Output(self.node, (*self.at, key))

    def as_setup(self) -> Output:
        """Make its task a set-up: what it makes is taken away by a tear-down."""
        from bide.runtime.graph.teardowns import mark_setup

        mark_setup(self.node)
        return self

    def as_teardown(self, setups: Any = (), *, fails_run: bool | None = None) -> Output:
        """Make its task a tear-down, of `setups` (outputs), which it then stands after.

        It starts when all above it have ended, however, if one of its set-ups had succeeded; without
        `setups` those right above it count. `fails_run=False`: the run does not fail with it.
        """
        from bide.runtime.graph.teardowns import mark_teardown

        mark_teardown(self.node, [node for side in _each(setups) for node in side.lasts()], fails_run)
        return self

    def __repr__(self) -> str:
        return f"<output of {self.node.name!r}{''.join(f'[{key!r}]' for key in self.at)}>"

    def _unknown(self, doing: str) -> GraphError:
        return GraphError(
            f"the output of {self.node.name!r} is not known while the DAG is declared, "
            f"so it cannot be {doing}: do that in a task that takes it as an argument"
        )

    def __bool__(self) -> bool:
        raise self._unknown("tested for truth")

    def __iter__(self) -> Iterator[Any]:
        raise self._unknown("iterated over")

    def __len__(self) -> int:
        raise self._unknown("measured with len()")

    def __contains__(self, _item: object) -> bool:
        raise self._unknown("searched with `in`")

    def __format__(self, _spec: str) -> str:
        raise self._unknown("put into a string")

    def __int__(self) -> int:
        raise self._unknown("used as a number")

    def __float__(self) -> float:
        raise self._unknown("used as a number")


def _each(side: Any) -> Iterable[Linked]:
    if isinstance(side, Linked):
        return [side]
    if isinstance(side, (list, tuple, set, frozenset)):
        return [linked for item in side for linked in _each(item)]
    raise GraphError(
        f"`>>` joins tasks, sensors and lists of them, and {side!r} is none of these: "
        "call the task first (`a() >> b()`)"
    )


def _link(before: Iterable[Linked], after: Iterable[Linked]) -> None:
    upstream = [node for side in before for node in side.lasts()]
    for side in after:
        for node in side.firsts():
            for up in upstream:
                node.after(up)
