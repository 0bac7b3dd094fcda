"""What a script means for one start or one wait: its end, its length, the instant it comes true.

Chance is drawn from the seed and the name of what it is for, so that neither the order of the
draws nor a change elsewhere in the script moves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.clock import from_us, to_us
from bide.runtime.engine.messages import RunMeta
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import read_date
from bide.testing.simulation.script import (
    ALL_WELL,
    TIME_OF_DAY,
    Begun,
    Events,
    Rule,
    Script,
    Spread,
    When,
    span_of,
)


class Ending(msgspec.Struct, frozen=True):
    """How one attempt goes: `kind` is success, failed or skipped."""

    after_us: int
    kind: str
    rule: Rule


class Arrival(msgspec.Struct, frozen=True):
    """When what a wait is for comes true (None: never), and whether the wait fails then instead."""

    at_us: int | None
    failed: bool
    rule: Rule


_AT_ONCE: Final = Ending(0, "success", ALL_WELL)
_NEVER: Final = Arrival(None, False, ALL_WELL)
_TRUE: Final = Arrival(0, False, ALL_WELL)


class Fates:
    """Answers for one simulation, out of its script and its seed."""

    def __init__(self, script: Script, seed: int, start_us: int) -> None:
        self._script = script
        self._seed = seed
        self._start_us = start_us
        self._events: dict[str, Iterator[Arrival]] = {}
        self._coming: dict[int, tuple[int, Arrival]] = {}
        self._rules: dict[tuple[str, str], Rule] = {}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._drawn: dict[int, dict[tuple[str, int, str], bool]] = {}  # by run, while it is open

    def attempt(self, run: RunMeta, task: str, map_index: int, number: int, now: int) -> Ending:
        """What comes of one attempt that begins now."""
        rule = self._rule(run, task)
        if rule is ALL_WELL:
            return _AT_ONCE
        begun = self._begun(run, task, map_index, number, now, "attempt")
        kind = "success"
        if rule.skip is not False and self._happens(rule.skip, begun, run, "skip"):
            kind = "skipped"
        elif rule.fail is not False and self._happens(rule.fail, begun, run, "fail"):
            kind = "failed"
        return Ending(_span(rule.duration, begun), kind, rule)

    def arrival(self, run: RunMeta, task: str, map_index: int, now: int) -> Arrival:
        """What a sensor's wait, asked for by the run, sees; the same however often it is asked."""
        rule = self._rule(run, task)
        if rule is ALL_WELL:
            return _TRUE
        begun = self._begun(run, task, map_index, 1, now, "wait")
        failed = rule.fail is not False and self._happens(rule.fail, begun, run, "fail")
        return Arrival(_instant(rule.arrives, begun, run), failed, rule)

    def event(self, dag: str, tz: str, standing_id: int, firings: int) -> Arrival:
        """The event that a schedule's trigger waits for, having fired so often; kept until it has."""
        said = self._script.events.get(dag)
        if said is None:
            return _NEVER
        before, coming = self._coming.get(standing_id, (-1, _NEVER))
        if before != firings:
            if dag not in self._events:
                self._events[dag] = self._stream(dag, tz, said)
            coming = next(self._events[dag], _NEVER)
            self._coming[standing_id] = (firings, coming)
        return coming

    def _stream(self, dag: str, tz: str, said: Events) -> Iterator[Arrival]:
        random = Random(f"{self._seed}/event/{dag}")
        written = sorted(read_date(text, tz) for text in said.at)
        at_us, number = self._start_us, 0
        while said.every is not None or written:
            if said.every is not None:
                span = said.every.draw(random) if isinstance(said.every, Spread) else span_of(said.every)
                at_us += max(span, 1)
            while written and (said.every is None or written[0] <= at_us):
                number += 1
                yield _event(written.pop(0), said, number)
            if said.every is not None:
                number += 1
                yield _event(at_us, said, number)

    def forget(self, run_id: int) -> None:
        """The run is over: nothing of it is asked again."""
        self._drawn.pop(run_id, None)

    def _rule(self, run: RunMeta, task: str) -> Rule:
        key = (run.dag, task)
        rule = self._rules.get(key)
        if rule is None:
            rule = self._rules[key] = self._script.rule(run.dag, task)
        if rule.on:
            here = from_us(run.logical_us).astimezone(ZoneInfo(run.tz))
            for day in (here.date().isoformat(), here.strftime("%Y-%m-%dT%H:%M")):
                rule = rule.on.get(day, rule)
        return rule

    def _begun(self, run: RunMeta, task: str, map_index: int, number: int, now: int, what: str) -> Begun:
        name = f"{self._seed}/{what}/{run.dag}/{task}/{run.logical_us}/{map_index}/{number}"
        zone = ZoneInfo(run.tz)
        return Begun(
            run.dag, task, map_index, number, from_us(run.logical_us).astimezone(zone),
            from_us(run.scheduled_us).astimezone(zone), from_us(now).astimezone(zone), Random(name),
        )  # fmt: skip

    def _happens(self, when: Any, begun: Begun, run: RunMeta, what: str) -> bool:
        if not isinstance(when, When):
            return bool(when(begun) if callable(when) else when)
        if when.times is not None and begun.attempt > when.times:
            return False
        drawn = self._drawn.setdefault(run.run_id, {})
        key = (begun.task, begun.map_index, what)
        if key not in drawn:
            drawn[key] = self._draw(when, begun, what)
        return drawn[key]

    def _draw(self, when: When, begun: Begun, what: str) -> bool:
        day, minute = begun.logical_date.date().isoformat(), begun.logical_date.strftime("%Y-%m-%dT%H:%M")
        if day in when.at or minute in when.at:
            return True
        if when.every is not None:
            key = (begun.dag, begun.task, what)
            count = self._counts[key] = self._counts.get(key, 0) + 1
            if count % when.every == 0:
                return True
        return when.chance > 0 and begun.random.random() < when.chance


def _event(at_us: int, said: Events, number: int) -> Arrival:
    return Arrival(at_us, False, Rule(output={**said.event, "number": number}))


def _span(value: Any, begun: Begun) -> int:
    if isinstance(value, Spread):
        return value.draw(begun.random)
    return max(0, span_of(value(begun) if callable(value) else value))


def _instant(value: Any, begun: Begun, run: RunMeta) -> int | None:
    if callable(value):
        value = value(begun)
    match value:
        case None | "never":
            return None
        case datetime():
            zoned = value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(run.tz))
            return to_us(zoned)
        case Spread() | timedelta() | int() | float():
            return run.scheduled_us + _span(value, begun)
    text = str(value)
    if hit := TIME_OF_DAY.fullmatch(text):
        return _at_time(begun.scheduled_for.date(), time(int(hit[1]), int(hit[2])), run.tz)
    try:
        return run.scheduled_us + span_of(text)
    except UsageError:
        return read_date(text, run.tz)


def _at_time(day: date, at: time, tz: str) -> int:
    return to_us(datetime.combine(day, at, ZoneInfo(tz)))
