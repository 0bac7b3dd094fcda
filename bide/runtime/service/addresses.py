"""How people and programs name things: a run, `RUN/TASK[3]`, a date, a span, an asset, `k=v` parameters. Pure.

Everything here raises `UsageError` with what was typed and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.assets.asset import Asset, AssetSpec
from bide.runtime.clock import DAY, HOUR, MINUTE, SECOND, from_us, to_us
from bide.runtime.errors import UsageError
from bide.runtime.graph.params import from_texts

_BETWEEN: Final = re.compile(r"\.\.|/| to ")
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


class TaskAddress(msgspec.Struct, frozen=True):
    task: str
    map_index: int = -1


def run_number(text: str) -> int:
    """The number of a run from what was typed.

    >>> run_number("12")
    12
    """
    return _number(text, "run", "`bide runs` lists them")


def wait_number(text: str) -> int:
    """The number of a wait from what was typed."""
    return _number(text, "wait", "`bide waits` lists them")


def notice_number(text: str) -> int:
    """The number of a notice from what was typed."""
    return _number(text, "notice", "`bide notify list` lists them")


def alert_number(text: str) -> int:
    """The number of an alert from what was typed."""
    return _number(text, "alert", "`bide alerts` lists them")


def approval_number(text: str) -> int:
    """The number of an approval from what was typed."""
    return _number(text, "approval", "`bide approvals` lists them")


def delivery_number(text: str) -> int:
    """The number of a delivery from what was typed."""
    return _number(text, "delivery", "`bide effects` lists them")


def backfill_number(text: str) -> int:
    """The number of a backfill from what was typed."""
    return _number(text, "backfill", "`bide backfill list` lists them")


def asset_name(asset: object) -> str:
    """The name of an asset, from the asset itself or its name.

    >>> asset_name("gold")
    'gold'
    """
    name = asset.name if isinstance(asset, Asset | AssetSpec) else asset
    if not isinstance(name, str):
        raise UsageError(f"{asset!r} is no asset: give its name, or the Asset itself")
    return name


def asset_version_number(text: object) -> int:
    """The number of a version of an asset from what was typed, or from what has one.

    >>> asset_version_number("7"), asset_version_number(7)
    (7, 7)
    """
    return _number(text, "version", "`bide assets show ASSET` lists them", "version", "version_id")


def version_number(text: object) -> int:
    """The number of a version of a DAG's graph from what was typed."""
    return _number(text, "version of a DAG", "`GET /dags/{dag}/versions` lists them", "version")


def code_number(text: object) -> int:
    """The number of a code that a DAG was loaded with, from what was typed."""
    return _number(text, "code of a DAG", "`bide dags code DAG --list` lists them", "code")


def before_number(text: str | None) -> int:
    """The number below which a page of a listing begins; None: at the newest."""
    return (
        2**63 - 1 if text is None else _number(text, "item", "it is that of the last one of the page before")
    )


def bounded(limit: int) -> int:
    """The limit of a listing; raises `UsageError` for one that none has."""
    if not 1 <= limit <= 100_000:
        raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
    return limit


def incident_number(text: str) -> int:
    """The number of an incident from what was typed."""
    return _number(text, "incident", "`bide incident list` lists them")


def invalidation_number(text: object) -> int:
    """The number of an invalidation from what was typed, or from the invalidation itself."""
    return _number(text, "invalidation", "`bide assets invalidations` lists them", "invalidation_id")


def instance_number(given: object) -> int:
    """The number of a task of a run, from the last item of a page."""
    return _number(given, "item", "it is the `id` of the last one of the page before", "id")


def action_number(text: str) -> int:
    """The number of an action on many from what was typed."""
    return _number(text, "action", "what begins one says its number")


def plan_number(text: object) -> int:
    """The number of a rerun plan from what was typed, or from the plan itself."""
    return _number(text, "plan", "`bide assets plans` lists them", "plan_id", "id")


def entity(kind: str, said: str) -> str | int | None:
    """The id of what has a number as it stands (store/revisions.py), a DAG by its name; None: such have none."""
    if kind == "dag":
        return said
    read = _NUMBERS.get(kind)
    return None if read is None else read(said)


def _number(given: object, what: str, advice: str, *fields: str) -> int:
    """The number that was typed or handed, or the one in a field of what was handed."""
    said = next((getattr(given, field) for field in fields if hasattr(given, field)), given)
    text = str(said) if isinstance(said, int) and not isinstance(said, bool) else said
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,18}", text):
        raise UsageError(f"{given!r} names no {what}: {what}s have whole numbers; {advice}")
    return int(text)


_NUMBERS: Final = {
    "run": run_number,
    "wait": wait_number,
    "approval": approval_number,
    "backfill": backfill_number,
    "plan": plan_number,
    "incident": incident_number,
    "version": asset_version_number,
}


def task_address(text: str) -> TaskAddress:
    """A task of a run, one mapped instance of it with its index.

    >>> task_address("load"), task_address("load[3]")
    (TaskAddress(task='load', map_index=-1), TaskAddress(task='load', map_index=3))
    """
    match = re.fullmatch(r"(.+?)(?:\[([0-9]{1,9})\])?", text)
    if match is None:
        raise UsageError(f"{text!r} names no task: write TASK, or TASK[3] for one instance of a mapped task")
    return TaskAddress(match[1], int(match[2]) if match[2] else -1)


def split_address(run: str, task: str | None = None, map_index: int | None = None) -> tuple[str, str | None]:
    """`RUN`, `RUN/TASK` and `RUN TASK` as (run, task); a map index given apart is put into the task's name.

    >>> split_address("12/load"), split_address("12", "load", 3), split_address("12")
    (('12', 'load'), ('12', 'load[3]'), ('12', None))
    """
    run, task = _run_and_task(run, task)
    if map_index is None:
        return run, task
    if task is None or task.endswith("]") or map_index < 0:
        raise UsageError(
            f"--map-index {map_index} is of which task? name it beside: {run} TASK --map-index 0"
        )
    return run, f"{task}[{map_index}]"


