"""What `map(...)` of a sensor or a command was given: what is mapped, and what goes to all instances."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, time
from os import PathLike, fspath
from typing import Any, NamedTuple

from bide.runtime.clock import to_us
from bide.runtime.errors import GraphError
from bide.runtime.graph.handle import Linked
from bide.runtime.graph.item import Item
from bide.runtime.graph.mapping import MOST, Unmapped, check_lengths, is_mapped
from bide.runtime.graph.spec import MapSpec


class Split(NamedTuple):
    items: dict[str, Item]
    plain: dict[str, Any]


def split(owner: str, given: Mapping[str, Any], whole: Collection[str] = ()) -> Split:
    """Outputs, lists, tuples and ranges are mapped, but for the options in `whole` and what is `unmapped`.

    Raises `GraphError` for nothing to map over. `owner` begins its sentence.
    """
    items: dict[str, Item] = {}
    plain: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, Unmapped):
            plain[key] = value.value
        elif key in whole or not is_mapped(value):
            plain[key] = value
        else:
            items[key] = Item(key, value if isinstance(value, Linked) else [_as_data(each) for each in value])
    if not items:
        raise GraphError(f"{owner} is mapped over nothing: give map() a list or the output of another task")
    return Split(items, plain)


def _as_data(value: Any) -> Any:
    """An item as a parameter has it: an instant or a path as the plain data that stands for it."""
    if isinstance(value, datetime):
        return to_us(value) if value.tzinfo is not None else value.isoformat()
    if isinstance(value, time):
        return value.isoformat()
    return fspath(value) if isinstance(value, PathLike) else value


def once(owner: str, shared: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse what is given both by `partial` and by `map`."""
    twice = sorted(shared.keys() & given.keys())
    if twice:
        raise GraphError(f"{owner} is given {twice[0]!r} both by partial() and by map()")


def map_field(owner: str, items: Mapping[str, Item], limit: int | None) -> dict[str, Any]:
    """The field of a task's spec that says what it is mapped over; none when it is not."""
    if not items:
        return {}
    spec = MapSpec(over=tuple(items), limit=MOST if limit is None else limit)
    lengths = {key: len(item.value) for key, item in items.items() if not isinstance(item.value, Linked)}
    if lengths:
        check_lengths(owner, spec, lengths, shards=False)
    return {"map": spec}
