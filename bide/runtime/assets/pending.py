"""What a consumer has before it, and which runs that makes: versions grouped, paired, taken.

One `Pending` a consumer. It holds what was delivered and not accounted for yet; `take` says what
goes into the next run, and `account` takes that out. No version is in two runs but where its parts
are (a day taken hour by hour).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from bide.runtime.assets.asset import Condition, first_true, holds, made_true_by
from bide.runtime.spans import Span

_KEPT: Final = 12
"""Versions that stand in a run's key one by one; more are hashed."""


class Unit(msgspec.Struct, frozen=True):
    """A version as one consumer has it before it; `part_us` is the period, the start of a whole one.

    `again` counts how often it was replayed.
    """

    version_id: int
    asset: str
    start_us: int
    end_us: int
    part_us: int
    again: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        return self.version_id, self.part_us, self.again


class Rule(msgspec.Struct, frozen=True):
    """How a consumer makes runs. `periods`: by calendar periods that must be covered."""

    condition: Condition
    consume: str
    periods: bool = False


class Taken(msgspec.Struct, frozen=True):
    """One run to be made: what goes into it, what is older and passed over for it, its interval."""

    used: tuple[Unit, ...]
    superseded: tuple[Unit, ...]
    span: Span


class Pending:
    """Delivered units in groups: those of one group may go into one run."""

    __slots__ = ("groups", "rule", "touched")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.groups: dict[Hashable, dict[str, list[Unit]]] = {}
        self.touched: dict[Hashable, None] = {}
        """The groups that have changed since they were last looked at, in that order."""

    def __iter__(self) -> Iterator[Unit]:
        for group in self.groups.values():
            for units in group.values():
                yield from units

    def add(self, unit: Unit) -> None:
        key = group_of(self.rule, unit)
        insort(self.groups.setdefault(key, {}).setdefault(unit.asset, []), unit, key=_key)
        self.touched[key] = None

    def account(self, units: Iterable[Unit]) -> None:
        """Take these out: they are in a run now, or dropped."""
        for unit in units:
            key = group_of(self.rule, unit)
            group = self.groups[key]
            units_of = group[unit.asset]
            del units_of[bisect_left(units_of, unit.key, key=_key)]
            if not group[unit.asset]:
                del group[unit.asset]
            if not group:
                del self.groups[key]
                self.touched.pop(key, None)

    def touch_all(self) -> None:
        self.touched |= dict.fromkeys(self.groups)

    def possible(self, key: Hashable) -> bool:
        """Whether every asset that is needed has something unconsumed in the group."""
        group = self.groups.get(key, {})
        return holds(self.rule.condition, group.__contains__)

    def take(self, key: Hashable) -> Taken | None:
        """What the next run of a group is made of, None while the condition does not hold. Not for periods."""
        group = self.groups.get(key)
        if group is None:
            return None
        condition, consume = self.rule.condition, self.rule.consume
        if consume == "each":
            chosen = first_true(condition, lambda name: group[name][0].version_id if name in group else None)
            used = _in_order(group[name][0] for name in chosen)
            if not used:
                return None
            last = used[-1]
            return Taken(used, (), (last.start_us, last.end_us))
        chosen = made_true_by(condition, group.__contains__)
        if not chosen:
            return None
        if consume == "latest":
            used = _in_order(group[name][-1] for name in chosen)
            older = _in_order(unit for name in chosen for unit in group[name][:-1])
            newest = max(used, key=lambda unit: (unit.end_us, unit.start_us, unit.version_id))
            return Taken(used, older, (newest.start_us, newest.end_us))
        used = _in_order(unit for name in chosen for unit in group[name])
        return Taken(used, (), hull(used))

    def take_period(self, key: Hashable, span: Span, covered: Iterable[str]) -> Taken | None:
        """As `take`, for one period: `covered` are the assets whose versions cover it."""
        group = self.groups.get(key)
        if group is None:
            return None
        whole = frozenset(covered)
        chosen = made_true_by(self.rule.condition, lambda name: name in group and name in whole)
        if not chosen:
            return None
        return Taken(_in_order(unit for name in chosen for unit in group[name]), (), span)


def group_of(rule: Rule, unit: Unit) -> Hashable:
    """The group of a unit: its period, its interval (instants are all one), or the only one there is."""
    if rule.periods:
        return unit.part_us
    if rule.consume == "each":
        return (unit.start_us, unit.end_us) if unit.end_us > unit.start_us else None
    return None


def _key(unit: Unit) -> tuple[int, int, int]:
    return unit.key


def _in_order(units: Iterable[Unit]) -> tuple[Unit, ...]:
    return tuple(sorted(units, key=lambda unit: unit.key))


def hull(units: Iterable[Unit]) -> Span:
    """From the first start to the last end."""
    spans = [(unit.start_us, unit.end_us) for unit in units]
    return min(start for start, _ in spans), max(end for _, end in spans)


def run_key(units: tuple[Unit, ...], period: int | None) -> str:
    """What makes a run of these versions one of its own: the same units never make two.

    >>> run_key((Unit(7, "a", 0, 1, 0), Unit(9, "b", 0, 1, 0, again=1)), None)
    'asset:7+9r1'
    """
    names = [f"{unit.version_id}r{unit.again}" if unit.again else str(unit.version_id) for unit in units]
    text = "+".join(names)
    if len(names) > _KEPT:
        text = f"{names[0]}..{names[-1]}:{len(names)}:{sha256(text.encode()).hexdigest()[:24]}"
    return f"asset:{text}" if period is None else f"asset:{text}@{period}"
