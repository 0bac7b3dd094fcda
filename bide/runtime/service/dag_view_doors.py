"""What every door offers on pictures of DAGs."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from bide.runtime.service.dag_view_shapes import (
    Calendar,
    DagCard,
    FiringLine,
    GraphVersionLine,
    GraphVersionShown,
    Grid,
    NotLoaded,
)
from bide.runtime.service.route import Limit, get

Columns = Annotated[int, Meta(ge=1, le=200)]


class DagViewDoors(Protocol):
    """DAGs at a glance, and how the runs of one went."""

    @get("/overview/dags", pages="dag")
    async def cards(self, limit: Limit = 100, before: str | None = None) -> list[DagCard]:
        """List the DAGs, by name, each with its owner, its tags and its last ten runs."""
        ...

    @get("/overview/not-loaded")
    async def not_loaded(self) -> list[NotLoaded]:
        """List the files and DAGs that are not loaded, and why; nothing where no runtime says."""
        ...

    @get("/dags/{dag}/grid", pages="run_id", parts={"runs": "run_id"})
    async def grid(self, dag: str, limit: Columns = 50, before: str | None = None) -> Grid:
        """Show the newest runs of a DAG task by task."""
        ...

    @get("/dags/{dag}/calendar")
    async def calendar(self, dag: str, since: str | None = None, until: str | None = None) -> Calendar:
        """Count the firings of a DAG by days: what ran, late or caught up, what was missed, what is to come.

        Dates, or instants in ISO 8601; from three weeks ago to a week ahead by default.
        """
        ...

    @get("/dags/{dag}/firings")
    async def firings(self, dag: str, since: str, until: str, limit: Limit = 1_000) -> list[FiringLine]:
        """List the firings of a DAG from one date to another, and what became of each."""
        ...

    @get("/dags/{dag}/versions", pages="version")
    async def versions(
        self, dag: str, limit: Limit = 100, before: str | None = None
    ) -> list[GraphVersionLine]:
        """List the versions of a DAG's graph, the newest first."""
        ...

    @get("/dags/{dag}/versions/{version}")
    async def version(self, dag: str, version: str) -> GraphVersionShown:
        """Show a version of a DAG's graph."""
        ...
