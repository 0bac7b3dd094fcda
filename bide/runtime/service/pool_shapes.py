"""The JSON of what there is little of: slots, pools and budgets, who holds them and who waits. Keys are stable.

Instants are ISO 8601 in UTC, ids are strings, absent is null.
"""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant, PoolWord, QueueWord, TaskWord
from bide.runtime.service.shapes import _Shape


class PoolLine(_Shape, frozen=True):
    """What is bounded, and how much of it is taken. `key` is its name among all, `pool` the one that people gave it.

    `kind`: slots (those of all tasks), pool (attempts at once), in_flight (tasks of a pool from their first start to their
    end), budget (units in a window of time); and what holds somebody back now of dag (tasks of a DAG at once), task (instances of a
    task at once) and runs (live runs of a DAG at once: its `task` is empty where one holds it or waits). Of a budget `units` and `spent` are said, of all else `slots` and `in_use`.
    `by_backfills` is how much of what is taken their runs have. When both sides want it, backfills are sure of
    `backfill_share` of the slots; of a budget they may spend `backfill_units` (null: all). A budget is whole again at
    `resets_at`. `waiting` are counted; more than that wait where `more_wait`.
    """

    key: str
    pool: str
    kind: PoolWord
    slots: int | None
    in_use: int | None
    units: float | None
    spent: float | None
    by_backfills: float
    backfill_share: float | None
    backfill_units: float | None
    resets_at: Instant | None
    waiting: int
    more_wait: bool


class HolderLine(_Shape, frozen=True):
    """A task that holds a part of it. `since`: when it got it; of what is in flight, when it came into its state.

    `slots`: how many it holds. `stopping`: why its body was told to stop, "" when it was not.
    """

    run_id: Id
    dag: str
    logical_date: Instant
    task: str
    state: TaskWord
    attempt: int | None
    since: Instant
    slots: int
    priority: int
    backfill: Id | None
    stopping: str


class WaiterLine(_Shape, frozen=True):
    """A task that wants a part of it: it stands at `place` of its queue, and who is before it is looked at before it.

    Live runs and backfills have a queue each. `key` names the place, for the page after it. `wants`: how many slots, or
    units. `resumed`: it has waited for the world and goes on, which goes before any priority.
    """

    key: str
    queue: QueueWord
    place: int
    run_id: Id
    dag: str
    logical_date: Instant
    task: str
    since: Instant
    priority: int
    wants: float
    resumed: bool
    backfill: Id | None


class PoolShown(PoolLine, frozen=True):
    """One with who holds it, the longest first (a thousand at most), and who waits, in the order in which they start."""

    holders: tuple[HolderLine, ...]
    waiters: tuple[WaiterLine, ...]
