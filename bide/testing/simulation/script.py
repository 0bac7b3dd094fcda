"""The script of a simulation: how long each task takes, how it ends, when what it waits for comes true.

Plain data, read from TOML or JSON, or written in Python, where a field may also be a function of
the start that it is asked about. Nothing here draws chance or knows of a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import force_setattr

from bide.runtime import typed
from bide.runtime.errors import UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import read_date, read_span

NEVER: Final = "never"
TIME_OF_DAY: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class Begun(msgspec.Struct, frozen=True):
    """What a script's function is asked about: one start of a task, or one wait of a sensor."""

    dag: str
    task: str
    map_index: int
    attempt: int
    logical_date: datetime
    scheduled_for: datetime
    now: datetime
    random: Random


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A span drawn by the seed: one of `uniform = [least, most]`, `normal = [mean, deviation]`,
    `exponential = mean`, `choice = [...]`. None is below zero.
    """

    uniform: tuple[Any, Any] | None = None
    normal: tuple[Any, Any] | None = None
    exponential: Any = None
    choice: list[Any] | None = None

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a spread is one of {', '.join(self.__struct_fields__)}, and here are "
                f"{', '.join(given) or 'none'}"
            )

    def draw(self, random: Random) -> int:
        """Microseconds."""
        if self.uniform is not None:
            least, most = map(span_of, self.uniform)
            return random.randint(least, max(least, most))
        if self.normal is not None:
            return max(0, round(random.gauss(*map(span_of, self.normal))))
        if self.exponential is not None:
            return round(random.expovariate(1.0) * span_of(self.exponential))
        return span_of(random.choice(self.choice or [0]))


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which instances it happens to: each `every`-th one, those `at` these logical dates, a share by
    `chance`. `times`: only to that many of their attempts, the first ones; without it to all.
    """

    every: int | None = None
    at: list[str] = []
    chance: float = 0.0
    times: int | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a task or sensor goes. `on`: by logical date (in the DAG's zone), instead of this.

    `duration` of each attempt, in simulated time. `arrives`, for sensors: when what is waited for
    comes true, as a span after the run's scheduled instant, a time of that day (`01:20`), an
    instant, or `never`; it is true from then on. `fail` fails the attempt, or the wait, with `error`
    (`final`: retries do not help); `skip` skips it. `output` is what it returns, or the sensor's event.
    """

    duration: Any = 0.0  # a timedelta, seconds, "20m", a `Spread`, or a function of `Begun`
    arrives: Any = 0.0  # the same, or a datetime, "01:20", "2026-06-15T04:00", "never"
    fail: Any = False  # a bool, a `When`, or a function of `Begun`
    skip: Any = False
    error: str = "failed by the script"
    final: bool = False
    output: Any = None
    on: dict[str, Rule] = {}

    def __post_init__(self) -> None:
        for name, kind in (("duration", Spread), ("arrives", Spread), ("fail", When), ("skip", When)):
            value = getattr(self, name)
            if isinstance(value, dict):
                force_setattr(self, name, typed.convert(value, kind))


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the trigger of an `On(...)` schedule sees: something each `every` (a span, or a `Spread`),
    and `at` these instants. `event` is what each brings, with its `number` among them.
    """

    every: Any = None
    at: list[str] = []
    event: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if isinstance(self.every, dict):
            force_setattr(self, "every", typed.convert(self.every, Spread))


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person does at an instant: `pause`, `unpause`, or `trigger` (with `date` and `params`)."""

    at: str
    do: Literal["pause", "unpause", "trigger"]
    dag: str
    date: str | None = None
    params: dict[str, Any] = {}


class Down(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """No runtime lives from `since` to `until` (`from` and `to` in a file): what then goes on is
    decided by catchup, by policy and by deadlines, as after any restart.
    """

    since: str
    until: str


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rules by `dag.task`; the name itself rules before patterns (`dag.*`, `*.load`, `*`), of which
    the first that fits does. What no rule names succeeds at once, and what it waits for is true.
    """

    tasks: dict[str, Rule] = {}
    events: dict[str, Events] = {}
    orders: list[Order] = []
    down: list[Down] = []
    seed: int = 0

    def rule(self, dag: str, task: str) -> Rule:
        """What goes for a task."""
        name = f"{dag}.{task}"
        found = self.tasks.get(name)
        if found is not None:
            return found
        for pattern, rule in self.tasks.items():
            if fnmatchcase(name, pattern):
                return rule
        return ALL_WELL

    def check(self, dags: Sequence[Dag]) -> None:
        """`UsageError` for a name that no task has, and for what could not be read when it is needed."""
        named = [f"{dag.name}.{task}" for dag in dags for task in dag.tasks]
        for name, rule in self.tasks.items():
            if not any(fnmatchcase(each, name) for each in named):
                instead = suggestion(name, named) or f"; there are {', '.join(named[:8])}"
                raise UsageError(f"the script has a rule for {name!r}, which no DAG has{instead}")
            _check_rule(name, rule)
        by_name = {dag.name: dag for dag in dags}
        for name, told in self.events.items():
            if name not in by_name:
                raise UsageError(f"the script has events for the DAG {name!r}, which is not simulated")
            waits = any(part.standing() is not None for part in by_name[name].schedule.parts())
            if not waits:
                raise UsageError(f"the script has events for the DAG {name!r}, whose schedule waits for none")
            _check_events(name, told)


ALL_WELL = Rule()


def span_of(value: Any) -> int:
    """Microseconds of a timedelta, of seconds, or of `20m`."""
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, int | float):
        return round(value * 1_000_000)
    return read_span(str(value))


def _check_rule(name: str, rule: Rule) -> None:
    _check_span(f"the script's rule for {name!r}: its duration", rule.duration)
    _check_arrival(name, rule.arrives)
    for date, other in rule.on.items():
        _check_rule(f"{name} on {date}", other)


def _check_events(name: str, told: Events) -> None:
    if told.every is None and not told.at:
        raise UsageError(f"the script's events for {name!r} never come: say `every` a span, or `at` instants")
    if told.every is not None:
        _check_span(f"the script's events for {name!r}: every", told.every)
    for text in told.at:
        try:
            read_date(text)
        except UsageError as error:
            raise UsageError(f"the script's events for {name!r}: at: {error}") from None


def _check_span(what: str, value: Any) -> None:
    spans: list[Any] = [value]
    if isinstance(value, Spread):
        spans = [each for field in msgspec.structs.astuple(value) if field for each in _each(field)]
    for each in spans:
        if not callable(each):
            try:
                span_of(each)
            except UsageError as error:
                raise UsageError(f"{what}: {error}") from None


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _check_arrival(name: str, value: Any) -> None:
    if not isinstance(value, str) or value == NEVER or TIME_OF_DAY.fullmatch(value):
        return
    for read in (read_span, read_date):
        try:
            read(value)
        except UsageError:
            continue
        return
    raise UsageError(
        f"the script's rule for {name!r}: arrives={value!r} is no instant: write a span after the scheduled "
        "instant (20m), a time of that day (01:20), an instant (2026-06-15T04:00), or never"
    )
