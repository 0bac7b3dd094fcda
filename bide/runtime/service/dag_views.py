"""Pictures of DAGs: which there are and how their last runs went, task by task. It keeps no state and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.clock import Clock
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import before_number, bounded
from bide.runtime.service.dag_view_shapes import DagCard, Grid, GridRun, GridTask, NotLoaded, RecentRun
from bide.runtime.service.describe import does, schedule_words
from bide.runtime.service.shapes import iso, iso_or_none
from bide.runtime.store import dag_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks

RECENT: Final = 10
WORDS: Final = tuple(State)
_PLACE: Final = {state: n for n, state in enumerate(WORDS)}
_DECODER: Final = msgspec.json.Decoder(DagSpec)


class _Head(msgspec.Struct, frozen=True):
    """What a card shows of a graph: its tasks are only counted."""

    tasks: tuple[msgspec.Raw, ...] = ()
    owner: str = ""
    tags: tuple[str, ...] = ()
    doc: str = ""


class DagViews:
    """The operations on pictures of DAGs."""

    def __init__(self, reader: Asks, clock: Clock, live: Live | None) -> None:
        self._reader, self._clock, self._live = reader, clock, live

    async def cards(self, limit: int = 100, before: str | None = None) -> list[DagCard]:
        bounded(limit)
        found = await self._reader.ask(
            Reader.read, lambda conn: [_card(conn, row) for row in reads.dags(conn, before or "", limit)]
        )
        return [msgspec.structs.replace(card, code_error=self._code_error(card.dag)) for card in found]

    async def not_loaded(self) -> list[NotLoaded]:
        left_out = self._live.left_out if self._live else {}
        return [NotLoaded(what=what, why=why) for what, why in sorted(left_out.items())]

    async def grid(self, dag: str, limit: int = 50, before: str | None = None) -> Grid:
        bounded(limit)
        below = before_number(before)
        return await self._reader.ask(_grid, dag, below, limit)

    def _code_error(self, dag: str) -> str | None:
        return (self._live.code_error(dag) or None) if self._live else None


def known(reader: Reader, conn: sqlite3.Connection, dag: str) -> reads.DagRow:
    """The DAG of that name; `NotFoundError` names one that is near."""
    row = reads.dag(conn, dag)
    if row is None:
        names = [each.name for each in reads.dags(conn, "", 10_000)]
        raise NotFoundError(
            f"there is no DAG {dag!r} in {reader.path}{suggestion(dag, names) or ': `bide dags` lists them'}"
        )
    return row


def _card(conn: sqlite3.Connection, row: reads.DagRow) -> DagCard:
    head = msgspec.json.decode(row.spec, type=_Head) if row.spec else _Head()
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
        recent=tuple(
            RecentRun(
                run_id=str(run.run_id),
                state=run.state.value,
                logical_date=iso(run.logical_us),
                created_at=iso(run.created_us),
                started_at=iso_or_none(run.started_us),
                ended_at=iso_or_none(run.ended_us),
            )
            for run in reads.newest_runs(conn, row.dag_id, 2**63 - 1, RECENT)
        ),
    )


def _grid(reader: Reader, dag: str, below: int, limit: int) -> Grid:
    return reader.read(lambda conn: _read_grid(conn, known(reader, conn, dag), below, limit))


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
