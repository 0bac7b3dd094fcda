"""The settings in force, and where each comes from, as people and programs may see them: secrets masked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bide.runtime.config import Config, Values
from bide.runtime.notify.routes import RouteSetting, routes_of
from bide.runtime.service.masking import unmasked_part
from bide.runtime.service.shapes import Setting


def settings_shown(config: Config, db: Path | None = None) -> list[Setting]:
    """Every setting, in the order in which they are declared. `db`: the database that is meant where none is named."""
    if db is not None:
        config = msgspec.structs.replace(config, db=str(db))
    return [
        Setting(key=key, value=_shown(key, getattr(config, key)), origin=config.origins.get(key, "default"))
        for key in (field.name for field in msgspec.structs.fields(Values))
    ]


def value_words(value: Any) -> str:
    """A setting's value on one line: text as it is, all else as JSON.

    >>> value_words({"gpu": 2}), value_words("FULL"), value_words(None)
    ('{"gpu":2}', 'FULL', '-')
    """
    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(key: str, value: Any) -> Any:
    if key == "notify":  # an address of a route is a secret as a whole
        return _routes(value)
    plain = msgspec.to_builtins(value)
    return unmasked_part(plain, by_name=key == "openlineage")


def _routes(said: Sequence[RouteSetting]) -> list[dict[str, Any]]:
    return [
        {"name": route.name, "to": route.where, "kinds": list(route.all_kinds), "at_least": route.at_least}
        for route in routes_of(said)
    ]
