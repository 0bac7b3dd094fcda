"""Pictures of DAGs: which there are and how their last runs went, task by task. It keeps no state and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import DAY, Clock
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.service import codes
from bide.runtime.service.addresses import (
    before_number,
    bounded,
    code_number,
    read_date,
    run_number,
    version_number,
)
from bide.runtime.service.code_shapes import CodeLine, CodeShown
from bide.runtime.service.dag_calendar import Span, calendar, lines
from bide.runtime.service.dag_view_shapes import (
    Calendar,
    DagCard,
    FiringLine,
    GraphVersionLine,
    GraphVersionShown,
    Grid,
    GridRun,
    GridTask,
    NotLoaded,
    RecentRun,
)
from bide.runtime.service.describe import does, schedule_words
from bide.runtime.service.shapes import iso, iso_or_none
from bide.runtime.store import dag_reads as reads
from bide.runtime.store import schedules
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks
    from bide.runtime.store.schedules import Scheduled

RECENT: Final = 10
BEHIND: Final = 21 * DAY
AHEAD: Final = 7 * DAY
LONGEST: Final = 400 * DAY
WORDS: Final = tuple(State)
_PLACE: Final = {state: n for n, state in enumerate(WORDS)}
_DECODER: Final = typed.decoder(DagSpec)


class _Head(msgspec.Struct, frozen=True):
    """What a card shows of a graph: its tasks are only counted."""

    tasks: tuple[msgspec.Raw, ...] = ()
    owner: str = ""
    tags: tuple[str, ...] = ()
    doc: str = ""


class _Zone(msgspec.Struct, frozen=True):
    tz: str = "UTC"


class DagViews:
    """The operations on pictures of DAGs."""

    def __init__(self, reader: Asks, clock: Clock, live: Live | None) -> None:
        self._reader, self._clock, self._live = reader, clock, live

    async def cards(self, limit: int = 100, before: str | None = None) -> list[DagCard]:
        bounded(limit)
        found = await self._reader.ask(
            Reader.read,
            lambda conn: [_card(row) for row in reads.dags(conn, RecentRun, RECENT, before or "", limit)],
        )
        return [msgspec.structs.replace(card, code_error=self._code_error(card.dag)) for card in found]

    async def not_loaded(self) -> list[NotLoaded]:
        left_out = self._live.left_out if self._live else {}
        return [NotLoaded(what=what, why=why) for what, why in sorted(left_out.items())]

    async def grid(self, dag: str, limit: int = 50, before: str | None = None) -> Grid:
        bounded(limit)
        below = before_number(before)
        return await self._reader.ask(_grid, dag, below, limit)

    async def calendar(self, dag: str, since: str | None = None, until: str | None = None) -> Calendar:
        return await self._reader.ask(_calendar, dag, since, until, self._clock.now())

    async def firings(self, dag: str, since: str, until: str, limit: int = 1_000) -> list[FiringLine]:
        bounded(limit)
        return await self._reader.ask(_firings, dag, since, until, limit, self._clock.now())

    async def versions(self, dag: str, limit: int = 100, before: str | None = None) -> list[GraphVersionLine]:
        bounded(limit)
        below = before_number(before)
        return await self._reader.ask(Reader.read, lambda conn: _versions(conn, dag, below, limit))

    async def version(self, dag: str, version: str) -> GraphVersionShown:
        number = version_number(version)
        return await self._reader.ask(Reader.read, lambda conn: _version(conn, dag, number))

    async def codes(
        self, dag: str, version: str | None = None, limit: int = 100, before: str | None = None
    ) -> list[CodeLine]:
        bounded(limit)
        below = before_number(before)
        of = None if version is None else version_number(version)
        return await self._reader.ask(
            Reader.read, lambda conn: codes.loads(conn, known(conn, dag).dag_id, of, below, limit)
        )

    async def code(self, dag: str, code: str) -> CodeShown:
        number = code_number(code)
        return await self._reader.ask(
            Reader.read, lambda conn: codes.show(conn, dag, known(conn, dag).dag_id, number)
        )

    async def run_code(self, run: str) -> list[CodeLine]:
        number = run_number(run)
        return await self._reader.ask(Reader.read, lambda conn: codes.of_run(conn, number))

    def _code_error(self, dag: str) -> str | None:
        return (self._live.code_error(dag) or None) if self._live else None


def known(conn: sqlite3.Connection, dag: str) -> reads.DagRow:
    """The DAG of that name; `NotFoundError` names one that is near."""
    row = reads.dag(conn, dag)
    if row is None:
        near = suggestion(dag, reads.names(conn))
        raise NotFoundError(f"there is no DAG {dag!r}{near or ': `bide dags` lists them'}")
    return row


# --- when it fires, what it was -----------------------------------------------------------------------


def _scheduled(conn: sqlite3.Connection, dag: str) -> tuple[Scheduled, str]:
    """(its schedule, its zone)."""
    known(conn, dag)
    row = schedules.scheduled(conn, dag)
    if row is None:
        raise NotFoundError(f"the DAG {dag!r} has no graph yet: load its file")
    return row, typed.decode(row.spec, _Zone).tz


def _span(since: str | None, until: str | None, tz: str, now_us: int) -> Span:
    from_us = now_us - BEHIND if since is None else read_date(since, tz)
    until_us = max(from_us, now_us) + AHEAD if until is None else read_date(until, tz)
    if not 0 < until_us - from_us <= LONGEST:
        raise UsageError(
            f"from {iso(from_us)} to {iso(until_us)} are no 1 to {LONGEST // DAY} days: choose another span"
        )
    return Span(from_us, until_us, now_us)


def _calendar(reader: Reader, dag: str, since: str | None, until: str | None, now_us: int) -> Calendar:
    def read(conn: sqlite3.Connection) -> Calendar:
        row, tz = _scheduled(conn, dag)
        return calendar(conn, row, _span(since, until, tz, now_us), tz)

    return reader.read(read)


def _firings(reader: Reader, dag: str, since: str, until: str, limit: int, now_us: int) -> list[FiringLine]:
    def read(conn: sqlite3.Connection) -> list[FiringLine]:
        row, tz = _scheduled(conn, dag)
        return [line for _, line in lines(conn, row, _span(since, until, tz, now_us))[0][:limit]]

    return reader.read(read)


def _versions(conn: sqlite3.Connection, dag: str, below: int, limit: int) -> list[GraphVersionLine]:
    row = known(conn, dag)
    return [
        GraphVersionLine(
            version=str(each.version_id),
            hash=each.hash,
            created_at=iso(each.created_us),
            tasks=len(typed.decode(each.spec, _Head).tasks),
            current=each.version_id == row.version_id,
        )
        for each in reads.versions(conn, row.dag_id, below, limit)
    ]


def _version(conn: sqlite3.Connection, dag: str, number: int) -> GraphVersionShown:
    row = known(conn, dag)
    found = reads.versions(conn, row.dag_id, number + 1, 1)
    if not found or found[0].version_id != number:
        raise NotFoundError(f"the DAG {dag!r} has no version {number}: its versions are listed beside it")
    return GraphVersionShown(
        version=str(number),
        hash=found[0].hash,
        created_at=iso(found[0].created_us),
        current=number == row.version_id,
        graph=msgspec.json.decode(found[0].spec),
    )


# --- at a glance, task by task ------------------------------------------------------------------------


def _card(row: reads.DagRow) -> DagCard:
    head = typed.decode(row.spec, _Head) if row.spec else _Head()
    return DagCard(
        dag=row.name,
        schedule=schedule_words(row.schedule),
        paused=bool(row.paused),
        next_fires_at=iso_or_none(row.next_fires_us),
        owner=head.owner,
        tags=head.tags,
        doc=head.doc.strip().partition("\n")[0],
        tasks=len(head.tasks),
        open_runs=row.open_runs,
        recent=typed.decode(row.recent, tuple[RecentRun, ...]),
    )


def _grid(reader: Reader, dag: str, below: int, limit: int) -> Grid:
    return reader.read(lambda conn: _read_grid(conn, known(conn, dag), below, limit))


def _read_grid(conn: sqlite3.Connection, row: reads.DagRow, below: int, limit: int) -> Grid:
    runs = reads.newest_runs(conn, row.dag_id, below, limit)
    versions = {run.version_id for run in runs} | ({row.version_id} if row.version_id is not None else set())
    specs = {number: _DECODER.decode(spec) for number, spec in reads.specs(conn, versions).items()}
    tasks = _tasks(row.version_id, specs)
    names = [task.task for task in tasks]
    return Grid(
        dag=row.name,
        tasks=tuple(tasks),
        words=tuple(state.value for state in WORDS),
        runs=tuple(_column(conn, run, names) for run in runs),
    )


def _tasks(newest: int | None, specs: dict[int, DagSpec]) -> list[GridTask]:
    """The tasks of the newest version as they were declared, then those that only others have."""
    found: dict[str, GridTask] = {}
    for number in sorted(specs, key=lambda each: (each != newest, -each)):
        for task in specs[number].tasks:
            if task.name not in found:
                found[task.name] = GridTask(
                    task=task.name, group=task.group, does=does(task), gone=number != newest
                )
    return list(found.values())


def _column(conn: sqlite3.Connection, run: reads.RunRow, names: list[str]) -> GridRun:
    cells = reads.states(conn, run.run_id, names)
    return GridRun(
        run_id=str(run.run_id),
        state=run.state.value,
        kind=run.kind,
        logical_date=iso(run.logical_us),
        created_at=iso(run.created_us),
        started_at=iso_or_none(run.started_us),
        ended_at=iso_or_none(run.ended_us),
        version=str(run.version_id),
        states=tuple(-1 if state is None else _PLACE[state] for state, _ in cells),
        attempts=tuple(attempts or 0 for _, attempts in cells),
    )
