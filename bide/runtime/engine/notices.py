"""What the sender of notices says to `decide`: plain data, beside the other messages."""

from __future__ import annotations

from typing import Any

import msgspec


class NoticeMade(msgspec.Struct, frozen=True):
    """A notice to be sent over a route, for one alert or more."""

    route: str
    key: str
    kind: str
    severity: str
    title: str
    from_us: int
    next_us: int
    count: int = 1


class NoticesMoved(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender of notices has planned and found out: rows as in `Changes`, written together.

    An alert of `alerts` names its notice by number; -1 is the first of `new`, -2 the second. `token`: the reply,
    which has the numbers of the new ones, comes once it is committed.
    """

    token: int = 0
    new: tuple[NoticeMade, ...] = ()
    joined: tuple[tuple[Any, ...], ...] = ()
    alerts: tuple[tuple[int, int], ...] = ()
    set: tuple[tuple[Any, ...], ...] = ()
    off: tuple[tuple[str, str, str], ...] = ()
    on: tuple[str, ...] = ()
    routed: int | None = None
