"""Schedules as they are stored: JSON with their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.any_of import AnyOf
from bide.runtime.schedules.base import Schedule
from bide.runtime.schedules.cron import Cron
from bide.runtime.schedules.every import Every
from bide.runtime.schedules.manual import Manual
from bide.runtime.schedules.on import on_from
from bide.runtime.schedules.on_assets import OnAssets

_Raw = dict[str, Any]


def _plain(kind: type[Schedule]) -> Callable[[_Raw], Schedule]:
    return lambda raw: typed.convert(raw, kind)


def _any_of(raw: _Raw) -> Schedule:
    return AnyOf(*map(_read, raw["members"]))


KINDS: Final[dict[str, Callable[[_Raw], Schedule]]] = {
    "manual": _plain(Manual),
    "every": _plain(Every),
    "cron": _plain(Cron),
    "on": on_from,
    "on_assets": _plain(OnAssets),
    "any_of": _any_of,
}
"""By tag: how a kind is made from its JSON. One more kind is one more line."""


def _read(raw: _Raw) -> Schedule:
    return KINDS[raw["kind"]](raw)


def schedule_from_json(data: bytes | str) -> Schedule:
    """The schedule that `Schedule.to_json` wrote."""
    try:
        return _read(typed.decode(data, _Raw))
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ScheduleError(f"the stored schedule {data!r} cannot be read: {error}") from None
