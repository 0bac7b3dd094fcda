"""The open waits: rows of the database in words, with what the living know of the looks at them.

A question puts many thousand of them into words in the thread that read them, never in the loop. What a
trigger says of itself is asked once for all waits that have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import bounded, wait_number
from bide.runtime.service.describe import trigger_words
from bide.runtime.service.paging import behind
from bide.runtime.service.shapes import WaitLine, iso, iso_or_none
from bide.runtime.service.waiting_shapes import BY, WaitGroup
from bide.runtime.store.reader import NEWEST, Reader, WaitShown
from bide.runtime.store.schedules import Standing, standing

if TYPE_CHECKING:
    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks
    from bide.runtime.triggerer.registration import Looked, SourceSeen

MOST_IDS: Final = 500
"""Waits that are asked for by their numbers at once."""
_AT_ONCE: Final = 2_000  # rows read while a filter is looked through


class Wanted(msgspec.Struct, frozen=True):
    """Which waits: all of what is said holds. `text` is lower case."""

    ids: tuple[int, ...] | None = None
    dag: str | None = None
    task: str | None = None
    kind: str | None = None
    source: str | None = None
    what: str | None = None
    text: str = ""
    troubled: bool = False

    @property
    def sifts(self) -> bool:
        """Whether there is more to ask than the database can tell."""
        said = (self.task, self.source, self.what)
        return any(each is not None for each in said) or bool(self.text) or self.troubled


class Seen(msgspec.Struct):
    """One open wait. `deadline_us` is None where the schedule of a DAG waits."""

    wait_id: int
    run_id: int | None
    dag: str
    task: str
    key: str
    kind: str
    what: str
    source: str
    since_us: int
    deadline_us: int | None
    poll_us: int
    look: Looked | None

    @property
    def of_task(self) -> str:
        """The task as `dag.task`, whichever instance of it; where a schedule waits, the DAG."""
        return f"{self.dag}.{self.task.partition('[')[0]}" if self.task else self.dag

    @property
    def failures(self) -> int:
        return 0 if self.look is None else self.look.failures


def wanted(
    ids: str | None = None,
    dag: str | None = None,
    task: str | None = None,
    kind: str | None = None,
    source: str | None = None,
    what: str | None = None,
    text: str | None = None,
    troubled: bool = False,
) -> Wanted:
    """What was asked for. Refuses numbers that are none."""
    numbers = None if ids is None else tuple(wait_number(each.strip()) for each in ids.split(","))
    if numbers is not None and len(numbers) > MOST_IDS:
        raise UsageError(f"{len(numbers)} waits are asked for by number: ask for {MOST_IDS} at once at most")
    return Wanted(numbers, dag, task, kind, source, what, (text or "").casefold(), troubled)


def lines(reader: Reader, live: Live | None, of: Wanted, limit: int, before: int = NEWEST) -> list[WaitLine]:
    """Open waits as every door shows them, the newest first."""
    found: list[WaitLine] = []
    for each in seen(reader, live, of, before, None if of.sifts else limit):
        found.append(_line(each))
        if len(found) == limit:
            break
    return found


def seen(
    reader: Reader, live: Live | None, of: Wanted, before: int = NEWEST, most: int | None = None
) -> Iterator[Seen]:
    """Open waits below an id that are wanted, the newest first. `most`: no more are read."""
    words: dict[str, tuple[str, str]] = {}
    schedules = _of_schedules(reader, of, before)
    at_once = min(most, _AT_ONCE) if most is not None else _AT_ONCE
    while True:
        rows = reader.waits_below(before, at_once, of.ids, of.dag, of.kind)
        last = rows[-1].wait_id if len(rows) == at_once else 0
        held = [each for each in schedules if each.standing_id > last]
        schedules = schedules[len(held) :]
        merged: list[WaitShown | Standing] = [*rows, *held]
        if held:
            merged.sort(key=_id_of, reverse=True)
        for row in merged:
            one = _seen(row, live, words)
            if not of.sifts or _fits(one, of):
                yield one
        if not last:
            return
        before = last


def _of_schedules(reader: Reader, of: Wanted, before: int) -> list[Standing]:
    found = [
        each
        for each in reader.read(standing)
        if each.standing_id < before
        and (of.ids is None or each.standing_id in of.ids)
        and of.dag in (None, each.dag)
        and of.kind in (None, each.kind)
    ]
    return sorted(found, key=_id_of, reverse=True)


def _id_of(row: WaitShown | Standing) -> int:
    return row.standing_id if isinstance(row, Standing) else row.wait_id


def _seen(row: WaitShown | Standing, live: Live | None, words: dict[str, tuple[str, str]]) -> Seen:
    said = words.get(row.trigger)
    if said is None:
        said = words[row.trigger] = trigger_words(row.kind, row.trigger)
    number = _id_of(row)
    look = live.seen(number) if live is not None else None
    if isinstance(row, Standing):
        return Seen(number, None, row.dag, "", "", row.kind, *said, row.since_us, None, 0, look)
    task = row.task if row.map_index < 0 else f"{row.task}[{row.map_index}]"
    return Seen(
        number, row.run_id, row.dag, task, row.key, row.kind, *said, row.since_us, row.deadline_us, row.poll_us, look
    )  # fmt: skip


def _fits(one: Seen, of: Wanted) -> bool:
    return (
        of.task in (None, one.of_task)
        and of.source in (None, one.source)
        and of.what in (None, one.what)
        and (not of.troubled or one.failures > 0)
        and (not of.text or of.text in _text(one))
    )


def _text(one: Seen) -> str:
    saw = "" if one.look is None else one.look.last_answer
    return f"{one.what}\n{one.source}\n{one.dag}\n{one.run_id}/{one.task}\n{one.key}\n{saw}".casefold()


def _line(one: Seen) -> WaitLine:
    look = one.look
    return WaitLine(
        id=str(one.wait_id),
        run_id=None if one.run_id is None else str(one.run_id),
        task=None if one.run_id is None else one.task,
        trigger=one.what,
        source=one.source,
        since=iso(one.since_us),
        deadline=iso_or_none(one.deadline_us),
        next_look=None if look is None else iso_or_none(look.next_look_us),
        last_look=None if look is None else iso_or_none(look.last_look_us),
        dag=one.dag,
        kind=one.kind,
        saw="" if look is None else look.last_answer,
        every_seconds=one.poll_us / SECOND if one.poll_us else None,
        looks=None if look is None else look.looks,
        failures=one.failures,
        sharers=0 if look is None else look.shared,
        key=one.key,
    )


class WaitingRoom:
    """The operations on waits taken together. It keeps no state."""

    def __init__(self, reader: Asks, live: Live | None) -> None:
        self._reader, self._live = reader, live

    async def groups(
        self,
        by: str = "source",
        dag: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        what: str | None = None,
        text: str | None = None,
        troubled: bool = False,
        limit: int = 100_000,
        before: str | None = None,
    ) -> list[WaitGroup]:
        if by not in BY:
            raise UsageError(f"waits are not put together by {by!r}{suggestion(by, BY)}: use {', '.join(BY)}")
        bounded(limit)
        of = wanted(None, dag, task, kind, source, what, text, troubled)
        found = await self._reader.ask(_groups, self._live, of, _COMMON[by])
        return behind(found, lambda each: each.key, before, limit)


_COMMON: Final[dict[str, Callable[[Seen], str]]] = {
    "source": lambda one: one.source,
    "what": lambda one: one.what,
    "dag": lambda one: one.dag,
    "task": lambda one: one.of_task,
}


def _groups(reader: Reader, live: Live | None, of: Wanted, common: Callable[[Seen], str]) -> list[WaitGroup]:
    from bide.runtime.service.wait_groups import group

    found: dict[str, list[Seen]] = {}
    for one in seen(reader, live, of):
        found.setdefault(common(one), []).append(one)
    made = [group(key, each, _source(live, each)) for key, each in found.items()]
    return sorted(made, key=lambda each: (-each.waits, each.key))


def _source(live: Live | None, waits: list[Seen]) -> SourceSeen | None:
    """The source of all of them, as it stands; None when no source holds them, or several do."""
    if live is None or len({each.source for each in waits}) != 1:
        return None
    for one in waits:
        if one.look is not None and (found := live.source_of(one.wait_id)) is not None:
            return found
    return None
