"""What runs, tasks, assets and backfills did with their time: one layer for the terminal and the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime import typed
from bide.runtime.clock import SECOND, Clock
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError
from bide.runtime.graph.compile import compile_spec
from bide.runtime.graph.critical import PHASES, Life, Link, Move, critical_path, last_life
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import asset_name, backfill_number, before_number, bounded, run_number
from bide.runtime.service.chains import chain_of
from bide.runtime.service.run_shapes import InstanceTimes, RunChain, RunGraph
from bide.runtime.service.run_views import graph_of, times_of
from bide.runtime.service.shapes import Interval, iso, iso_or_none
from bide.runtime.service.stat_shapes import (
    AssetStats,
    AttemptStat,
    BackfillStats,
    DagSpan,
    DagStats,
    PathLink,
    RunStats,
    Spread,
    TaskStats,
)
from bide.runtime.store import stat_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks


class Stats:
    """The operations on statistics. It keeps no state."""

    def __init__(self, reader: Asks, clock: Clock) -> None:
        self._reader, self._clock = reader, clock

    async def run(self, run: str, limit: int = 100) -> RunStats:
        bounded(limit)
        return await self._reader.ask(_run, run_number(run), limit, self._clock.now())

    async def graph(self, run: str) -> RunGraph:
        return await self._reader.ask(graph_of, run_number(run))

    async def chain(self, run: str) -> RunChain:
        return await self._reader.ask(chain_of, run_number(run))

    async def times(self, run: str, limit: int = 1_000, before: str | None = None) -> list[InstanceTimes]:
        bounded(limit)
        return await self._reader.ask(times_of, run_number(run), limit, before)

    async def dag(self, dag: str, last: int = 100) -> DagStats:
        bounded(last)
        return await self._reader.ask(_dag, dag, last)

    async def dags(self, last: int = 100, limit: int = 100_000, before: str | None = None) -> list[DagSpan]:
        bounded(last)
        bounded(limit)
        return [
            DagSpan(
                dag=one.dag,
                runs=one.sums.runs,
                success=one.sums.success,
                failed=one.sums.failed,
                mean_s=None if one.sums.mean_us is None else one.sums.mean_us / SECOND,
                longest_s=None if one.sums.longest_us is None else one.sums.longest_us / SECOND,
            )
            for one in await self._reader.ask(
                Reader.read, lambda conn: reads.dag_sums(conn, last, limit, before or "")
            )
        ]

    async def assets(
        self, asset: str | None = None, limit: int = 100, before: str | None = None
    ) -> list[AssetStats]:
        bounded(limit)
        name = None if asset is None else asset_name(asset)
        found = await self._reader.ask(
            Reader.read, lambda conn: reads.asset_sums(conn, name, limit, before or "")
        )
        if name is not None and not found and before is None:
            raise NotFoundError(f"there is no asset {name!r}: `bide assets` lists them")
        return [_asset(one, self._clock.now()) for one in found]

    async def backfills(
        self, backfill: str | None = None, limit: int = 100, before: str | None = None
    ) -> list[BackfillStats]:
        bounded(limit)
        number = None if backfill is None else backfill_number(backfill)
        below = before_number(before)
        found = await self._reader.ask(
            Reader.read, lambda conn: reads.backfill_sums(conn, number, limit, below)
        )
        if number is not None and not found and before is None:
            raise NotFoundError(f"there is no backfill {number}: `bide backfill list` lists them")
        return [
            BackfillStats(
                id=str(one.backfill_id),
                dag=one.dag,
                state=one.state.value,
                intervals=one.intervals,
                percent=round(100 * (one.intervals - one.pending - one.running) / one.intervals, 1),
                success=one.success,
                failed=one.failed,
                running=one.running,
                pending=one.pending,
                skipped=one.skipped,
                cancelled=one.cancelled,
            )
            for one in found
        ]


# --- a run ------------------------------------------------------------------------------------------


def _run(reader: Reader, run_id: int, limit: int, now_us: int) -> RunStats:
    found = reader.read(lambda conn: _read_run(conn, run_id, limit))
    if found is None:
        raise NotFoundError(f"there is no run {run_id} in {reader.path}: `bide runs` lists them")
    run, moves, attempts, sums = found
    opened = run.opened_us
    until = run.ended_us if run.ended_us is not None else now_us
    links = path_of(run.spec, moves, opened, until) if opened is not None else []
    return RunStats(
        run_id=str(run_id),
        dag=run.dag,
        state=run.state.value,
        opened_at=iso_or_none(opened),
        ended_at=iso_or_none(run.ended_us),
        seconds=0.0 if opened is None else max(0, until - opened) / SECOND,
        path=tuple(links),
        slot_s=sum(one.slot_us for one in sums) / SECOND,
        queued_s=sum(one.queued_us for one in sums) / SECOND,
        upstream_failed=sum(one.upstream_failed for one in sums),
        attempts=tuple(_attempt(one) for one in attempts),
    )


def _read_run(
    conn: sqlite3.Connection, run_id: int, limit: int
) -> tuple[reads.RunTimes, list[reads.InstanceMove], list[reads.AttemptTimes], list[reads.TaskSums]] | None:
    run = reads.run_times(conn, run_id)
    if run is None:
        return None
    moves = reads.moves(conn, run_id, run.opened_seq)
    return run, moves, reads.attempts(conn, run_id, limit), reads.task_sums(conn, [run_id])


def path_of_run(reader: Reader, run_id: int) -> dict[str, float]:
    """What the critical path of a run that is over consists of: phase -> seconds; nothing when it is gone."""

    def read(conn: sqlite3.Connection) -> tuple[reads.RunTimes, list[reads.InstanceMove]] | None:
        run = reads.run_times(conn, run_id)
        return None if run is None else (run, reads.moves(conn, run_id, run.opened_seq))

    found = reader.read(read)
    if found is None or found[0].opened_us is None or found[0].ended_us is None:
        return {}
    links = path_of(found[0].spec, found[1], found[0].opened_us, found[0].ended_us)
    return {phase: sum(getattr(link, f"{phase}_s") for link in links) for phase in PHASES}


def path_of(spec: str, moves: list[reads.InstanceMove], opened_us: int, until_us: int) -> list[PathLink]:
    """The critical path of a run, by its graph and its part of the journal."""
    compiled = compile_spec(typed.decode(spec, DagSpec))
    of: dict[int, list[Move]] = {}
    named: dict[int, reads.InstanceMove] = {}
    tasks: dict[str, list[int]] = {}
    for move in moves:
        if move.instance_id not in named:
            named[move.instance_id] = move
            tasks.setdefault(move.task, []).append(move.instance_id)
        of.setdefault(move.instance_id, []).append(Move(move.seq, move.at_us, move.was, move.now))
    for instance_id, first in named.items():
        if first.map_index >= 0 and first.was is State.READY:  # it was made when its list was known
            of[instance_id][:0] = _made(
                [of[each] for each in tasks[first.task] if each != instance_id], first.seq
            )
    lives: dict[int, Life[int]] = {}
    for instance_id, first in named.items():
        above = compiled.upstream[compiled.index[first.task]]
        up = [
            each
            for ix in above
            for each in tasks.get(compiled.tasks[ix].name, ())
            if named[each].map_index < 0
        ]
        if first.map_index < 0:
            up += [each for each in tasks[first.task] if each != instance_id]
        lives[instance_id] = Life(last_life(of[instance_id]), tuple(up))
    return [
        _link(link, named[link.key], lives[link.key])
        for link in critical_path(lives, opened_us, until_us)
        if not _stands_for_others(lives[link.key], link)
    ]


def _made(summaries: list[list[Move]], before: int) -> list[Move]:
    """The line in which a mapped task became its instances, as theirs."""
    made = [m for moves in summaries for m in moves if m.now is State.MAPPED and m.seq < before]
    return [Move(made[-1].seq, made[-1].at_us, State.PENDING, State.READY)] if made else []


def _stands_for_others(life: Life[int], link: Link[int]) -> bool:
    """The summary of a mapped task takes no time of its own: its instances do."""
    return life.moves[-1].was is State.MAPPED and link.from_us == link.until_us


def _link(link: Link[int], of: reads.InstanceMove, life: Life[int]) -> PathLink:
    return PathLink(
        task=of.task,
        map_index=of.map_index,
        state=life.moves[-1].now.value,
        since=iso(link.from_us),
        until=iso(link.until_us),
        seconds=(link.until_us - link.from_us) / SECOND,
        attempts=sum(move.now is State.RUNNING and move.was is State.READY for move in life.moves),
        **{f"{phase}_s": us / SECOND for phase, us in link.spent_us.items()},
    )


def _attempt(one: reads.AttemptTimes) -> AttemptStat:
    took = None if one.ended_us is None else max(0, one.ended_us - one.started_us)
    return AttemptStat(
        task=one.task,
        map_index=one.map_index,
        attempt=one.number,
        state=one.state.value,
        started_at=iso(one.started_us),
        ended_at=iso_or_none(one.ended_us),
        seconds=None if took is None else took / SECOND,
        queued_s=one.queued_us / SECOND,
        slot_s=one.active_us / SECOND,
        waited_s=0.0 if took is None else max(0, took - one.active_us) / SECOND,
        error=one.error,
    )


# --- a DAG, an asset ----------------------------------------------------------------------------------


def _dag(reader: Reader, dag: str, last: int) -> DagStats:
    known = [one.name for one in reader.dags()]
    if dag not in known:
        raise NotFoundError(
            f"there is no DAG {dag!r} in {reader.path}{suggestion(dag, known) or ': `bide dags` lists them'}"
        )
    return reader.read(lambda conn: _read_dag(conn, dag, last))


def _read_dag(conn: sqlite3.Connection, dag: str, last: int) -> DagStats:
    runs = reads.newest_runs(conn, dag, last)
    slots, queues = (reads.quantiles(conn, runs, what) for what in ("active_us", "queued_us"))
    return DagStats(
        dag=dag,
        runs=len(runs),
        tasks=tuple(
            TaskStats(
                task=one.task,
                instances=one.instances,
                attempts=one.attempts,
                failed_attempts=one.failed,
                lost_attempts=one.lost,
                upstream_failed=one.upstream_failed,
                slot=_spread(slots.get(one.task)),
                queued=_spread(queues.get(one.task)),
                slot_s=one.slot_us / SECOND,
                queued_s=one.queued_us / SECOND,
                waited_s=one.waited_us / SECOND,
            )
            for one in reads.task_sums(conn, runs)
        ),
    )


def _spread(found: tuple[int, int, int] | None) -> Spread | None:
    return (
        None
        if found is None
        else Spread(p50=found[0] / SECOND, p95=found[1] / SECOND, longest=found[2] / SECOND)
    )


def _asset(one: reads.AssetSums, now_us: int) -> AssetStats:
    known = one.start_us is not None and one.end_us is not None
    return AssetStats(
        asset=one.asset,
        owner=one.owner,
        version=None if one.version is None else str(one.version),
        interval=Interval(start=iso(one.start_us), end=iso(one.end_us)) if known else None,  # type: ignore[arg-type]
        age_s=None if one.end_us is None else (now_us - one.end_us) / SECOND,
        next_due=iso_or_none(one.next_due_us),
        late=one.late,
        stale=one.stale,
        made_again=one.made_again,
        rows=one.rows,
        rows_before=one.rows_before,
        checks_passed=one.passed,
        checks_failed=one.failed,
        failed_checks=one.failed_checks,
    )
