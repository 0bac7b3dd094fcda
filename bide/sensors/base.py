"""What all sensors share: their options, their node, and how parameters become a trigger.

A sensor's parameters stand in the spec as they were written: strings are templates over the run,
callables of the context and outputs of other tasks are references. They are filled in when the
sensor's turn comes, once a wait.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypedDict, Unpack

from bide.runtime.clock import LONGEST, SECOND, span_us, to_us
from bide.runtime.errors import BideError, GraphError, UsageError
from bide.runtime.graph.binding import Verbatim
from bide.runtime.graph.building import Node, declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked, Output
from bide.runtime.graph.item import Item, items_in
from bide.runtime.graph.options import task_fields
from bide.runtime.graph.render import check, render
from bide.runtime.graph.spec import Lane, Mode, OnTimeout, SensorSpec, TriggerRule
from bide.runtime.graph.splitting import map_field, once, split
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules.promise import Promise
from bide.runtime.values import Secret
from bide.triggers.base import Trigger

TIMEOUT: Final = timedelta(hours=24)
"""How long a sensor waits unless it says otherwise. There is no waiting for ever."""
POLL_LEAST: Final = timedelta(milliseconds=10)


class SensorOptions(TypedDict, total=False):
    """The options of every sensor."""

    timeout: timedelta  # the total wait, from the first look; 24 h, never none
    poll_interval: timedelta  # between looks, where looks are made
    mode: Mode | str  # deferred, reschedule or poke: it ends the same in all three
    soft_fail: bool  # skipped instead of failed
    backoff: float  # each interval is the one before times this, to at most an hour
    on_timeout: OnTimeout | str  # fail, skip or succeed
    trigger_rule: TriggerRule | str
    pool: str | None
    slots: int
    priority: int
    max_active: int | None
    max_map: int  # the most instances that `map(...)` may make
    retries: int
    retry_delay: timedelta
    max_retry_delay: timedelta | None
    jitter: float
    deadline: timedelta | None
    deadline_alert: Promise | timedelta | None
    inlets: object
    outlets: object
    on_failure: object
    owner: str
    doc: str


_WAITING: Final = ("timeout", "poll_interval", "mode", "soft_fail", "backoff", "on_timeout")
_KNOWN: Final = frozenset(SensorOptions.__annotations__)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Sensor(Linked):
    """A node that waits. `sensor.output` is the event it ends with; `a >> sensor >> b` are edges.

    Relative paths are under the folder of the DAG's file. Strings are templates
    (`"drops/{interval.start:%Y-%m-%d}.csv"`); a callable of the context is taken in their place.
    """

    __slots__ = ("_node", "_spec", "_title")

    kind: ClassVar[str]
    """The trigger's kind."""
    poll_interval: ClassVar[timedelta] = timedelta(seconds=30)
    samples: ClassVar[Mapping[str, Any]] = {}
    """What stands for a parameter that is not known yet when the options are tried out. These can be mapped."""

    def __init__(
        self,
        name: str,
        params: Mapping[str, Any],
        options: SensorOptions,
        predicate: Callable[..., Any] | None = None,
    ) -> None:
        self._title: str = f"the sensor {name!r}"
        fields = self._fields(options)
        written = {key: value for key, value in params.items() if value is not None}
        for value in written.values():
            self._check(value)
        self._try_out(written)
        items = items_in(written)
        fields |= map_field(self._title, items, options.get("max_map"))
        over = {key: item.value for key, item in items.items()} if items else _NOTHING
        code = Code(kwargs=written, mapped=over, build=self._built, predicate=predicate)
        self._node: Node = declare(name, fields=fields, code=code)
        self._spec: SensorSpec = self._node.fields["sensor"]

    def _built(self, resolved: Mapping[str, Any], facts: Facts) -> Trigger:
        written = self._node.code.kwargs
        filled = {key: _filled(value, written.get(key), facts) for key, value in resolved.items()}
        return self.make(filled, facts)

    @classmethod
    def map(cls, *args: Any, **options: Any) -> Output:
        """One wait for each item of a list that may be known only at run time: `FileSensor.map("in", path=names())`.

        The arguments are those of the sensor. Of its own options those that are outputs, lists, tuples
        or ranges are mapped, several side by side; `unmapped(x)` and any other value go whole to every
        instance. Returns the handle of the list of the events.
        """
        return cls._map(args, {}, options)

    @classmethod
    def partial(cls, *args: Any, **options: Any) -> PartialSensor:
        """Arguments that are the same for every instance: `FileSensor.partial("in", count=3).map(glob=...)`."""
        return PartialSensor(cls._map, args, options)

    @classmethod
    def _map(cls, args: tuple[Any, ...], shared: Mapping[str, Any], given: Mapping[str, Any]) -> Output:
        owner = f"the sensor {getattr(args[0], '__name__', args[0]) if args else given.get('name', cls.__name__)!r}"
        once(owner, shared, given)
        items, plain = split(owner, given, _KNOWN)
        for key in items:
            if key not in cls.samples:
                known = (
                    f"what can be mapped is {', '.join(cls.samples)}"
                    if cls.samples
                    else "nothing of it can be mapped"
                )
                raise GraphError(
                    f"{owner}: {key} cannot be mapped: {known}; unmapped(...) gives a list whole"
                )
        declared: Any = cls
        return declared(*args, **{**shared, **plain, **items}).output  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def output(self) -> Output:
        """The event that ends the wait, plain data; a key of it: `sensor.output["path"]`."""
        return self._node.output

    def __getitem__(self, key: str | int) -> Output:
        return self.output[key]

    def __repr__(self) -> str:
        spec = self._spec
        return (
            f"<{type(self).__name__} {self.name!r}: {spec.mode}, at most "
            f"{timedelta(microseconds=spec.timeout_us)}, looks every {timedelta(microseconds=spec.poll_us)}>"
        )

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> Trigger:
        """The trigger, from parameters that are filled in. `UsageError` when they cannot be meant."""
        raise NotImplementedError

    # --- options ------------------------------------------------------------------------------

    def _fields(self, options: SensorOptions) -> dict[str, Any]:
        for option in options:
            if option not in _KNOWN:
                raise GraphError(f"{self._title} has no option {option!r}{suggestion(option, _KNOWN)}")
        fields = task_fields(
            self._title, {key: value for key, value in options.items() if key not in _WAITING}
        )
        timeout_us = self._span(options.get("timeout", TIMEOUT), "timeout")
        poll_us = self._span(options.get("poll_interval", self.poll_interval), "poll_interval")
        if poll_us < span_us(POLL_LEAST):
            raise GraphError(f"{self._title}: poll_interval is below 10 ms: that is a busy loop")
        soft_fail: object = options.get("soft_fail", False)
        if not isinstance(soft_fail, bool):
            raise GraphError(f"{self._title}: soft_fail is {soft_fail!r}, and must be True or False")
        backoff: object = options.get("backoff", 1.0)
        if not isinstance(backoff, int | float) or not 1.0 <= backoff <= 100.0:
            raise GraphError(f"{self._title}: backoff is {backoff!r}, and must be between 1 and 100")
        fields["lane"] = Lane.WAIT
        fields["sensor"] = SensorSpec(
            trigger=self.kind,
            params={},
            timeout_us=timeout_us,
            poll_us=min(poll_us, timeout_us),
            mode=self._one_of(Mode, options.get("mode", Mode.DEFERRED), "mode"),
            soft_fail=soft_fail,
            backoff=float(backoff),
            on_timeout=self._on_timeout(options.get("on_timeout"), soft_fail),
            timeout_given="timeout" in options,
        )
        return fields

    def _on_timeout(self, asked: Any, soft_fail: bool) -> OnTimeout:
        if asked is None:
            return OnTimeout.SKIP if soft_fail else OnTimeout.FAIL
        chosen: OnTimeout = self._one_of(OnTimeout, asked, "on_timeout")
        if soft_fail and chosen is OnTimeout.FAIL:
            raise GraphError(
                f'{self._title}: soft_fail=True skips it when it fails, and on_timeout="fail" says '
                "the opposite: leave one of them out"
            )
        return chosen

    def _one_of(self, kind: Any, asked: Any, option: str) -> Any:
        try:
            return kind(str(asked))
        except ValueError:
            known = ", ".join(str(each) for each in kind)
            raise GraphError(
                f"{self._title}: {option} is {asked!r}, and must be one of {known}"
                f"{suggestion(str(asked), [str(each) for each in kind])}"
            ) from None

    def _span(self, value: object, option: str) -> int:
        if value is None and option == "timeout":
            raise GraphError(
                f"{self._title}: timeout is None, and no sensor waits for ever: give a timedelta"
            )
        if not isinstance(value, timedelta):
            raise GraphError(
                f"{self._title}: {option} is {value!r}, and must be a timedelta: write timedelta(seconds=...)"
            )
        time = option in ("timeout", "poll_interval", "look_timeout", "call_timeout")
        if time and value <= timedelta(0):
            raise GraphError(f"{self._title}: {option} is {value}, and must be above zero")
        if time and value > LONGEST:
            raise GraphError(f"{self._title}: {option} is {value}, and must be at most {LONGEST.days} days")
        return span_us(value)

    # --- parameters ---------------------------------------------------------------------------

    def span_param(self, value: timedelta | None, option: str) -> int | None:
        """A span among a sensor's own parameters, as microseconds."""
        return None if value is None else self._span(value, option)

    def _check(self, value: Any) -> None:
        """Refuse a template that can never be rendered and a callable that can never be called."""
        if isinstance(value, Item):
            self._check(value.value)
        elif isinstance(value, str):
            try:
                check(value)
            except UsageError as error:
                raise GraphError(f"{self._title}: {error}") from None
        elif isinstance(value, Mapping):
            for item in value.values():
                self._check(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self._check(item)
        elif inspect.iscoroutinefunction(value):
            raise GraphError(
                f"{self._title}: {value!r} is async: what fills in a parameter is a plain function"
            )

    def _try_out(self, written: Mapping[str, Any]) -> None:
        """Make a trigger now, with samples for what only a run knows: wrong options are found early."""
        params: dict[str, Any] = {}
        for key, value in written.items():
            if isinstance(value, Item) and not _dynamic(first := value.written(0)) and first is not None:
                params[key] = first
            elif not _dynamic(value):
                params[key] = value
            elif key in self.samples:
                params[key] = self.samples[key]
            else:
                return
        try:
            self.make(params, _SAMPLE_FACTS)
        except ModuleNotFoundError:
            return  # the trigger's library is missing here; a run says so
        except (BideError, TypeError, ValueError) as error:
            raise GraphError(f"{self._title}: {error}") from None


_SAMPLE_FACTS: Final = Facts(
    dag="sample",
    task="sample",
    run_id=0,
    logical_us=1_750_000_000 * SECOND,
    start_us=1_750_000_000 * SECOND,
    end_us=1_750_000_000 * SECOND,
    scheduled_us=1_750_000_000 * SECOND,
)


def _dynamic(value: Any) -> bool:
    """Whether it is filled in by the run."""
    if isinstance(value, str):
        return "{" in value or "}" in value
    if isinstance(value, Mapping):
        return any(_dynamic(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_dynamic(item) for item in value)
    return isinstance(value, Linked | Item) or (callable(value) and not isinstance(value, Secret))


def _filled(value: Any, written: Any, facts: Facts) -> Any:
    """`value` with its templates rendered. What an upstream returned is never read as a template."""
    if isinstance(written, Item):
        written = written.written(facts.map_index)
    if isinstance(value, Verbatim):
        return value.value
    if isinstance(written, Linked):
        return value
    if isinstance(value, str):
        return render(value, facts)
    if isinstance(value, Secret):
        return value
    if callable(value):
        return value(facts)
    if isinstance(value, Mapping):
        inner = written if isinstance(written, Mapping) else {}
        return {key: _filled(item, inner.get(key), facts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items: Sequence[Any] = written if isinstance(written, list | tuple) else ()
        padded = [*items, *[None] * (len(value) - len(items))]
        return [_filled(item, raw, facts) for item, raw in zip(value, padded, strict=False)]
    return value


class PartialSensor:
    """A sensor with the arguments that all of its instances share; see `Sensor.partial`."""

    def __init__(
        self, declare_mapped: Callable[..., Output], args: tuple[Any, ...], shared: Mapping[str, Any]
    ) -> None:
        self._map = declare_mapped
        self._args = args
        self._shared = dict(shared)

    def map(self, **options: Any) -> Output:
        """As `Sensor.map`, beside what was given to `partial`, which is never mapped."""
        return self._map(self._args, self._shared, options)


def copied(value: Any) -> Any:
    """A parameter that is a mapping, as a dict of our own; an output or an item as it is."""
    return dict(value) if isinstance(value, Mapping) else value


def moment(value: Any) -> Any:
    """A datetime as a parameter: aware ones as microseconds, naive ones as text in the DAG's zone."""
    if isinstance(value, datetime):
        return to_us(value) if value.tzinfo is not None else value.isoformat()
    return value


def moment_us(value: Any, facts: Facts, what: str) -> int:
    """The instant of a parameter that is filled in: microseconds, an ISO 8601 text, a datetime."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(
                f"{what} is {value!r}, and must be a date and time like 2026-06-15T06:00 (ISO 8601)"
            ) from None
    if not isinstance(value, datetime):
        raise UsageError(f"{what} is {value!r}, and must be a datetime")
    return to_us(value if value.tzinfo is not None else in_zone(value, facts))


def in_zone(naive: datetime, facts: Facts) -> datetime:
    """A naive datetime as the DAG's zone has it."""
    return naive.replace(tzinfo=facts.interval.start.tzinfo)


__all__ = ["TIMEOUT", "Sensor", "SensorOptions", "Unpack", "copied", "in_zone", "moment", "moment_us"]
