"""The JSON of pictures of DAGs: how their last runs went, task by task. Keys are stable."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.said_words import Id, Instant, RunWord, TaskWord
from bide.runtime.service.shapes import Interval, _Shape


class GridTask(_Shape, frozen=True):
    """A row of the grid. `gone`: the newest version of the DAG does not have it."""

    task: str
    group: str
    does: str
    gone: bool = False


class GridRun(_Shape, frozen=True):
    """A column: `states` says for each row which of the grid's words holds, -1 where the run has no such task; `attempts`
    how often it was started.
    """

    run_id: Id
    state: RunWord
    kind: str
    logical_date: Instant
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    version: Id
    states: tuple[int, ...]
    attempts: tuple[int, ...]


class Grid(_Shape, frozen=True):
    """The newest runs of a DAG, the newest first, and the states of their tasks; of a mapped task as a whole."""

    dag: str
    tasks: tuple[GridTask, ...]
    words: tuple[TaskWord, ...]
    runs: tuple[GridRun, ...]


class RecentRun(_Shape, frozen=True):
    run_id: Id
    state: RunWord
    logical_date: Instant
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None


class DagCard(_Shape, frozen=True):
    """A DAG at a glance. `recent` are its last ten runs, the newest first; `doc` is the first line of its docstring."""

    dag: str
    schedule: str
    paused: bool
    next_fires_at: Instant | None
    owner: str
    tags: tuple[str, ...]
    doc: str
    tasks: int
    open_runs: int
    recent: tuple[RecentRun, ...]
    code_error: str | None = None


class NotLoaded(_Shape, frozen=True):
    """What of the DAG files is not loaded, a file or a DAG, and why."""

    what: str
    why: str


class FiringLine(_Shape, frozen=True):
    """One firing of a schedule, or a run that was made otherwise.

    `what`: fired, late (a promise was not kept), caught_up (missed, and run later), missed (not run: `reason` says why),
    catching_up (missed, still to be run), held (its time has come, nothing is decided), due (to come); of a run that no
    schedule made what made it: manual, backfill, ... `delay_s`: from its time to its start.
    """

    what: str
    fires_at: Instant
    interval: Interval
    run_id: Id | None = None
    state: RunWord | None = None
    delay_s: float | None = None
    reason: str = ""


class CalendarDay(_Shape, frozen=True):
    """A day in the zone of the DAG: how many there are of each `what`, and of runs by state."""

    day: str
    counts: dict[str, int]
    states: dict[str, int]


class Calendar(_Shape, frozen=True):
    """What became of the firings of a DAG and what is to come, day by day. `cut`: there are more than are counted here."""

    dag: str
    tz: str
    since: Instant
    until: Instant
    days: tuple[CalendarDay, ...]
    cut: bool = False


class GraphVersionLine(_Shape, frozen=True):
    """A version of a DAG's graph. `current`: new runs are made of it."""

    version: Id
    hash: str
    created_at: Instant
    tasks: int
    current: bool


class GraphVersionShown(_Shape, frozen=True):
    """`graph` is the graph as it was declared: what differs from a default."""

    version: Id
    hash: str
    created_at: Instant
    current: bool
    graph: dict[str, Any]