def _run_and_task(run: str, task: str | None) -> tuple[str, str | None]:
    head, slash, tail = run.partition("/")
    if slash and task is not None:
        raise UsageError(f"{run!r} names a task and so does {task!r}: write {head}/{task}")
    if slash and not tail:
        raise UsageError(f"{run!r} names no task after its slash: write {head}/TASK, or {head} alone")
    return head, tail if slash else task


def read_date(given: str | date, tz: str = "UTC") -> int:
    """Epoch microseconds of a date or an instant, an ISO one where it is text; one without a zone is read in `tz`.

    >>> read_date("2026-06-15"), read_date("2026-06-15T02:00:00+02:00")
    (1781481600000000, 1781481600000000)
    """
    text = given.isoformat() if isinstance(given, date) else str(given)
    try:
        when = datetime.fromisoformat(text.strip())
        if when.tzinfo is None:
            when = when.replace(tzinfo=ZoneInfo(tz))
        return to_us(when.astimezone(UTC))
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no date: write 2026-06-15, 2026-06-15T02:00 or 2026-06-15T02:00:00+02:00"
        ) from None


def read_interval(given: object, tz: str = "UTC") -> tuple[int, int]:
    """A day (`2026-06-15`), a month (`2026-06`), or `FROM..TO`, each a date or an instant, TO not included.

    `FROM/TO` and `FROM to TO`, as listings have it, are the same; so are a `date`, a pair of dates or instants, and
    what has a `start` and an `end`.

    >>> read_interval("2026-06-15") == read_interval("2026-06-15..2026-06-16")
    True
    >>> start, end = read_interval("2026-06", "Europe/Berlin"); (end - start) // 86_400_000_000
    30
    """
    pair = _pair(given)
    text = (
        given.strip()
        if isinstance(given, str)
        else given.isoformat()
        if isinstance(given, date)
        else str(given)
    )
    if pair is not None:
        start, end = (read_date(each, tz) for each in pair)
        if end <= start:
            raise UsageError(
                f"{text!r} is no interval: it ends before it begins; write the earlier one first"
            )
        return start, end
    try:
        if re.fullmatch(r"\d{4}-\d{2}", text):
            day = date.fromisoformat(f"{text}-01")
            after = (day + timedelta(days=31)).replace(day=1)
        else:
            day = date.fromisoformat(text)
            after = day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no interval: write a day, 2026-06-15, a month, 2026-06, or FROM..TO, such as "
            "2026-06-15T03:00..2026-06-15T04:00"
        ) from None
    return read_date(day.isoformat(), tz), read_date(after.isoformat(), tz)


def _pair(given: object) -> tuple[str | date, str | date] | None:
    """Both ends of what was handed, where it says both."""
    if isinstance(given, str):
        ends = _BETWEEN.split(given.strip())
        return (ends[0], ends[1]) if len(ends) == 2 else None
    if isinstance(given, Mapping):
        start, end = given.get("start"), given.get("end")
    elif isinstance(given, tuple | list) and len(given) == 2:
        start, end = given
    elif (start_us := getattr(given, "start_us", None)) is not None:
        start, end = from_us(start_us), from_us(getattr(given, "end_us", start_us))
    else:
        start, end = getattr(given, "start", None), getattr(given, "end", None)
    if isinstance(start, str | date) and isinstance(end, str | date):
        return start, end
    return None


def read_span(text: str) -> int:
    """Microseconds of `90s`, `30m`, `6h`, `1d`, `1h30m`; a bare number is seconds.

    >>> read_span("1h30m"), read_span("90")
    (5400000000, 90000000)
    """
    text = text.strip().lower()
    parts = re.findall(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([smhdw])", text)
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,12})?", text):
        return round(float(text) * SECOND)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise UsageError(f"{text!r} is no span of time: write 90s, 30m, 6h, 1d or 1h30m")
    us = sum(round(float(n) * _UNITS[u]) for n, u in parts)
    if us > 3660 * DAY:
        raise UsageError(f"{text!r} is more than ten years: write a span such as 6h")
    return us


def read_deadline(text: str) -> int:
    """A deadline; a span without its plus is told apart from a wrong date."""
    try:
        return read_date(text)
    except UsageError:
        if re.fullmatch(r"[0-9.]+[smhdw][0-9smhdw.]*", text):
            raise UsageError(
                f"{text!r} is a span, not an instant: write +{text} for that much later"
            ) from None
        raise


def read_params(pairs: list[str], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`k=v` pairs, each of the type that `schema` (of the DAG's parameters) says.

    Where it says none, a value that is JSON is taken as JSON, anything else as text.

    >>> read_params(["day=2026-06-15", "full=true", "n=3"])
    {'day': '2026-06-15', 'full': True, 'n': 3}
    """
    typed = {name: each for name, each in (schema or {}).get("properties", {}).items() if "type" in each}
    params: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--param {pair!r} has no key and value: write --param model=orders")
        if key in params:
            raise UsageError(f"--param {key} is said twice: say it once")
        if key in typed:
            params |= from_texts({"properties": typed}, {key: value})
            continue
        if value[:1] in "{[":
            params[key] = read_json(value, f"the value of --param {key}")
            continue
        try:
            params[key] = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            params[key] = value
    return params


def read_json(text: str, what: str) -> Any:
    """A JSON value as it was typed, or `UsageError` that names `what`."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise UsageError(f"{what} is not JSON ({error}): write it as '{{\"rows\": 3}}'") from None
