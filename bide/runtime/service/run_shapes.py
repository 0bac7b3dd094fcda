"""The JSON of which a run is drawn: its graph, and the moves of its tasks."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant, TaskWord
from bide.runtime.service.shapes import DagTask, _Shape


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
