"""The JSON of which a run is drawn: its graph, the moves of its tasks, and the chain of what made it."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant, RunWord, TaskWord, VersionWord
from bide.runtime.service.shapes import DagTask, Interval, _Shape


class Paused(_Shape, frozen=True):
    """That a DAG is paused: since when, why, and by whom where that was recorded."""

    since: Instant | None
    reason: str
    who: str | None


class RunGraph(_Shape, frozen=True):
    """The graph that a run runs, which is not that of its DAG any more where `newer`.

    `version` is the hash of the graph; `who` started the run by hand, null where nobody did.
    """

    run_id: Id
    dag: str
    version: str
    newer: bool
    tz: str
    owner: str
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    reason: str
    who: str | None
    paused: Paused | None
    tasks: tuple[DagTask, ...]


class MoveLine(_Shape, frozen=True):
    """That an instance came into a state."""

    at: Instant
    now: TaskWord


class InstanceTimes(_Shape, frozen=True):
    """An instance of a run's tasks: it was in the state `first`, and then moved; of many moves the last are told."""

    id: Id
    task: str
    map_index: int
    state: TaskWord
    attempts: int
    reason: str
    first: TaskWord
    moves: tuple[MoveLine, ...]


class ChainVersion(_Shape, frozen=True):
    """A version of an asset, and the run that made it; null where none did, or it is gone."""

    asset: str
    version: Id
    state: VersionWord
    interval: Interval
    run_id: Id | None
    dag: str | None


class ChainRun(_Shape, frozen=True):
    """A run in the chain of what made another, `depth` steps up from that.

    `who` asked for it by hand, null where nobody did; `backfill_id` and `plan_id` name what it is a run of; it was made
    for `versions`.
    """

    run_id: Id
    dag: str
    kind: str
    state: RunWord
    logical_date: Instant
    interval: Interval
    created_at: Instant
    depth: int
    who: str | None
    reason: str
    backfill_id: Id | None
    plan_id: Id | None
    versions: tuple[ChainVersion, ...]


class RunChain(_Shape, frozen=True):
    """What made a run: it first, then step by step the runs that made what it was made for. What it `read` and `made`, and
    the runs that were made for that. `more`: there is more of any of these than is told here.
    """

    run_id: Id
    causes: tuple[ChainRun, ...]
    read: tuple[ChainVersion, ...]
    made: tuple[ChainVersion, ...]
    sets_going: tuple[ChainRun, ...]
    more: bool
