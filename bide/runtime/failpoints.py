"""Named places where a test may have the process die or an error rise; nothing unless armed.

Armed by `BIDE_FAILPOINT="NAME:COUNT:exit"` (or `:error`): at the COUNT-th pass through NAME the
process ends at once, as by kill -9, or `FailPoint` is raised. `"-:1:exit"` only counts the passes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

NAMES: Final[dict[str, int]] = {}
"""How often each name was passed in this process while armed, for sweeps that want to visit them all."""

_armed: str = ""
_left = 0
_how = ""


class FailPoint(Exception):  # noqa: N818 - a rehearsed accident
    """What an armed point raises."""


def arm(spec: str) -> None:
    """`NAME:COUNT:exit` or `NAME:COUNT:error`; "" disarms."""
    global _armed, _left, _how
    if not spec:
        _armed = ""
        return
    name, count, how = spec.split(":")
    _armed, _left, _how = name, int(count), how


def armed() -> bool:
    """Whether anything is rehearsed in this process: places that cost something to name ask first."""
    return bool(_armed)


def point(name: str) -> None:
    """Pass a named place."""
    global _left
    if not _armed:
        return
    NAMES[name] = NAMES.get(name, 0) + 1
    if name != _armed:
        return
    _left -= 1
    if _left:
        return
    if _how == "exit":
        os._exit(137)
    raise FailPoint(name)


def around(name: str, act: Callable[[T], None]) -> Callable[[T], None]:
    """`act` with a point before it and one after it."""

    def acted(what: T) -> None:
        point(f"before-{name}")
        act(what)
        point(f"after-{name}")

    return acted


arm(os.environ.get("BIDE_FAILPOINT", ""))
