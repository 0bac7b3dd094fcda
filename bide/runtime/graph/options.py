"""The options of a task: what an author writes, turned into fields of its spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypedDict, get_type_hints

from bide.runtime.clock import LONGEST, span_us
from bide.runtime.errors import GraphError
from bide.runtime.graph.spec import Lane, TriggerRule
from bide.runtime.graph.validate import check_name, check_ranges, suggestion
from bide.runtime.schedules.promise import Promise, promised


class CommandOptions(TypedDict, total=False):
    """The options that tasks and commands share; spans are timedeltas."""

    retries: int  # failed attempts that are tried again
    retry_delay: timedelta
    backoff: float  # each delay is the one before times this
    max_retry_delay: timedelta | None
    jitter: float  # share of the delay, 0..1, added at random
    retry_on: type[BaseException] | tuple[type[BaseException], ...]
    timeout: timedelta | None  # active time of one attempt
    deadline: timedelta | None  # from first ready to the end, waiting included
    deadline_alert: Promise | timedelta | None  # late by then: by("05:45"), or a span from first ready
    idempotent: bool
    max_lost: int  # starts lost in a row before the task waits for a person
    pool: str | None
    slots: int
    priority: int  # higher first
    trigger_rule: TriggerRule | str
    inlets: object  # names, or objects with a `.name`
    outlets: object
    cost: object  # units that each start spends: {"warehouse": 5}, or 5 of the budget named as its pool
    max_active: int | None  # of this task at once, over all runs
    setup: bool  # makes what others need, and a tear-down takes away
    teardown: bool  # runs when all upstreams have ended, if its set-ups succeeded
    fails_run: bool  # whether its failure fails the run
    depends_on_past: bool  # not before this task of the run before ended well
    on_failure: object  # a task or a call that starts if this one fails
    owner: str
    doc: str
    memory_limit: int | None  # bytes; process and shell lanes
    max_map: int  # the most instances that `map(...)` may make


class TaskOptions(CommandOptions, total=False):
    """The options of `@task` and `.options(...)`."""

    name: str
    branch: bool  # what it returns names those right downstream that run
    isolate: bool  # a killable process of its own
    lane: Lane | str


def span(value: object, option: str) -> int:
    """Microseconds of a timedelta."""
    if not isinstance(value, timedelta):
        raise GraphError(f"{option} is {value!r}, and must be a timedelta: write timedelta(seconds=...)")
    if value > LONGEST:
        raise GraphError(f"{option} is {value}, and must be at most {LONGEST.days} days")
    return span_us(value)


def _optional_span(value: object, option: str) -> int | None:
    return None if value is None else span(value, option)


def promise(value: object, option: str) -> Promise | None:
    """`by("05:45")`, or a span from the beginning; None: nothing is promised."""
    return None if value is None else promised(value, option)


def _names(value: object, option: str) -> tuple[str, ...]:
    items = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    names = []
    for item in items:
        name = item if isinstance(item, str) else getattr(item, "name", None)
        if not isinstance(name, str) or not name:
            raise GraphError(f"{option} holds {item!r}, and takes names or objects with a name")
        names.append(name)
    return tuple(names)


def _promises(value: object, option: str) -> dict[str, Promise]:
    """What the assets among the outlets promise."""
    items: Iterable[Any] = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    found = {
        item.name: promise(getattr(item, "promise", None), f"{option} {item.name}")
        for item in items
        if hasattr(item, "name")
    }
    return {name: one for name, one in found.items() if one is not None}


def _class_paths(value: object, option: str) -> tuple[str, ...]:
    paths = []
    for kind in value if isinstance(value, (tuple, list)) else (value,):
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise GraphError(f"{option} is {kind!r}, and must be an exception class or a tuple of them")
        paths.append(class_path(kind))
    return tuple(paths)


def class_path(kind: type) -> str:
    """`builtins.OSError`: how an exception class is named in a spec."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _rule(value: object, option: str) -> TriggerRule:
    try:
        return TriggerRule(str(value))
    except ValueError:
        raise GraphError(f"{option} is {value!r}, and must be one of {', '.join(TriggerRule)}") from None


def _handler(value: object, option: str) -> object:
    if value is None or hasattr(value, "handler_in"):
        return value
    raise GraphError(
        f"{option} is {value!r}, and must be a task or a call of one: on_failure=alert, on_failure=call(alert, ...)"
    )


