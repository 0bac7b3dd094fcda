"""What made a run, what made that, and so on to a clock, a person or a door; and what it read and made. Reads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime.errors import NotFoundError
from bide.runtime.service.run_shapes import ChainRun, ChainVersion, RunChain
from bide.runtime.service.shapes import Interval, iso
from bide.runtime.store import chain_reads as reads
from bide.runtime.store import run_reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

DEEP: Final = 10
MOST: Final = 50
"""Runs of a chain, and of each list beside it so many again."""


def chain_of(reader: Reader, run_id: int) -> RunChain:
    def found(conn: sqlite3.Connection) -> RunChain | None:
        first = reads.run(conn, run_id)
        if first is None:
            return None
        causes, more = _causes(conn, first)
        read, made = reads.read(conn, run_id, MOST + 1), reads.made(conn, run_id, MOST + 1)
        going = reads.sets_going(conn, run_id, MOST + 1)
        return RunChain(
            run_id=str(run_id),
            causes=causes,
            read=tuple(_version(each) for each in read[:MOST]),
            made=tuple(_version(each) for each in made[:MOST]),
            sets_going=tuple(_run(each, 0, None, ()) for each in going[:MOST]),
            more=more or max(len(read), len(made), len(going)) > MOST,
        )

    told = reader.read(found)
    if told is None:
        raise NotFoundError(f"no run {run_id}; `bide runs` lists them")
    return told


def _causes(conn: sqlite3.Connection, first: reads.RunRow) -> tuple[tuple[ChainRun, ...], bool]:
    """Breadth first: the run, then the runs that made what it was made for. `True`: the chain goes on."""
    found: list[ChainRun] = []
    known = {first.run_id}
    level, more = [first], False
    for depth in range(DEEP):
        above: list[reads.RunRow] = []
        for row in level:
            versions = reads.set_going_by(conn, row.run_id, MOST + 1)
            more = more or len(versions) > MOST
            who = run_reads.commanded(conn, row.created_us, f"dag {row.dag}")
            found.append(_run(row, depth, who, tuple(_version(each) for each in versions[:MOST])))
            for made_by in sorted({each.run_id for each in versions if each.run_id} - known):
                if len(known) >= MOST:
                    return tuple(found), True
                known.add(made_by)
                if (one := reads.run(conn, made_by)) is not None:
                    above.append(one)
        level = above
        if not level:
            return tuple(found), more
    return tuple(found), True


def _run(row: reads.RunRow, depth: int, who: str | None, versions: tuple[ChainVersion, ...]) -> ChainRun:
    return ChainRun(
        run_id=str(row.run_id),
        dag=row.dag,
        kind=row.kind,
        state=row.state.value,
        logical_date=iso(row.logical_us),
        interval=Interval(iso(row.start_us), iso(row.end_us)),
        created_at=iso(row.created_us),
        depth=depth,
        who=who,
        reason=row.reason,
        backfill_id=None if row.backfill_id is None else str(row.backfill_id),
        plan_id=None if row.plan_id is None else str(row.plan_id),
        versions=versions,
    )


def _version(row: reads.VersionRow) -> ChainVersion:
    return ChainVersion(
        asset=row.asset,
        version=str(row.version_id),
        state=row.state.value,
        interval=Interval(iso(row.start_us), iso(row.end_us)),
        run_id=None if row.run_id is None else str(row.run_id),
        dag=row.dag,
    )
