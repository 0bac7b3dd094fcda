"""Alerts become notices: which routes take each, and what is told together. Pure.

The first of its kind and subject goes at once. What is like it within the window waits for the end of the
window and goes as one, with a count; what is worse than what was told goes at once. More subjects of a route
than its burst, within a window, are a storm: they go as one as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import DAY
from bide.runtime.engine.notices import NoticeMade, NoticesMoved
from bide.runtime.notify.routes import KIND_OF, RANK, Route
from bide.runtime.store.notice_rows import AlertRead, LastRead

STORM: Final = "*"
_TIMES: Final = re.compile(r" \(\d+ times\)$")
TOO_OLD_US: Final = 3 * DAY
"""What was raised so long ago is no news: nobody sent notices meanwhile."""
WORDS: Final = {
    "failure": "failed",
    "deadline": "is late",
    "stale": "is stale",
    "quality": "failed a gate",
    "invalidation": "was invalidated",
    "approval": "needs an approval",
    "incident": "incident",
    "effect": "was not delivered",
    "blocked": "is blocked",
}


class _Notice:
    """One in the making. `number` is its place among the new ones as in `NoticesMoved`, or its id."""

    __slots__ = (
        "count",
        "from_us",
        "key",
        "kind",
        "next_us",
        "number",
        "sealed",
        "severity",
        "subject",
        "told",
    )

    def __init__(
        self, number: int, key: str, kind: str, subject: str, severity: str, count: int, from_us: int, next_us: int,
        sealed: bool, told: str,
    ) -> None:  # fmt: skip
        self.number = number
        self.key = key
        self.kind = kind
        self.subject = subject
        self.severity = severity
        self.count = count
        self.from_us = from_us
        self.next_us = next_us
        self.sealed = sealed
        self.told = told  # the severity of what was told last; "": nothing

    @property
    def title(self) -> str:
        if self.key == STORM:
            return f"{self.count} alerts of many subjects, the last: {self.subject} {word(self.kind)}"
        told = f"{self.subject} {word(self.kind)}"
        return told if self.count == 1 else f"{told} ({self.count} times)"


class Planned(msgspec.Struct, frozen=True):
    """What has to be known of the past before alerts can be folded."""

    keys: tuple[tuple[str, str], ...]
    routes: tuple[str, ...]


def word(kind: str) -> str:
    return WORDS.get(KIND_OF.get(kind, kind), kind)


def retold(title: str, count: int, key: str) -> str:
    """The title of a notice that stands for more alerts than it did.

    >>> retold("orders failed (2 times)", 5, "failure:orders"), retold("9 alerts of many subjects", 12, STORM)
    ('orders failed (5 times)', '12 alerts of many subjects')
    """
    if key == STORM:
        return f"{count} {title.partition(' ')[2]}"
    return f"{_TIMES.sub('', title)} ({count} times)"


def taken(
    alerts: Sequence[AlertRead], routes: Iterable[Route], now: int
) -> tuple[list[tuple[Route, AlertRead]], Planned]:
    """(route, alert) of all that are to be told, and what has to be known of the past for that."""
    found: list[tuple[Route, AlertRead]] = []
    decoded = [(each, _names(each.owners), _names(each.tags)) for each in alerts]
    for route in routes:
        for each, owners, tags in decoded:
            if now - each.fired_us <= TOO_OLD_US and route.takes(each.kind, each.severity, owners, tags):
                found.append((route, each))
    found.sort(key=lambda pair: pair[1].alert_id)
    keys = dict.fromkeys((route.name, key_of(each)) for route, each in found)
    names = dict.fromkeys(route.name for route, _ in found)
    return found, Planned((*keys, *((name, STORM) for name in names)), tuple(names))


def key_of(alert: AlertRead) -> str:
    return f"{alert.kind}:{alert.subject}"


def folded(
    pairs: Sequence[tuple[Route, AlertRead]],
    last: Iterable[LastRead],
    told: Mapping[str, int],
    now: int,
) -> NoticesMoved:
    """What is written for these. `last`: of each route and key the newest notice; `told`: how many each had
    within its window.
    """
    of = {(each.route, each.key): _read(each) for each in last}
    told = dict(told)
    new: list[tuple[str, _Notice]] = []
    joined: dict[int, _Notice] = {}
    links: list[tuple[int, int]] = []
    for route, alert in pairs:
        key, window = key_of(alert), route.window_us
        before = of.get((route.name, key))
        fresh = before is None or now >= before.from_us + window
        if (
            fresh
            and not (before is not None and not before.sealed)
            and told.get(route.name, 0) >= route.burst
        ):
            key = STORM
            before = of.get((route.name, key))
        worse = before is not None and RANK[alert.severity] > RANK.get(before.told, -1)
        if before is not None and not before.sealed:
            _join(before, alert, now, worse)
            if before.number > 0:
                joined[before.number] = before
            one = before
        else:
            at = now
            if before is not None and now < before.from_us + window and not worse:
                at = before.from_us + window
            one = _Notice(
                -1 - len(new),
                key,
                alert.kind,
                alert.subject,
                alert.severity,
                1,
                at,
                at,
                False,
                before.told if before is not None else "",
            )
            new.append((route.name, one))
            of[route.name, key] = one
            if key != STORM:
                told[route.name] = told.get(route.name, 0) + 1
        links.append((one.number, alert.alert_id))
    return NoticesMoved(
        new=tuple(
            NoticeMade(name, n.key, n.kind, n.severity, n.title, n.from_us, n.next_us, n.count)
            for name, n in new
        ),
        joined=tuple((n.count, n.severity, n.title, n.next_us, n.number) for n in joined.values()),
        alerts=tuple(links),
    )


def _join(one: _Notice, alert: AlertRead, now: int, worse: bool) -> None:
    one.count += 1
    one.subject, one.kind = alert.subject, alert.kind
    one.severity = max(one.severity, alert.severity, key=RANK.__getitem__)
    if worse:
        one.next_us, one.from_us = min(one.next_us, now), min(one.from_us, now)


def _read(each: LastRead) -> _Notice:
    kind, _, subject = each.key.partition(":")
    return _Notice(
        each.notice_id, each.key, kind, subject, each.severity, each.count, each.from_us, each.next_us, bool(each.sealed),
        each.told,
    )  # fmt: skip


def _names(listed: str) -> list[str]:
    found: list[str] = typed.decode(listed, list[str])
    return found
