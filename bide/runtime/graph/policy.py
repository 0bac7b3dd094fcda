"""The options of a DAG: its schedule, its zone, and what the scheduler keeps to.

`policy` is plain JSON and goes with the DAG into the store, beside its schedule; it is not part of
a version, so a change of it makes none:

    start_us, end_us         firings stand in [start, end); None: no bound
    catchup                  "latest" | "all" | "none" | "within": of firings missed
    catchup_within_us        how far back "within" reaches; only there with it
    catchup_cap              how many missed firings are run at most; only there when given
    overlap                  "queue_all" | "queue_one" | "skip" | "cancel_running"
    backfill_window_us       how far back catchup reaches; None: no bound
    max_active_runs, max_active_tasks, deadline_us, on_pause    as in the spec
    tz                       the DAG's zone
    deadline_alert           when a run is late: a `Promise`; absent: never
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.clock import to_us
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.options import promise, span
from bide.runtime.graph.params import declared
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules import Manual, Schedule, Within
from bide.runtime.schedules.catchup import MOST
from bide.runtime.schedules.zones import zone

_CATCHUP: Final = ("latest", "all", "none")
_OVERLAP: Final = ("queue_all", "queue_one", "skip", "cancel_running")
_KNOWN: Final = frozenset(
    [
        "name",
        "schedule",
        "start",
        "end",
        "tz",
        "catchup",
        "catchup_cap",
        "max_active_runs",
        "max_active_tasks",
        "max_active_backfill_runs",
        "overlap",
        "backfill_window",
        "deadline",
        "deadline_alert",
        "on_pause",
        "on_all_failed",
        "on_success",
        "owner",
        "tags",
        "params",
        "doc",
        "shadow",
    ]
)


def policy_fields(owner: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], Schedule, dict[str, Any]]:
    """(fields of `DagSpec`, the schedule in the DAG's zone, the policy) for the options of `@dag`."""
    for option in options:
        if option not in _KNOWN:
            raise GraphError(f"{owner} has no option {option!r}{suggestion(option, _KNOWN)}")
    schedule = options.get("schedule", Manual())
    if not isinstance(schedule, Schedule):
        raise GraphError(
            f"{owner}: schedule is {schedule!r}, and must be a schedule: "
            'Manual(), Every(hours=1), Cron("0 2 * * *") or OnAssets(orders, consume="each")'
        )
    tz = options.get("tz") or schedule.zone_name or "UTC"
    in_zone = zone(_text(owner, "tz", tz))
    catchup = _catchup(owner, options)
    every = catchup["catchup"] in ("all", "within") or any(part.event for part in schedule.parts())
    overlap = options.get("overlap") or ("queue_all" if every else "queue_one")
    runs = _count(owner, "max_active_runs", options.get("max_active_runs", 1))
    tasks = options.get("max_active_tasks")
    if tasks is not None:
        _count(owner, "max_active_tasks", tasks)
    spans = {}
    for option in ("deadline", "backfill_window"):
        value = options.get(option)
        spans[option] = None if value is None else span(value, f"{owner}: {option}")
        if spans[option] is not None and spans[option] <= 0:  # type: ignore[operator]
            raise GraphError(f"{owner}: {option} must be longer than nothing")
    on_pause = _one_of(owner, "on_pause", options.get("on_pause", "freeze"), ("freeze", "run"))
    start = _instant(owner, "start", options.get("start"), in_zone)
    end = _instant(owner, "end", options.get("end"), in_zone)
    if start is not None and end is not None and end <= start:
        raise GraphError(f"{owner}: end is not after start, so it would never run")
    shared = {
        "tz": tz,
        "max_active_runs": runs,
        "max_active_tasks": tasks,
        "deadline_us": spans["deadline"],
        "on_pause": on_pause,
    }
    defaults, schemas = declared(owner, options.get("params") or {})
    needed = [name for name, schema in schemas.items() if "default" not in schema]
    if needed and not isinstance(schedule, Manual):
        raise GraphError(
            f"{owner}: the parameter {needed[0]!r} has no default, and a schedule gives none: "
            "give it a default, or leave the schedule out"
        )
    fields = {
        **shared,
        "params": defaults,
        **({"param_schemas": schemas} if schemas else {}),
        "owner": _text(owner, "owner", options.get("owner", "")),
        "doc": _text(owner, "doc", options.get("doc", "")),
        "tags": _tags(owner, options.get("tags", ())),
        **({"shadow": True} if _flag(owner, "shadow", options.get("shadow", False)) else {}),
    }
    backfilling = {}
    if (most := options.get("max_active_backfill_runs")) is not None:
        backfilling["max_active_backfill_runs"] = _count(owner, "max_active_backfill_runs", most)
    policy = {
        **backfilling,
        **shared,
        "start_us": start,
        "end_us": end,
        **catchup,
        "overlap": _one_of(owner, "overlap", overlap, _OVERLAP),
        "backfill_window_us": spans["backfill_window"],
    }
    if (alert := promise(options.get("deadline_alert"), f"{owner}: deadline_alert")) is not None:
        policy["deadline_alert"] = msgspec.to_builtins(alert)
    return fields, schedule.in_zone(tz), policy


def _flag(owner: str, option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise GraphError(f"{owner}: {option} is {value!r}, and must be True or False")
    return value


def _catchup(owner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that judge missed firings, as they are stored."""
    asked, cap = options.get("catchup", "latest"), options.get("catchup_cap")
    if isinstance(asked, Within):
        found: dict[str, Any] = {"catchup": "within", "catchup_within_us": asked.span_us}
    else:
        found = {"catchup": _one_of(owner, "catchup", asked, _CATCHUP, " or within(timedelta(...))")}
    if cap is not None:
        if _count(owner, "catchup_cap", cap) > MOST:
            raise GraphError(f"{owner}: catchup_cap is {cap}, and must be {MOST:,} at most")
        if found["catchup"] not in ("all", "within"):
            raise GraphError(
                f'{owner}: catchup_cap bounds catchup="all" and within(...), and catchup is {asked!r}'
            )
        found["catchup_cap"] = cap
    return found


def _one_of(owner: str, option: str, value: Any, allowed: tuple[str, ...], more: str = "") -> str:
    if value not in allowed:
        raise GraphError(f"{owner}: {option} is {value!r}, and must be one of {', '.join(allowed)}{more}")
    return str(value)


def _count(owner: str, option: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise GraphError(f"{owner}: {option} is {value!r}, and must be a whole number, 1 or more")
    return value


def _text(owner: str, option: str, value: Any) -> str:
    if not isinstance(value, str):
        raise GraphError(f"{owner}: {option} is {value!r}, and must be a string")
    return value


def _tags(owner: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, str | list | tuple | set | frozenset):
        raise GraphError(f"{owner}: tags is {value!r}, and must be a string or a list of strings")
    tags = (value,) if isinstance(value, str) else tuple(value)
    return tuple([_text(owner, "tags", tag) for tag in tags])


def _instant(owner: str, option: str, value: Any, in_zone: ZoneInfo) -> int | None:
    """Epoch microseconds of a datetime or its ISO form; a naive one is read in the DAG's zone."""
    if value is None:
        return None
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise UsageError(
            f'{owner}: {option} is {value!r}, and must be a date: "2026-01-01" or "2026-01-01T06:00"'
        ) from None
    return to_us(when.replace(tzinfo=in_zone) if when.tzinfo is None else when)
