"""A backfill in memory: what was asked for, the intervals that are still to run, the runs that go.

Plain state. `backfills.py` moves it; intervals that have ended are counted and left to the database.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.engine.states import BackfillState, IntervalState

if TYPE_CHECKING:
    from bide.runtime.engine.world import DagState


class BackfillOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a backfill was asked to be, as it is stored.

    `overwrite`: what becomes of an interval that has a run: "skip" it, "overwrite" it with a run of
    the backfill's own, or "fail" before anything starts. `tasks`: only these; none: all. `weight`:
    its part among backfills. `asset_caps`: asset -> backfill runs that may write it at once.
    """

    order: str = "oldest"
    max_active: int = 1
    overwrite: str = "skip"
    weight: int = 1
    tasks: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    asset_caps: dict[str, int] = {}
    every: str | None = None
    from_us: int = 0
    to_us: int = 0


class Span:
    """One interval of a backfill. `run_id` is the run it has or had."""

    __slots__ = ("end", "fires", "place", "run_id", "start", "state")

    def __init__(
        self, place: int, fires: int, start: int, end: int, state: IntervalState, run_id: int | None = None
    ) -> None:
        self.place = place
        self.fires = fires
        self.start = start
        self.end = end
        self.state = state
        self.run_id = run_id


class Backfill:
    """An unfinished backfill: `pending` in its order, `runs` the spans that run, by run id."""

    __slots__ = (
        "asked",
        "backfill_id",
        "counts",
        "created",
        "dag",
        "options",
        "pending",
        "plan_hash",
        "reason",
        "runs",
        "state",
        "tag",
    )

    def __init__(
        self, backfill_id: int, dag: DagState, options: BackfillOptions, plan_hash: str, created: int
    ) -> None:
        self.backfill_id = backfill_id
        self.dag = dag
        self.options = options
        self.plan_hash = plan_hash
        self.created = created
        self.state = BackfillState.RUNNING
        self.reason = ""
        self.pending: deque[Span] = deque()
        self.runs: dict[int, Span] = {}
        self.counts: dict[str, int] = {}  # of the intervals that have ended, by state
        self.asked = False  # it waits for facts about its next intervals
        self.tag = 0  # its place in the queue beside other backfills: see fairness.py

    @property
    def paused(self) -> bool:
        """Nothing of it starts."""
        return self.state is BackfillState.PAUSED

    @property
    def name(self) -> str:
        return f"backfill {self.backfill_id}"
