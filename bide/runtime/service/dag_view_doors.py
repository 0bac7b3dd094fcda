"""What every door offers on pictures of DAGs."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from bide.runtime.service.code_shapes import CodeLine, CodeShown
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

    @get("/dags/{dag}/code", pages="code")
    async def codes(
        self, dag: str, version: str | None = None, limit: Limit = 100, before: str | None = None
    ) -> list[CodeLine]:
        """List what a DAG was loaded with, the newest first: an item wherever its graph or its file's text was another.

        `version`: only what gave that version of the graph.
        """
        ...

    @get("/dags/{dag}/code/{code}")
    async def code(self, dag: str, code: str) -> CodeShown:
        """Show the text of the file that a DAG was declared in, as it was loaded."""
        ...

    @get("/runs/{run}/code")
    async def run_code(self, run: str) -> list[CodeLine]:
        """List the code that the attempts of a run were begun with, oldest first; before the first, what it was made with."""
        ...
