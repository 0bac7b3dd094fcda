"""Configuration: what can be set, where it was set, and where the database stands.

In rising order: the defaults, `[tool.bide]` of `pyproject.toml`, `bide.toml`, `BIDE_*` in the
environment, flags. The files are those of the project: the nearest folder upward that has one.
Lists in the environment are separated by commas, tables are JSON. An unknown key in a file is an
error; in the environment only one that looks like a misspelt key is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bide.runtime import typed
from bide.runtime.errors import UsageError
from bide.runtime.lineage.settings import OpenLineage
from bide.runtime.notify.routes import RouteSetting, routes_of
from bide.runtime.project import project_files, project_folder

_PREFIX: Final = "BIDE_"
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")


class PoolLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of a pool: attempts that execute at once, and tasks begun and not ended. None: no limit."""

    slots: int | None = None
    in_flight: int | None = None


class BudgetSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units that tasks may spend in each window of `per`, backfills `backfill_units` of them."""

    units: float
    per: str = "1h"
    backfill_units: float | None = None


class RetentionOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of one DAG's runs; an empty `keep` is that of all."""

    keep: str = ""
    last: int = 1


class RetentionSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long what is over is kept: runs that ended within `keep`, and the newest `last` of each DAG.

    `audit`: how long the audit log says who did what, whatever is kept of the runs. `every`: a service prunes by itself so often; empty: only `bide db prune` does.
    """

    keep: str = "90d"
    last: int = 1
    audit: str = "400d"
    dags: dict[str, RetentionOf] = {}
    every: str = ""


class Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every key, its type, its range and its default."""

    db: str | None = None
    paths: list[str] = []
    slots: int = 64
    pools: dict[str, int | PoolLimits] = {}
    budgets: dict[str, float | BudgetSetting] = {}
    backfill_share: float = 0.25
    asset_caps: dict[str, int] = {}
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    stop_timeout: float = 30.0
    openlineage: OpenLineage | None = None
    retention: RetentionSetting = RetentionSetting()
    notify: list[RouteSetting] = []
    url: str | None = None
    token_file: str | None = None
    host: str | None = None
    port: int | None = None
    hosts: list[str] = []


class Config(Values, frozen=True, kw_only=True):
    """The values in force, and for each the place it comes from.

    `db`: the database; None: `default_db`. `paths`: files and folders with DAGs, relative to the file that names
    them. `slots`: attempts at once. `pools`: slots by name, or `{slots = 4, in_flight = 50}`. `budgets`: units
    an hour by name, or `{units = 100, per = "1d", backfill_units = 60}`. `backfill_share`: what backfills are sure of
    beside live runs. `asset_caps`: runs of backfills that may write an asset at once. `synchronous`:
    "NORMAL" may lose the last commits when the power fails. `stop_timeout`: seconds a stop waits for running
    attempts. `openlineage`: where lineage is sent. `retention`: how long runs are kept. `notify`: who is told of what. `url`: the service that commands
    ask in place of a database. `token_file`: the file with the token for it. `host`, `port`: where a service
    listens over TCP, beside its socket; without a port nowhere. `hosts`: the names it is asked by there.
    """

    origins: dict[str, str] = {}
    """By key: `default`, a file's path, `BIDE_SLOTS`, or `flag`."""

    folder: str = "."
    """The project's folder: that of the file, else the current one."""


_KEYS: Final = tuple(field.name for field in msgspec.structs.fields(Values))


def load_config(env: Mapping[str, str], cwd: Path, flags: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a process that stands in `cwd`; a flag that is None was not given.

    Raises `UsageError` that names the key and the place.
    """
    folder = project_folder(cwd)
    found: dict[str, Any] = {}
    origins = dict.fromkeys(_KEYS, "default")
    layers: list[tuple[Mapping[str, Any], Mapping[str, str]]] = []
    if folder is not None:
        for path, table in project_files(folder):
            layers.append((table, dict.fromkeys(table, str(path))))
    given = {key: text for key, text in env.items() if key.startswith(_PREFIX)}
    layers.append((_from_environment(given), {key[len(_PREFIX) :].lower(): key for key in given}))
    flagged = {key: value for key, value in (flags or {}).items() if value is not None}
    layers.append((flagged, dict.fromkeys(flagged, "flag")))
    for values, places in layers:
        for key, value in values.items():
            found[key] = _checked(key, value, places[key])
            origins[key] = places[key]
    return Config(**found, origins=origins, folder=str(folder or cwd))


def _from_environment(given: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in given.items():
        key = variable[len(_PREFIX) :].lower()
        if key not in _KEYS and not get_close_matches(key, _KEYS, n=1, cutoff=0.8):
            continue  # the variable of another room, or of a program around us
        if key in ("paths", "hosts"):
            values[key] = [part for part in text.split(",") if part]
        elif key in ("pools", "budgets", "asset_caps", "openlineage", "notify", "retention"):
            try:
                values[key] = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                raise UsageError(f'{variable} is {text!r}, and must be JSON: {{"gpu": 2}}') from None
        else:
            values[key] = text
    return values


def _checked(key: str, value: Any, place: str) -> Any:
    if key not in _KEYS:
        close = get_close_matches(key, _KEYS, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(_KEYS)}"
        raise UsageError(f"{place}: there is no setting {key!r}: {advice}")
    said = f"--{key.replace('_', '-')}" if place == "flag" else f"{place}: {key}"
    try:
        # Text from the environment is read as the type of the key ("8" as 8), in a file it is an error.
        checked = typed.convert({key: value}, Values, strict=not place.startswith(_PREFIX))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        why = str(error).partition(" - at")[0]
        if unknown := _UNKNOWN.fullmatch(why):
            known = RouteSetting.__struct_fields__ if key == "notify" else ()
            close = get_close_matches(unknown[1], known, n=1)
            advice = f": did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{said} has no key {unknown[1]!r}{advice}") from None
        raise UsageError(f"{said} is {value!r}: {why}") from None
    found = getattr(checked, key)
    low = {"slots": 1, "stop_timeout": 0, "port": 0}.get(key)
    if low is not None and found is not None and found < low:
        raise UsageError(f"{said} is {found}, and must be {low} or more")
    if key == "port" and found is not None and found > 65_535:
        raise UsageError(f"{said} is {found}, and must be 65535 or less")
    for pool, limits in checked.pools.items():
        for limit in (limits,) if isinstance(limits, int) else (limits.slots, limits.in_flight):
            if limit is not None and limit < 1:
                raise UsageError(f"{place}: a limit of the pool {pool!r} is {limit}, and must be 1 or more")
    if key == "notify":
        try:
            routes_of(checked.notify)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
    return found
