"""The routes of notices and the hooks of a service that reads its files again: what has changed, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bide.runtime.notify.routes import Route


def changed(what: str, before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """What came, went and is otherwise; "" when nothing is.

    >>> changed("routes", {"a": 1, "b": 2}, {"b": 3, "c": 4})
    'routes: c is new, a is gone, b has changed'
    >>> changed("routes", {"a": 1}, {"a": 1})
    ''
    """
    new = [name for name in now if name not in before]
    gone = [name for name in before if name not in now]
    other = [name for name in now if name in before and before[name] != now[name]]
    parts = [
        f"{', '.join(sorted(names))} {one if len(names) == 1 else many}"
        for names, one, many in (
            (new, "is new", "are new"), (gone, "is gone", "are gone"), (other, "has changed", "have changed"),
        )
        if names
    ]  # fmt: skip
    return f"{what}: {', '.join(parts)}" if parts else ""


def rerouted(before: Sequence[Route], now: Sequence[Route]) -> str:
    """What has changed of the routes of notices."""
    return changed("routes", {each.name: each for each in before}, {each.name: each for each in now})
