"""What a run is drawn from: the graph that it runs, and the moves of its tasks. Reads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.graph.facts import RERUN
from bide.runtime.graph.spec import DagSpec
from bide.runtime.service.addresses import instance_number
from bide.runtime.service.describe import does
from bide.runtime.service.masking import without_secrets
from bide.runtime.service.run_shapes import InstanceTimes, MoveLine, Paused, RunGraph
from bide.runtime.service.shapes import DagTask, iso, iso_or_none
from bide.runtime.store import run_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

MOST_PARAMS: Final = 65_536
"""Bytes of a run's parameters that are told: a listing is none of 16 MiB."""
MOST_MOVES: Final = 64
"""Moves that are told of one instance: one that defers again and again has any number."""


def graph_of(reader: Reader, run_id: int) -> RunGraph:
    run = reader.run(run_id)
    spec = typed.decode(run.spec, DagSpec)

    def beside(conn: sqlite3.Connection) -> tuple[reads.PauseRow | None, str | None, str | None]:
        return (
            reads.paused(conn, run.dag),
            reads.newest_version(conn, run.dag),
            reads.commanded(conn, run.created_us, f"dag {run.dag}"),
        )

    paused, newest, who = reader.read(beside)
    return RunGraph(
        run_id=str(run_id),
        dag=run.dag,
        version=run.version,
        newer=newest is not None and newest != run.version,
        tz=spec.tz,
        owner=spec.owner,
        created_at=iso(run.created_us),
        started_at=iso_or_none(run.started_us),
        ended_at=iso_or_none(run.ended_us),
        reason=run.reason,
        who=who,
        paused=None
        if paused is None
        else Paused(since=iso(paused.at_us), reason=paused.reason, who=paused.who),
        tasks=tuple(
            DagTask(
                task=task.name,
                group=task.group,
                does=does(task),
                upstream=task.upstream,
                handles=task.handles,
            )
            for task in spec.tasks
        ),
    )


def times_of(reader: Reader, run_id: int, limit: int, before: str | None) -> list[InstanceTimes]:
    """A page of the run's instances with their moves, in the order in which they were made."""
    last = 0 if before is None else instance_number(before)
    reader.run(run_id)  # there is such a run

    def read(conn: sqlite3.Connection) -> tuple[list[reads.InstanceRow], list[reads.MoveRow]]:
        found = reads.instances(conn, run_id, last, limit)
        if not found:
            return [], []
        return found, reads.moves(conn, run_id, found[0].instance_id, found[-1].instance_id, MOST_MOVES)

    instances, moves = reader.read(read)
    of: dict[int, list[reads.MoveRow]] = {}
    for move in moves:
        of.setdefault(move.instance_id, []).append(move)
    return [
        InstanceTimes(
            id=str(one.instance_id),
            task=one.task,
            map_index=one.map_index,
            state=one.state.value,
            attempts=one.attempts,
            reason=one.reason,
            first=(of[one.instance_id][0].was if one.instance_id in of else one.state).value,
            moves=tuple(MoveLine(at=iso(m.at_us), now=m.now.value) for m in of.get(one.instance_id, ())),
        )
        for one in instances
    ]


def shown_params(stored: str) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """What a run was given, secrets masked, and in which parameters something is; None where that is too much.

    >>> shown_params('{"day": "2026-03-01", "token": "hunter2"}')
    ({'day': '2026-03-01', 'token': '***'}, ('token',))
    """
    if len(stored.encode()) > MOST_PARAMS:
        return None, ()
    given: dict[str, Any] = msgspec.json.decode(stored)
    given.pop(RERUN, None)
    found: dict[str, Any] = without_secrets(given)
    return found, tuple(
        name for (name, was), now in zip(given.items(), found.values(), strict=True) if was != now
    )
