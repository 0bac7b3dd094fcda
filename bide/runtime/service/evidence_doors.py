"""What every door offers on evidence: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bide.runtime.service.evidence_shapes import BundleShown, ChecklistShown, IncidentLine, IncidentShown
from bide.runtime.service.route import Limit, Person, Text, get, post
from bide.runtime.service.shapes import Done


class EvidenceDoors(Protocol):
    """The operations on checklists, incidents and their bundles."""

    @get("/evidence/checklist/{asset:path}")
    async def checklist(self, asset: str) -> ChecklistShown:
        """Show what is known of an asset against the questions of an audit."""
        ...

    @get("/incidents", pages="incident_id")
    async def incidents(
        self, state: str | None = None, limit: Limit = 50, before: str | None = None
    ) -> list[IncidentLine]:
        """List incidents, the newest first."""
        ...

    @get("/incidents/{incident}", tagged="incident")
    async def incident(self, incident: str) -> IncidentShown:
        """Show an incident: its steps, what was noted, and what is missing."""
        ...

    @post("/incidents")
    async def open(
        self,
        title: str,
        asset: str | None = None,
        invalidation: str | None = None,
        severity: str | None = None,
        by: Person = "",
        text: Text = "",
        dimensions: Sequence[str] = (),
    ) -> Done:
        """Open an incident of an asset, or of an invalidation."""
        ...

    @post("/incidents/{incident}/notes", tagged="incident")
    async def note(
        self, incident: str, step: str, text: Text, by: Person = "", data: dict[str, Any] | None = None
    ) -> Done:
        """Note what was done at one of the runbook's steps."""
        ...

    @post("/incidents/{incident}/plan", tagged="incident")
    async def plan(
        self, incident: str, plan: str | None = None, invalidation: str | None = None, by: Person = ""
    ) -> Done:
        """Link a plan or an invalidation to an incident; neither: the newest plan of its invalidation."""
        ...

    @post("/incidents/{incident}/close", tagged="incident")
    async def close(self, incident: str, text: Text = "", by: Person = "", anyway: bool = False) -> Done:
        """Close an incident; `anyway`: although a step is open."""
        ...

    @get("/incidents/{incident}/bundle")
    async def export(self, incident: str) -> BundleShown:
        """Export the evidence of an incident as a bundle."""
        ...