def _cost(value: object, option: str) -> object:
    """Units by budget; a bare number is of the budget that is named as the task's pool: see `task_fields`."""
    units: dict[Any, Any] = value if isinstance(value, dict) else {"": value}
    for budget, number in units.items():
        if not isinstance(budget, str) or type(number) not in (int, float) or not 0 < number < 1e15:
            raise GraphError(
                f'{option} is {value!r}, and must be units by budget, such as {{"warehouse": 5}}'
            )
    return {budget: float(number) for budget, number in units.items()} or None


_CONVERT: Final[dict[str, tuple[str, Callable[[object, str], object]]]] = {
    "retry_delay": ("retry_delay_us", span),
    "max_retry_delay": ("max_retry_delay_us", _optional_span),
    "timeout": ("timeout_us", _optional_span),
    "deadline": ("deadline_us", _optional_span),
    "deadline_alert": ("alert", promise),
    "retry_on": ("retry_on", _class_paths),
    "trigger_rule": ("rule", _rule),
    "cost": ("cost", _cost),
    "inlets": ("inlets", _names),
    "outlets": ("outlets", _names),
    "on_failure": ("on_failure", _handler),
}
_KNOWN: Final = frozenset(get_type_hints(TaskOptions))
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "idempotent": (bool,),
    "isolate": (bool,),
    "branch": (bool,),
    "setup": (bool,),
    "teardown": (bool,),
    "fails_run": (bool,),
    "depends_on_past": (bool,),
    "pool": (str, type(None)),
    "owner": (str,),
    "doc": (str,),
    "jitter": (int, float),
    "backoff": (int, float),
}


def task_fields(owner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `TaskSpec` for `options`; `owner` begins an error's sentence: "the task 'load'".

    `name`, `isolate`, `lane` and `max_map` are checked here and left to the caller.
    """
    fields: dict[str, Any] = {}
    for option, value in options.items():
        if option not in _KNOWN:
            raise GraphError(f"{owner} has no option {option!r}{suggestion(option, _KNOWN)}")
        if option in _TYPES and not isinstance(value, _TYPES[option]):
            kinds = " or ".join(kind.__name__ for kind in _TYPES[option])
            raise GraphError(f"{owner}: {option} is {value!r}, and must be a {kinds}")
        if option == "name":
            check_name(value, "task")
        elif option in _CONVERT:
            field, convert = _CONVERT[option]
            fields[field] = convert(value, f"{owner}: {option}")
            if option == "outlets" and (promises := _promises(value, f"{owner}: the promise of")):
                fields["promises"] = promises
        elif option == "max_map":
            check_ranges(owner, {option: value})
        elif option not in ("isolate", "lane"):
            fields[option] = value
    if "" in (cost := fields.get("cost") or {}):
        if not fields.get("pool"):
            raise GraphError(
                f'{owner}: cost is {cost[""]:g} of which budget? write cost={{"warehouse": {cost[""]:g}}}, or name its pool'
            )
        fields["cost"] = {fields["pool"]: cost[""]}
    check_ranges(owner, fields)
    return fields


def lane_of(owner: str, options: Mapping[str, Any], is_async: bool) -> Lane:
    """Where the body runs: as `lane` says, else a process when isolated, the loop when async."""
    isolate = options.get("isolate", False)
    natural = Lane.ASYNC if is_async else Lane.THREAD
    asked = options.get("lane")
    if asked is None:
        lane = Lane.PROCESS if isolate else natural
    else:
        try:
            lane = Lane(str(asked))
        except ValueError:
            lane = Lane.WAIT
    if lane in (Lane.WAIT, Lane.SHELL, Lane.PERSON):
        raise GraphError(f"{owner}: lane is {asked!r}, and must be async, thread or process")
    if isolate and lane is not Lane.PROCESS:
        raise GraphError(f"{owner}: isolate=True means the process lane, and lane is {asked!r}")
    if (lane is Lane.ASYNC) is not is_async:
        if is_async:
            raise GraphError(f"{owner} is an `async def`, which runs in the loop: write a plain `def`")
        raise GraphError(f"{owner} is a plain `def`, which cannot run in the loop: write an `async def`")
    if options.get("memory_limit") is not None and lane is not Lane.PROCESS:
        raise GraphError(f"{owner}: memory_limit needs a process of its own: add isolate=True")
    return lane
