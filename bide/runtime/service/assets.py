"""The operations on assets: asked of a reader, commanded through a door, answered in shapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import Asset, AssetSpec
from bide.runtime.assets.pending import Pending, Unit
from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.clock import Clock
from bide.runtime.engine.assets.state import KIND, rule_of
from bide.runtime.engine.explain.consumer import ConsumerFacts, Group, Side, explain_consumer
from bide.runtime.engine.explain.timed import TimedFacts, explain_timed
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules import OnAssets, schedule_from_json
from bide.runtime.schedules.on_assets import on_assets
from bide.runtime.service.addresses import asset_name, asset_version_number, before_number, bounded, read_date
from bide.runtime.service.asset_shapes import (
    AssetEventLine,
    AssetLine,
    AssetShown,
    CheckLine,
    DagWhyShown,
    VersionLine,
)
from bide.runtime.service.dag_why import next_firing, timed_facts
from bide.runtime.service.doors import Door, Live
from bide.runtime.service.impact import Impacts
from bide.runtime.service.plan_shapes import PlanRun
from bide.runtime.service.plans import Plans
from bide.runtime.service.shapes import Detail, Done, Interval, iso
from bide.runtime.service.standings import Standings, limits_line
from bide.runtime.service.uses import Uses
from bide.runtime.spans import Span, covers, share
from bide.runtime.store import asset_reads as reads
from bide.runtime.store import schedules as stored
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks

_SHOWN: Final = 5
"""Groups of versions that `why` looks at in full."""


class Assets(Uses, Impacts, Standings):
    """What can be asked and done about assets."""

    def __init__(self, reader: Asks, door: Door, clock: Clock, live: Live | None, held: bool) -> None:
        self._reader, self._door, self._clock, self._live, self._held = reader, door, clock, live, held

    async def listed(self, limit: int = 100_000, before: str | None = None) -> list[AssetLine]:
        bounded(limit)
        return await self._reader.ask(Reader.read, lambda conn: _listed(conn, None, limit, before or ""))

    async def show(self, asset: Asset | str, limit: int = 20, before: str | None = None) -> AssetShown:
        bounded(limit)
        name, below = asset_name(asset), before_number(before)
        return await self._reader.ask(Reader.read, lambda conn: _show(conn, name, limit, below))

    async def versions(
        self, asset: Asset | str, limit: int = 50, before: str | None = None
    ) -> list[VersionLine]:
        bounded(limit)
        name, below = asset_name(asset), before_number(before)
        return await self._reader.ask(Reader.read, lambda conn: _versions(conn, name, limit, below))

    async def version(self, version: str) -> VersionLine:
        number = asset_version_number(version)

        def ask(conn: sqlite3.Connection) -> list[VersionLine]:
            asset = reads.asset_of(conn, number)
            return [] if asset is None else _versions(conn, asset, 1, number + 1)

        found: list[VersionLine] = await self._reader.ask(Reader.read, ask)
        if not found or found[0].version != str(number):
            raise NotFoundError(
                f"there is no version {number}: `bide assets show ASSET` lists those of an asset"
            )
        return found[0]

    async def events(
        self, dag: str, everything: bool = False, limit: int = 1000, before: str | None = None
    ) -> list[AssetEventLine]:
        bounded(limit)
        last = None if before is None else _place(before)
        return await self._reader.ask(Reader.read, lambda conn: _events(conn, dag, everything, limit, last))

    async def drop(
        self,
        dag: str,
        asset: str | None = None,
        versions: Sequence[str] = (),
        until: str | None = None,
        everything: bool = False,
        reason: str = "",
    ) -> Done:
        args = {
            "dag": dag,
            "asset": asset,
            "versions": [asset_version_number(version) for version in versions] or None,
            "until_us": None if until is None else read_date(until),
            "all": everything,
            "reason": reason,
        }
        answer = await self._door.command("asset_drop", args)
        gone = answer["dropped"]
        return Done(done=f"{_count(gone)} dropped for {dag}: no run is made of {_them(gone)}", result=answer)

    async def replay(self, dag: str, start: str, asset: str | None = None, reason: str = "") -> Done:
        number = start.isascii() and start.isdigit() and len(start) < 19
        args = {
            "dag": dag,
            "asset": asset,
            "version": int(start) if number else None,
            "since_us": None if number else read_date(start),
            "reason": reason,
        }
        answer = await self._door.command("asset_replay", args)
        return Done(done=f"{dag} has {_count(answer['replayed'])} before it once more", result=answer)

    async def why(self, dag: str) -> DagWhyShown:
        """Why any DAG makes no run: assets that are missing, a clock, an event, a person."""
        now = self._clock.now()
        code_error = self._live.code_error(dag) if self._live else ""
        facts = await self._reader.ask(
            Reader.read, lambda conn: _facts(conn, dag, self._held, code_error, now)
        )
        why = explain_timed(facts, now) if isinstance(facts, TimedFacts) else explain_consumer(facts, now)
        details = tuple(Detail(what=what, value=value) for what, value in why.details)
        unread = [each for each in (self._live.unread if self._live else ()) if each[0] == dag]
        if unread:  # what is known may be old: that is what holds it now
            _, what, reason = unread[0]
            sentence = f"{what} waits until the database can be read: {reason}"
            again = "it is asked again, at least once a minute; `bide doctor` looks at the database"
            return DagWhyShown(dag=dag, state=why.state, why=sentence, details=details, next=again)
        return DagWhyShown(dag=dag, state=why.state, why=why.sentence, details=details, next=why.next)

    async def plan(self, invalidation: object) -> RerunPlan:
        """The rerun plan that mends an invalidation, the one returned or its number, as things are now: a proposal
        that is kept.
        """
        return await Plans(self._reader, self._door, self._live, self._held).make(invalidation)

    async def run_plan(self, id: str | int, hash: str) -> PlanRun:  # noqa: A002 - the words of the plan
        """Run a plan exactly as it was made, once; refused when it is no longer what is to be done."""
        return await Plans(self._reader, self._door, self._live, self._held).run(id, hash)

    async def made(self, kind: str, run_id: int) -> tuple[tuple[str, str], ...]:
        """The versions that a run is made of, in words; none of runs that the clock or a person made."""
        if kind != KIND:
            return ()
        return await self._reader.ask(Reader.read, lambda conn: _made(conn, run_id))


def _made(conn: sqlite3.Connection, run_id: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        ("made of" if used else "passed over", f"{asset} version {version}, {iso(start)} to {iso(end)}")
        for asset, version, start, end, used in reads.made_of(conn, run_id)
    )


def _count(versions: list[Any]) -> str:
    return f"{len(versions)} version{'' if len(versions) == 1 else 's'}"


def _them(versions: list[Any]) -> str:
    return "it" if len(versions) == 1 else "them"


def _by_asset(pairs: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for asset, who in pairs:
        found[asset] = (*found.get(asset, ()), who)
    return found


def _listed(conn: sqlite3.Connection, name: str | None, limit: int = 1, after: str = "") -> list[AssetLine]:
    producers, consumers = _by_asset(reads.producers(conn)), _by_asset(reads.consumers(conn))
    used = producers.keys() | consumers.keys()
    return [
        line
        if line.asset not in used
        else msgspec.structs.replace(
            line, producers=producers.get(line.asset, ()), consumers=consumers.get(line.asset, ())
        )
        for line in reads.assets(conn, AssetLine, name, limit, after)
    ]


def _show(conn: sqlite3.Connection, asset: str, limit: int, before: int) -> AssetShown:
    found = _known(conn, asset)
    line = {name: getattr(found, name) for name in AssetLine.__struct_fields__}
    versions = tuple(_version(row) for row in reads.versions(conn, asset, limit, before))
    told = reads.declared(conn, asset)
    spec = typed.decode(told, AssetSpec) if told != "{}" else AssetSpec(asset)
    return AssetShown(
        **line,
        versions=versions,
        doc=spec.doc,
        owner=spec.owner,
        node=spec.node.value,
        criticality=spec.criticality.value,
        grain=spec.grain,
    )


def _versions(conn: sqlite3.Connection, asset: str, limit: int, before: int) -> list[VersionLine]:
    _known(conn, asset)
    return [_version(row) for row in reads.versions(conn, asset, limit, before)]


def _known(conn: sqlite3.Connection, asset: str) -> AssetLine:
    found = _listed(conn, asset)
    if not found:
        near = suggestion(asset, reads.names(conn))
        raise NotFoundError(
            f"there is no asset {asset!r}{near or ': `bide assets list` lists those there are'}"
        )
    return found[0]


def _version(row: reads.VersionRead) -> VersionLine:
    return VersionLine(
        version=str(row.version),
        state=row.state,
        interval=Interval(start=iso(row.start_us), end=iso(row.end_us)),
        created_at=iso(row.created_us),
        dag=row.dag,
        task=row.task,
        run_id=None if row.run_id is None else str(row.run_id),
        runs=tuple(str(run) for run in msgspec.json.decode(row.runs)),
        reason=row.reason,
        label=row.label,
        held=row.held == 1,
        shadow=bool(row.shadow),
        meta={} if row.meta is None else msgspec.json.decode(row.meta),
        checks=tuple(typed.decode(row.checks, list[CheckLine])),
        limits=limits_line(row.limits),
    )


def _consumer(conn: sqlite3.Connection, dag: str) -> tuple[reads.ConsumerRead, OnAssets]:
    row = reads.consumer(conn, dag)
    if row is None:
        raise NotFoundError(f"there is no DAG {dag!r} in this database: `bide dags` lists them")
    schedule = on_assets(schedule_from_json(row.schedule))
    if schedule is None:
        raise RefusedError(
            f"the DAG {dag!r} looks at no asset: its schedule is no OnAssets; `bide schedule {dag}` tells its firings"
        )
    return row, schedule


def _place(text: str) -> reads.Place:
    """Behind which event a page begins."""
    parts = text.split(".")
    if len(parts) != 4 or not all(re.fullmatch(r"-?[0-9]{1,18}", part) for part in parts):
        raise UsageError(f"{text!r} names no item: it is the `place` of the last one of the page before")
    version, part, again, run = map(int, parts)
    return version, part, again, run


def _events(
    conn: sqlite3.Connection, dag: str, everything: bool, limit: int, last: reads.Place | None
) -> list[AssetEventLine]:
    row, schedule = _consumer(conn, dag)
    read = reads.events if everything else reads.pending
    return [
        AssetEventLine(
            dag=dag,
            asset=event.asset,
            version=str(event.version),
            interval=Interval(start=iso(event.start_us), end=iso(event.end_us)),
            period=None if schedule.interval is None else iso(event.part_us),
            again=event.again,
            state=event.state,
            run_id=None if event.run_id is None else str(event.run_id),
            reason=event.reason,
            created_at=iso(event.created_us),
            place=f"{event.version}.{event.part_us}.{event.again}.{event.run_id or 0}",
        )
        for event in read(conn, row.dag_id, limit, last)
    ]


# --- why -----------------------------------------------------------------------------------------


def _facts(
    conn: sqlite3.Connection, dag: str, held: bool, code_error: str, now: int
) -> ConsumerFacts | TimedFacts:
    timed = stored.scheduled(conn, dag)
    if timed is not None and on_assets(schedule_from_json(timed.schedule)) is None:
        return timed_facts(conn, timed, code_error, now, live=held)
    row, schedule = _consumer(conn, dag)
    events = reads.pending(conn, row.dag_id)
    cursors = reads.cursors(conn, row.dag_id)
    newest = {cursor.asset: cursor.newest for cursor in cursors}
    created = {event.version: event.created_us for event in events}
    pending = Pending(rule_of(schedule))
    for event in events:
        pending.add(
            Unit(event.version, event.asset, event.start_us, event.end_us, event.part_us, event.again)
        )
    names = schedule.names
    fullest = sorted(pending.groups.items(), key=lambda each: -len(each[1]))
    groups = []
    for n, (key, units) in enumerate(fullest):
        span: Span | None = schedule.period(key) if isinstance(key, int) else key  # type: ignore[assignment]
        sides = []
        for name in names:
            own = units.get(name, [])
            part = None
            if schedule.interval is not None and own and span is not None and n < _SHOWN:
                part = _share(conn, name, span, [(unit.start_us, unit.end_us) for unit in own])
            sides.append(
                Side(
                    asset=name,
                    true=bool(own) and (part is None or part >= 1),
                    newest=newest.get(name, 0),
                    has=len(own),
                    share=part,
                    since_us=min((created[unit.version_id] for unit in own), default=None),
                )
            )
        groups.append(Group(span=span, sides=tuple(sides)))
    groups.sort(key=lambda group: -sum(side.true for side in group.sides))
    if not groups:
        groups = [
            Group(span=None, sides=tuple(Side(asset=n, true=False, newest=newest.get(n, 0)) for n in names))
        ]
    return ConsumerFacts(
        dag=dag,
        condition=schedule.condition,
        consume=schedule.consume,
        interval=schedule.interval,
        groups=tuple(groups),
        pending=len({event.version for event in events}),
        open_runs=row.open_runs,
        max_active_runs=msgspec.json.decode(row.options).get("max_active_runs", 1),
        paused=bool(row.paused),
        removed=bool(row.removed),
        code_error=code_error,
        behind=any(cursor.version < cursor.newest for cursor in cursors),
        live=held,
        fires_us=None if timed is None else next_firing(timed, now)[0],
    )


def _share(conn: sqlite3.Connection, asset: str, span: Span, parts: list[Span]) -> float:
    """How much of a period is covered by what is pending and by what was published before."""
    if not covers(span, parts):
        parts = [*parts, *((row.start_us, row.end_us) for row in reads.published_over(conn, asset, *span))]
    return share(span, parts)
