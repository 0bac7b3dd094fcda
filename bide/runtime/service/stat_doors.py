"""What every door offers on statistics."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.route import Limit, get
from bide.runtime.service.run_shapes import InstanceTimes, RunChain, RunGraph
from bide.runtime.service.stat_shapes import AssetStats, BackfillStats, DagSpan, DagStats, RunStats


class StatDoors(Protocol):
    """What runs, tasks, assets and backfills did with their time."""

    @get("/stats/runs/{run}")
    async def run(self, run: str, limit: Limit = 100) -> RunStats:
        """Show what determined when a run ended: its critical path, and its longest attempts."""
        ...

    @get("/runs/{run}/graph")
    async def graph(self, run: str) -> RunGraph:
        """Show the graph that a run runs, and who started it or has paused its DAG."""
        ...

    @get("/runs/{run}/chain")
    async def chain(self, run: str) -> RunChain:
        """Show what made a run, what made that, and so on; the versions that it read and made, and the runs made for these."""
        ...

    @get("/runs/{run}/times", pages="id")
    async def times(self, run: str, limit: Limit = 1_000, before: str | None = None) -> list[InstanceTimes]:
        """List the tasks of a run with the moves between their states, in the order in which they were made."""
        ...

    @get("/stats/dags/{dag}")
    async def dag(self, dag: str, last: Limit = 100) -> DagStats:
        """Show the tasks of a DAG over its newest runs: durations, queue waits, failures, slot-seconds."""
        ...

    @get("/stats/dags", pages="dag")
    async def dags(
        self, last: Limit = 100, limit: Limit = 100_000, before: str | None = None
    ) -> list[DagSpan]:
        """Show how the newest runs of each DAG went, by name; of `last` runs at most."""
        ...

    @get("/stats/assets", pages="asset")
    async def assets(
        self, asset: str | None = None, limit: Limit = 100, before: str | None = None
    ) -> list[AssetStats]:
        """List freshness, late data, rows and checks of assets, by name."""
        ...

    @get("/stats/backfills", pages="id")
    async def backfills(
        self, backfill: str | None = None, limit: Limit = 100, before: str | None = None
    ) -> list[BackfillStats]:
        """List backfills with their intervals by state, the newest first."""
        ...
