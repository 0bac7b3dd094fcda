"""An item: in the place of an option of a sensor or a command that is another for each instance of it.

The lists stand in the keyword arguments of the task's spec, where those of a mapped function do, so
that both are counted and expanded alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bide.runtime.graph.handle import Linked


class Item:
    """What each instance has in this place of `value`, a list or an output; `key` names it."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self.value = value

    def __repr__(self) -> str:
        return f"<an item of {self.key}>"

    def written(self, index: int) -> Any:
        """What is written for one instance: an output where only a run knows it."""
        if isinstance(self.value, Linked):
            return self.value
        return self.value[index] if index < len(self.value) else None


def items_in(place: Any) -> dict[str, Item]:
    """The items among parameters, by their keys, however deep they stand."""
    if isinstance(place, Item):
        return {place.key: place}
    found: dict[str, Item] = {}
    if isinstance(place, Mapping):
        place = list(place.values())
    if isinstance(place, list | tuple):
        for each in place:
            found |= items_in(each)
    return found
